package org

import (
	"strconv"
	"time"

	"github.com/sallyport/sallyport/attestation/strictjson"
	"github.com/sallyport/sallyport/enclave/wire"
)

// An envelope is what every submitted body has around its parameters.
type envelope struct {
	Type              string         `json:"type" strict:"required"`
	TimestampMs       string         `json:"timestampMs" strict:"required"`
	OrganizationID    string         `json:"organizationId" strict:"required"`
	Parameters        strictjson.Raw `json:"parameters" strict:"required"`
	GenerateAppProofs bool           `json:"generateAppProofs"`
}

// decodeBody reads a request body strictly: what is verified is what is read.
func decodeBody(body []byte, v any) error {
	if err := strictjson.DecodeRequest(body, v); err != nil {
		return wire.Errorf(wire.InvalidArgument, "REQUEST_INVALID", "bad request body: %v", err)
	}
	return nil
}

var (
	errOrganizationID = wire.Errorf(wire.InvalidArgument, "INVALID_ORGANIZATION_ID", "malformed organization ID provided: organizationId must be a lower-case UUID")
	errClosed         = wire.Errorf(wire.PermissionDenied, "REQUEST_NOT_AUTHORIZED",
		"this appliance's manifest does not open organizations: founding one needs an operator's signature")
	errStampSignature = wire.Errorf(wire.Unauthenticated, "SIGNATURE_INVALID", "could not verify api key signature")
)

// A caller is who stamped a request.
type caller struct {
	org  *organization
	user *user
	cred *credential
}

// authenticate finds the organization, the credential that the stamp names,
// and verifies the stamp over the exact body.
func (s *Service) authenticate(req *wire.Request, organizationID string) (*caller, error) {
	switch req.StampKind {
	case wire.StampAPIKey:
	case wire.StampWebAuthn:
		return nil, wire.Errorf(wire.Unauthenticated, "SIGNATURE_INVALID", "WebAuthn stamps are not served by this release; stamp with an API key")
	default:
		return nil, wire.Errorf(wire.Unauthenticated, "SIGNATURE_MISSING", "cannot authenticate public API activity request without a stamp (X-Stamp header)")
	}
	st, err := parseStamp(req.Stamp)
	if err != nil {
		return nil, err
	}
	oid, ok := parseID(organizationID)
	if !ok {
		return nil, errOrganizationID
	}
	c, err := s.lookup(oid, st)
	if err != nil {
		return nil, err
	}
	if !c.cred.public.verify(req.Body, st.signature) {
		return nil, errStampSignature
	}
	return c, nil
}

func (s *Service) lookup(oid id, st *stamp) (*caller, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.find(oid, st, millis(s.Now()))
}

// find is lookup at a time, for who holds the lock.
func (s *Service) find(oid id, st *stamp, nowMs int64) (*caller, error) {
	o := s.orgs[oid]
	if o == nil {
		return nil, wire.Errorf(wire.NotFound, "ORGANIZATION_NOT_FOUND", "no organization found with the given ID")
	}
	cred := o.creds[st.key]
	if cred == nil {
		return nil, wire.Errorf(wire.Unauthenticated, "PUBLIC_KEY_NOT_FOUND", "could not find public key in organization")
	}
	if cred.expired(nowMs) {
		return nil, wire.Errorf(wire.Unauthenticated, "API_KEY_EXPIRED", "expired api key")
	}
	return &caller{org: o, user: cred.user, cred: cred}, nil
}

// stillValid tells whether the caller's credential has lasted until now; the
// caller of it holds s.mu. A revocation counts from the moment it is recorded.
func (c *caller) stillValid(nowMs int64) error {
	if c.org.creds[c.cred.key] != c.cred {
		return wire.Errorf(wire.Unauthenticated, "PUBLIC_KEY_NOT_FOUND", "could not find public key in organization")
	}
	if c.cred.expired(nowMs) {
		return wire.Errorf(wire.Unauthenticated, "API_KEY_EXPIRED", "expired api key")
	}
	return nil
}

// What is recorded must fit an entry of the journal, and what is shown of it a
// reply through the door. A reply shows the intent, and every vote with its
// body as a JSON string, which may double it.
const (
	maxSubmission = 256 << 10 // bytes of one body
	maxVoteBodies = 320 << 10 // bytes of the bodies of all votes on an activity
	maxFounding   = 448 << 10 // bytes of a founding request
)

func checkSize(body []byte, limit int) error {
	if len(body) > limit {
		return bad("bad request body: it has %d bytes, and %d are the limit here", len(body), limit)
	}
	return nil
}

// A request's timestamp must be less than an hour old and at most five
// minutes ahead.
const (
	maxAge   = time.Hour
	maxAhead = 5 * time.Minute
)

func checkTimestamp(s string, now time.Time) error {
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil || ms <= 0 || strconv.FormatInt(ms, 10) != s {
		return bad("bad request body: timestampMs must be a decimal string of Unix milliseconds")
	}
	switch age := millis(now) - ms; {
	case ms < millis(now) && (age < 0 || age >= maxAge.Milliseconds()):
		return bad("bad request body: timestampMs is an hour old or older")
	case ms > millis(now) && ms-millis(now) > maxAhead.Milliseconds():
		return bad("bad request body: timestampMs is more than five minutes in the future")
	}
	return nil
}
