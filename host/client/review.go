package client

import (
	"context"
	"fmt"

	"github.com/sallyport/sallyport/attestation/strictjson"
)

// The reasons of a [ReviewError].
const (
	// ReviewFingerprint: the submitter's body is not the one that the
	// fingerprint names.
	ReviewFingerprint = "fingerprint"
	// ReviewBody: the submitter's body has not the one form it may have, or is
	// of another type or organization than the activity.
	ReviewBody = "body"
	// ReviewStamp: a vote is not signed by the key that it names.
	ReviewStamp = "stamp"
	// ReviewVote: a vote's message is not a vote on this activity.
	ReviewVote = "vote"
)

// ReviewError says that an activity is not what its users have signed.
type ReviewError struct {
	Reason  string // one of the constants above
	Message string
}

func (e *ReviewError) Error() string { return "activity refused: " + e.Reason + ": " + e.Message }

// Review is an activity as its submitter signed it. Type, TimestampMs and
// Parameters are read from Body, whose hash is the fingerprint and whose stamp
// is verified: what is shown here is what an approval of the fingerprint
// approves.
type Review struct {
	Activity    *Activity
	Body        []byte
	Fingerprint string // recomputed from Body
	Type        string
	TimestampMs string // the submitter's clock, a decimal number
	Parameters  strictjson.Raw
	Votes       []ReviewedVote
}

// ReviewedVote is a vote whose stamp is verified.
type ReviewedVote struct {
	Vote
	Submitter bool
	// KeyRegistered says that the key is one of the user's now; keys can be
	// taken away after a vote.
	KeyRegistered bool
}

// submittedBody is the form of every submitted body.
type submittedBody struct {
	Type              string         `json:"type" strict:"required"`
	TimestampMs       string         `json:"timestampMs" strict:"required"`
	OrganizationID    string         `json:"organizationId" strict:"required"`
	Parameters        strictjson.Raw `json:"parameters" strict:"required"`
	GenerateAppProofs bool           `json:"generateAppProofs"`
}

// ReviewActivity gets an activity and checks it against the signatures of its
// users: the fingerprint, the submitter's stamp, and every vote. Use it before
// [Client.Approve], with the Fingerprint of the review.
func (c *Client) ReviewActivity(ctx context.Context, id string) (*Review, error) {
	a, err := c.GetActivity(ctx, id)
	if err != nil {
		return nil, err
	}
	return c.Review(a)
}

// Review checks an activity that the client has already, as
// [Client.ReviewActivity] does.
func (c *Client) Review(a *Activity) (*Review, error) {
	if len(a.Votes) == 0 {
		return nil, &ReviewError{ReviewVote, "the submitter's is missing"}
	}
	r := &Review{Activity: a, Body: []byte(a.Votes[0].Message)}
	if r.Fingerprint = Fingerprint(r.Body); r.Fingerprint != a.Fingerprint {
		return nil, &ReviewError{ReviewFingerprint, "it is not that of the submitter's body"}
	}
	body, err := c.readBody(r.Body)
	if err != nil {
		return nil, &ReviewError{ReviewBody, err.Error()}
	}
	if body.Type != a.Type {
		return nil, &ReviewError{ReviewBody, fmt.Sprintf("type: the submitter signed %.64q, the activity says %.64q", body.Type, a.Type)}
	}
	r.Type, r.TimestampMs, r.Parameters = body.Type, body.TimestampMs, body.Parameters
	for i := range a.Votes {
		v, err := c.reviewVote(r, i)
		if err != nil {
			return nil, err
		}
		r.Votes = append(r.Votes, v)
	}
	return r, nil
}

func (c *Client) readBody(raw []byte) (*submittedBody, error) {
	var b submittedBody
	if err := strictjson.DecodeRequest(raw, &b); err != nil {
		return nil, err
	}
	if b.OrganizationID != c.organization {
		return nil, fmt.Errorf("organizationId: the submitter signed %.64q", b.OrganizationID)
	}
	return &b, nil
}

// reviewVote verifies the stamp of the i-th vote and that what it signs is a
// vote on this activity: the submitted body again, or a body that names its
// fingerprint.
func (c *Client) reviewVote(r *Review, i int) (ReviewedVote, error) {
	v := ReviewedVote{Vote: r.Activity.Votes[i], Submitter: i == 0}
	if err := verifyStamp(&v.Vote); err != nil {
		return v, &ReviewError{ReviewStamp, fmt.Sprintf("votes[%d]: %v", i, err)}
	}
	if err := c.matchVote(r, &v.Vote); err != nil {
		return v, &ReviewError{ReviewVote, fmt.Sprintf("votes[%d]: %v", i, err)}
	}
	for _, k := range v.User.APIKeys {
		if k.Credential.PublicKey == v.PublicKey {
			v.KeyRegistered = true
		}
	}
	return v, nil
}

func (c *Client) matchVote(r *Review, v *Vote) error {
	if v.Message == string(r.Body) {
		if v.Selection != SelectionApproved {
			return fmt.Errorf("selection: is %.64q for the submitted body", v.Selection)
		}
		return nil
	}
	b, err := c.readBody([]byte(v.Message))
	if err != nil {
		return err
	}
	want := map[string]string{typeApprove: SelectionApproved, typeReject: SelectionRejected}[b.Type]
	if want == "" || v.Selection != want {
		return fmt.Errorf("selection: is %.64q, the user signed %.64q", v.Selection, b.Type)
	}
	var p voteParameters
	if err := strictjson.DecodeRequest(b.Parameters, &p); err != nil {
		return fmt.Errorf("parameters.%w", err)
	}
	if p.Fingerprint != r.Fingerprint {
		return fmt.Errorf("the user signed a vote on another activity, %.80q", p.Fingerprint)
	}
	return nil
}
