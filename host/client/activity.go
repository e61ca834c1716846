package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// The statuses of an activity that callers branch on.
const (
	StatusCompleted       = "ACTIVITY_STATUS_COMPLETED"
	StatusConsensusNeeded = "ACTIVITY_STATUS_CONSENSUS_NEEDED"
	StatusFailed          = "ACTIVITY_STATUS_FAILED"
	StatusRejected        = "ACTIVITY_STATUS_REJECTED"
)

// Activity is one request of an organization and what became of it, in the
// enclave's words. What was asked for is better read with
// [Client.ReviewActivity] than from Intent.
type Activity struct {
	ID             string                     `json:"id"`
	OrganizationID string                     `json:"organizationId"`
	Status         string                     `json:"status"`
	Type           string                     `json:"type"`
	Intent         map[string]json.RawMessage `json:"intent"`
	Result         map[string]json.RawMessage `json:"result"`
	Votes          []Vote                     `json:"votes"`
	// Fingerprint is "sha256:" and the SHA-256 of the submitted body.
	Fingerprint string          `json:"fingerprint"`
	CanApprove  bool            `json:"canApprove"`
	CanReject   bool            `json:"canReject"`
	CreatedAt   Timestamp       `json:"createdAt"`
	UpdatedAt   Timestamp       `json:"updatedAt"`
	Failure     json.RawMessage `json:"failure"`
}

// Vote is one user's stamped word on an activity. The first one is the
// submitter's, and its message is the submitted body.
type Vote struct {
	ID         string    `json:"id"`
	UserID     string    `json:"userId"`
	User       User      `json:"user"`
	ActivityID string    `json:"activityId"`
	Selection  string    `json:"selection"` // SelectionApproved or SelectionRejected
	Message    string    `json:"message"`   // the exact body that was stamped
	PublicKey  string    `json:"publicKey"`
	Signature  string    `json:"signature"`
	Scheme     string    `json:"scheme"`
	CreatedAt  Timestamp `json:"createdAt"`
}

// The selections of a vote.
const (
	SelectionApproved = "VOTE_SELECTION_APPROVED"
	SelectionRejected = "VOTE_SELECTION_REJECTED"
)

// Timestamp is a time as the API writes it: two decimal strings.
type Timestamp struct {
	Seconds string `json:"seconds"`
	Nanos   string `json:"nanos"`
}

// Time returns the zero time for what is not a timestamp.
func (t Timestamp) Time() time.Time {
	s, err := strconv.ParseInt(t.Seconds, 10, 64)
	n, err2 := strconv.ParseInt(t.Nanos, 10, 64)
	if err != nil || err2 != nil {
		return time.Time{}
	}
	return time.Unix(s, n).UTC()
}

// Fingerprint is the name of the activity that a body makes.
func Fingerprint(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// envelopeJSON is what every submitted body has around its parameters.
type envelopeJSON struct {
	Type           string `json:"type"`
	TimestampMs    string `json:"timestampMs"`
	OrganizationID string `json:"organizationId"`
	Parameters     any    `json:"parameters"`
}

// A submission is a submitted body and the activity that it led to.
type submission struct {
	body     []byte
	activity *Activity
	answer   *answer
}

// submit sends an activity, whatever becomes of it.
func (c *Client) submit(ctx context.Context, name, typ string, parameters any) (*submission, error) {
	body, err := encode(envelopeJSON{
		Type: typ, TimestampMs: strconv.FormatInt(c.clock.next(c.now()), 10),
		OrganizationID: c.organization, Parameters: parameters,
	})
	if err != nil {
		return nil, err
	}
	r, err := c.stamped("/public/v1/submit/"+name, body)
	if err != nil {
		return nil, err
	}
	var out struct {
		Activity *Activity `json:"activity"`
	}
	a, err := c.call(ctx, r, &out)
	if err != nil {
		return nil, err
	}
	if out.Activity == nil || out.Activity.OrganizationID != c.organization {
		return nil, a.refuse(ReasonContent, nil, "it holds no activity of this organization")
	}
	return &submission{body, out.Activity, a}, nil
}

// run submits an activity of the client's own and decodes its result.
func (c *Client) run(ctx context.Context, name, typ string, parameters any, key string, result any) (*submission, error) {
	s, err := c.submit(ctx, name, typ, parameters)
	if err != nil {
		return nil, err
	}
	if s.activity.Type != typ || s.activity.Fingerprint != Fingerprint(s.body) {
		return nil, s.answer.refuse(ReasonContent, nil, "it is about another activity than the submitted one")
	}
	return s, s.activity.conclude(key, result)
}

// conclude decodes the result of a completed activity, and makes an error of
// every other status.
func (a *Activity) conclude(key string, result any) error {
	if err := a.Err(); err != nil {
		return err
	}
	if err := json.Unmarshal(a.Result[key], result); err != nil {
		return fmt.Errorf("activity %s: %s: %w", a.ID, key, err)
	}
	return nil
}

// Err is nil for a completed activity, a [*PendingError] for one that needs
// more approvals, and an [*APIError] for one that failed or was rejected.
func (a *Activity) Err() error {
	switch a.Status {
	case StatusCompleted:
		return nil
	case StatusConsensusNeeded:
		return &PendingError{Activity: a}
	}
	e := &APIError{HTTPStatus: 200, Activity: a}
	if err := json.Unmarshal(a.Failure, &failureJSON{e}); err != nil || e.Message == "" {
		e.Code, e.Message = 9, "activity "+a.ID+" is "+a.Status
	}
	return e
}

// GetActivity returns one activity.
func (c *Client) GetActivity(ctx context.Context, id string) (*Activity, error) {
	a, _, err := c.getActivity(ctx, id)
	return a, err
}

func (c *Client) getActivity(ctx context.Context, id string) (*Activity, *answer, error) {
	var out struct {
		Activity *Activity `json:"activity"`
	}
	a, err := c.query(ctx, "get_activity", struct {
		OrganizationID string `json:"organizationId"`
		ActivityID     string `json:"activityId"`
	}{c.organization, id}, &out)
	if err != nil {
		return nil, nil, err
	}
	if out.Activity == nil || out.Activity.ID != id || out.Activity.OrganizationID != c.organization {
		return nil, nil, a.refuse(ReasonContent, nil, "it is about another activity than the one asked for")
	}
	return out.Activity, a, nil
}

// ActivityFilter selects activities. The zero value is the ten newest.
type ActivityFilter struct {
	Statuses []string // such as StatusConsensusNeeded; empty for all
	Types    []string // empty for all
	Limit    int      // 1 to 100; 0 means 10
	// After is an activity id: go on with those older than it. Before is one
	// to stop at, from the newest on.
	After, Before string
}

// ListActivities returns activities, newest first.
func (c *Client) ListActivities(ctx context.Context, f ActivityFilter) ([]*Activity, error) {
	type pagination struct {
		Limit  string `json:"limit,omitempty"`
		Before string `json:"before,omitempty"`
		After  string `json:"after,omitempty"`
	}
	page := pagination{Before: f.Before, After: f.After}
	if f.Limit != 0 {
		page.Limit = strconv.Itoa(f.Limit)
	}
	var out struct {
		Activities []*Activity `json:"activities"`
	}
	_, err := c.query(ctx, "list_activities", struct {
		OrganizationID string     `json:"organizationId"`
		FilterByStatus []string   `json:"filterByStatus,omitempty"`
		FilterByType   []string   `json:"filterByType,omitempty"`
		Pagination     pagination `json:"paginationOptions"`
	}{c.organization, f.Statuses, f.Types, page}, &out)
	return out.Activities, err
}

// Approve votes for the activity with this fingerprint, which names the exact
// body: look at it with [Client.ReviewActivity] first. The activity that comes
// back may be completed, may have failed, or may need more votes.
func (c *Client) Approve(ctx context.Context, fingerprint string) (*Activity, error) {
	return c.vote(ctx, "approve_activity", typeApprove, fingerprint)
}

// Reject votes against an activity, which ends it.
func (c *Client) Reject(ctx context.Context, fingerprint string) (*Activity, error) {
	return c.vote(ctx, "reject_activity", typeReject, fingerprint)
}

const (
	typeApprove = "ACTIVITY_TYPE_APPROVE_ACTIVITY"
	typeReject  = "ACTIVITY_TYPE_REJECT_ACTIVITY"
)

// voteParameters are those of both kinds of votes.
type voteParameters struct {
	Fingerprint string `json:"fingerprint" strict:"required"`
}

func (c *Client) vote(ctx context.Context, name, typ, fingerprint string) (*Activity, error) {
	if fingerprint == "" {
		return nil, errors.New("fingerprint: must be that of an activity")
	}
	s, err := c.submit(ctx, name, typ, voteParameters{fingerprint})
	if err != nil {
		return nil, err
	}
	if s.activity.Fingerprint != fingerprint {
		return nil, s.answer.refuse(ReasonContent, nil, "it is about another activity than the one voted on")
	}
	return s.activity, nil
}
