package org

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"strconv"

	"github.com/sallyport/sallyport/enclave/wire"
)

// The types of this file are answers as published clients decode them: every
// required field is there, lists are [] and never null, and numbers that the
// published schema types as strings are strings.

type timestamp struct {
	Seconds string `json:"seconds"`
	Nanos   string `json:"nanos"`
}

func timestampOf(ms int64) timestamp {
	return timestamp{strconv.FormatInt(ms/1000, 10), strconv.FormatInt(ms%1000*1_000_000, 10)}
}

type activityView struct {
	ID             id              `json:"id"`
	OrganizationID id              `json:"organizationId"`
	Status         string          `json:"status"`
	Type           string          `json:"type"`
	Intent         map[string]any  `json:"intent"`
	Result         map[string]any  `json:"result"`
	Votes          []voteView      `json:"votes"`
	AppProofs      []struct{}      `json:"appProofs"`
	Fingerprint    string          `json:"fingerprint"`
	CanApprove     bool            `json:"canApprove"`
	CanReject      bool            `json:"canReject"`
	CreatedAt      timestamp       `json:"createdAt"`
	UpdatedAt      timestamp       `json:"updatedAt"`
	Failure        json.RawMessage `json:"failure"`
}

type voteView struct {
	ID         id        `json:"id"`
	UserID     id        `json:"userId"`
	User       *userView `json:"user"`
	ActivityID id        `json:"activityId"`
	Selection  string    `json:"selection"`
	Message    string    `json:"message"` // the exact body that was stamped
	PublicKey  string    `json:"publicKey"`
	Signature  string    `json:"signature"`
	Scheme     string    `json:"scheme"`
	CreatedAt  timestamp `json:"createdAt"`
}

type userView struct {
	UserID          id           `json:"userId"`
	UserName        string       `json:"userName"`
	UserEmail       string       `json:"userEmail,omitempty"`
	UserPhoneNumber string       `json:"userPhoneNumber,omitempty"`
	Authenticators  []struct{}   `json:"authenticators"`
	APIKeys         []apiKeyView `json:"apiKeys"`
	UserTags        []string     `json:"userTags"`
	OAuthProviders  []struct{}   `json:"oauthProviders"`
	CreatedAt       timestamp    `json:"createdAt"`
	UpdatedAt       timestamp    `json:"updatedAt"`
	MFAPolicies     []struct{}   `json:"mfaPolicies"`
}

type apiKeyView struct {
	Credential struct {
		PublicKey string `json:"publicKey"`
		Type      string `json:"type"`
	} `json:"credential"`
	APIKeyID          id        `json:"apiKeyId"`
	APIKeyName        string    `json:"apiKeyName"`
	CreatedAt         timestamp `json:"createdAt"`
	UpdatedAt         timestamp `json:"updatedAt"`
	ExpirationSeconds string    `json:"expirationSeconds,omitempty"`
}

type privateKeyView struct {
	PrivateKeyID   id        `json:"privateKeyId"`
	PublicKey      string    `json:"publicKey"`
	PrivateKeyName string    `json:"privateKeyName"`
	Curve          string    `json:"curve"`
	Addresses      []address `json:"addresses"`
	PrivateKeyTags []string  `json:"privateKeyTags"`
	CreatedAt      timestamp `json:"createdAt"`
	UpdatedAt      timestamp `json:"updatedAt"`
	Exported       bool      `json:"exported"`
	Imported       bool      `json:"imported"`
}

func (u *user) view() *userView {
	v := &userView{
		UserID: u.id, UserName: u.name, UserEmail: u.email, UserPhoneNumber: u.phone,
		Authenticators: []struct{}{}, APIKeys: make([]apiKeyView, 0, len(u.creds)), UserTags: []string{},
		OAuthProviders: []struct{}{}, MFAPolicies: []struct{}{},
		CreatedAt: timestampOf(u.created), UpdatedAt: timestampOf(u.updated),
	}
	for _, c := range u.creds {
		k := apiKeyView{
			APIKeyID: c.id, APIKeyName: c.name, ExpirationSeconds: c.seconds,
			CreatedAt: timestampOf(c.created), UpdatedAt: timestampOf(c.created),
		}
		k.Credential.PublicKey, k.Credential.Type = c.key.hex(), c.key.curve.names().credential
		v.APIKeys = append(v.APIKeys, k)
	}
	return v
}

func (k *privateKey) view() *privateKeyView {
	return &privateKeyView{
		PrivateKeyID: k.id, PublicKey: hex.EncodeToString(k.public), PrivateKeyName: k.name,
		Curve: k.curve.String(), Addresses: k.addresses, PrivateKeyTags: []string{}, Exported: k.exported,
		CreatedAt: timestampOf(k.created), UpdatedAt: timestampOf(k.created),
	}
}

// A snapshot is an activity as it was at one moment, free of the lock.
type snapshot struct {
	activity
	content content
}

// look copies what is needed of an activity; its content is read back from
// the journal when it has left memory.
func (s *Service) look(ctx context.Context, a *activity) (*snapshot, error) {
	s.mu.RLock()
	snap := &snapshot{activity: *a}
	if a.content != nil {
		snap.content = *a.content
		s.mu.RUnlock()
		return snap, nil
	}
	s.mu.RUnlock()
	c, err := s.recall(ctx, snap.entries)
	if err != nil {
		return nil, s.unavailable(err)
	}
	snap.content = *c
	return snap, nil
}

// activityReply is the answer of every submission and vote.
func (s *Service) activityReply(ctx context.Context, a *activity, c *caller, nonce []byte) ([]byte, error) {
	snap, err := s.look(ctx, a)
	if err != nil {
		return nil, err
	}
	if snap.status == statusDenied {
		return nil, snap.content.failure.err()
	}
	return s.oneActivity(ctx, snap, c, nonce)
}

func (s *Service) oneActivity(ctx context.Context, snap *snapshot, c *caller, nonce []byte) ([]byte, error) {
	view, err := s.activityView(ctx, snap, c, nonce)
	if err != nil {
		return nil, err
	}
	return marshal(struct {
		Activity *activityView `json:"activity"`
	}{view})
}

func (s *Service) activityView(ctx context.Context, a *snapshot, c *caller, nonce []byte) (*activityView, error) {
	v := &activityView{
		ID: a.id, OrganizationID: c.org.id, Status: a.status.text(), Type: a.typ,
		Result: map[string]any{}, AppProofs: []struct{}{}, Fingerprint: a.fingerprint.String(),
		CreatedAt: timestampOf(a.created), UpdatedAt: timestampOf(a.updated), Failure: json.RawMessage("null"),
	}
	asked := a.content.asked
	v.Intent = map[string]any{a.kind.types[a.typ]: dropNulls(json.RawMessage(asked.parameters))}
	if a.status == statusCompleted {
		key, value, err := a.kind.render(job{c.org.id, a.fingerprint}, asked.intent, a.content.result)
		if err != nil {
			return nil, err
		}
		v.Result[key] = value
	}
	if a.content.failure != nil {
		_, v.Failure = wire.TurnkeyEnvelope(a.content.failure.err())
	}
	s.addVotes(v, a, c)
	return v, s.complete(ctx, v, nonce)
}

func (s *Service) addVotes(v *activityView, a *snapshot, c *caller) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	voter := a.status == statusPending && c.org.quorum.has(c.user.id)
	v.CanApprove = voter && !hasVoted(liveVotes(a.content.votes, millis(s.Now())), c.user.id)
	v.CanReject = voter
	v.Votes = make([]voteView, 0, len(a.content.votes))
	for _, vt := range a.content.votes {
		view := voteView{
			ID: objectID("vote "+vt.user.String(), c.org.id, vt.made, 0), UserID: vt.user,
			User: c.org.users[vt.user].view(), ActivityID: a.id, Selection: "VOTE_SELECTION_APPROVED",
			Message: string(vt.body), CreatedAt: timestampOf(vt.created),
		}
		if vt.reject {
			view.Selection = "VOTE_SELECTION_REJECTED"
		}
		if st, err := parseStamp(vt.stamp); err == nil {
			view.PublicKey, view.Signature, view.Scheme = st.PublicKey, st.Signature, st.Scheme
		}
		v.Votes = append(v.Votes, view)
	}
}
