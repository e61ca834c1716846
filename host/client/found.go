package client

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// FoundingType is the type member of every founding body.
const FoundingType = "SALLYPORT_ORGANIZATION_V1"

// organizationLabel separates this hash from every other use of SHA-256.
const organizationLabel = "sallyport organization id v1"

// FoundingBody is the one body that an organization starts from. Every listed
// root key stamps its exact bytes, and the organization's id is their hash, so
// the id commits to the first root users. The order of members is part of no
// format: what counts are the bytes that [FoundingBody.Encode] gave once.
type FoundingBody struct {
	Type                string     `json:"type"` // FoundingType
	OrganizationName    string     `json:"organizationName"`
	RootUsers           []RootUser `json:"rootUsers"`
	RootQuorumThreshold int        `json:"rootQuorumThreshold"` // 1..len(RootUsers)
	QuorumPublicKeys    []string   `json:"quorumPublicKeys"`    // of the appliances; 65 bytes uncompressed, hex
	Salt                string     `json:"salt"`                // 32 random bytes, hex
}

// RootUser is one of the first users of an organization.
type RootUser struct {
	UserName  string       `json:"userName"`
	UserEmail string       `json:"userEmail,omitempty"`
	APIKeys   []RootAPIKey `json:"apiKeys"`
}

// RootAPIKey is a public key by which a root user will stamp.
type RootAPIKey struct {
	APIKeyName string `json:"apiKeyName"`
	PublicKey  string `json:"publicKey"` // 33 bytes compressed, hex
	CurveType  string `json:"curveType"` // CurveP256
}

// FoundingRequest is the HTTP body of POST /sallyport/v1/organizations.
type FoundingRequest struct {
	FoundingBody string   `json:"foundingBody"` // the exact bytes that were stamped
	Stamps       []string `json:"stamps"`       // X-Stamp values, one by each listed key, in any order
}

// FoundingReply is what the enclave answers.
type FoundingReply struct {
	OrganizationID   string        `json:"organizationId"`
	OrganizationName string        `json:"organizationName"`
	Users            []FoundedUser `json:"users"` // in the order of the founding body
	QuorumPublicKey  string        `json:"quorumPublicKey"`
}

// FoundedUser tells which ids a root user and its keys were given.
type FoundedUser struct {
	UserID    string   `json:"userId"`
	UserName  string   `json:"userName"`
	APIKeyIDs []string `json:"apiKeyIds"`
}

// Encode returns the bytes to stamp and to send. Two calls give the same
// bytes; keep them anyway, since the organization's id is their hash.
func (f *FoundingBody) Encode() ([]byte, error) { return encode(f) }

// NewFoundingRequest stamps a founding body with every key given.
func NewFoundingRequest(body []byte, keys ...*APIKey) ([]byte, error) {
	r := FoundingRequest{FoundingBody: string(body), Stamps: make([]string, len(keys))}
	for i, k := range keys {
		s, err := Stamp(body, k)
		if err != nil {
			return nil, err
		}
		r.Stamps[i] = s
	}
	return encode(r)
}

// OrganizationID is the id of the organization that this exact founding body
// starts: a UUIDv8 (RFC 9562, section 5.8) of the first 16 bytes of
// SHA-256(label || body).
func OrganizationID(body []byte) string {
	h := sha256.New()
	h.Write([]byte(organizationLabel))
	h.Write(body)
	id := h.Sum(nil)[:16]
	id[6] = id[6]&0x0f | 0x80 // version 8
	id[8] = id[8]&0x3f | 0x80 // variant 10
	x := hex.EncodeToString(id)
	return x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:]
}

// Check compares a reply with the body that was sent: the id is ours to
// compute, and the users must be the ones we listed, in our order.
func (r *FoundingReply) Check(body []byte) error {
	var f FoundingBody
	if err := json.Unmarshal(body, &f); err != nil {
		return fmt.Errorf("founding body: %w", err)
	}
	if want := OrganizationID(body); r.OrganizationID != want {
		return fmt.Errorf("organizationId: is %.64q, the founding body gives %s", r.OrganizationID, want)
	}
	if len(r.Users) != len(f.RootUsers) {
		return fmt.Errorf("users: %d came back, %d were listed", len(r.Users), len(f.RootUsers))
	}
	for i, u := range r.Users {
		if u.UserName != f.RootUsers[i].UserName || u.UserID == "" {
			return fmt.Errorf("users[%d]: is not the user %q that was listed", i, f.RootUsers[i].UserName)
		}
	}
	for _, q := range f.QuorumPublicKeys {
		if q == r.QuorumPublicKey {
			return nil
		}
	}
	return fmt.Errorf("quorumPublicKey: %.16q... is not in the founding body", r.QuorumPublicKey)
}

// encode is JSON without HTML escaping and without the encoder's newline, so
// that a name with & in it reads the same in the stamped bytes.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encoding: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
