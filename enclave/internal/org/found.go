package org

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/sallyport/sallyport/attestation/strictjson"
	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/journal"
	"github.com/sallyport/sallyport/enclave/wire"
)

const foundingType = "SALLYPORT_ORGANIZATION_V1"

// A foundRequest is the body of POST /sallyport/v1/organizations.
type foundRequest struct {
	FoundingBody string   `json:"foundingBody" strict:"required"` // the exact bytes that were stamped
	Stamps       []string `json:"stamps" strict:"required"`       // X-Stamp values, one by each root API key
}

// A foundingBody starts an organization. Its id commits to these bytes, and
// so to its first root users.
type foundingBody struct {
	Type                string     `json:"type" strict:"required"`
	OrganizationName    string     `json:"organizationName" strict:"required"`
	RootUsers           []rootUser `json:"rootUsers" strict:"required"`
	RootQuorumThreshold int        `json:"rootQuorumThreshold" strict:"required"`
	QuorumPublicKeys    []string   `json:"quorumPublicKeys" strict:"required"` // appliances that may hold it
	Salt                string     `json:"salt" strict:"required"`             // hex, 32 bytes
}

type rootUser struct {
	UserName  string         `json:"userName" strict:"required"`
	UserEmail string         `json:"userEmail"`
	APIKeys   []apiKeyParams `json:"apiKeys" strict:"required"`
}

// A founding is the body of an organization's journal entry.
type founding struct {
	Body   []byte   `cbor:"1,keyasint"`
	Stamps [][]byte `cbor:"2,keyasint"`
}

const maxRootUsers = 100

// found makes an organization, or finds the one that the same body made.
func (s *Service) found(ctx context.Context, req *wire.Request) ([]byte, error) {
	var in foundRequest
	if err := checkSize(req.Body, maxFounding); err != nil {
		return nil, err
	}
	if err := decodeBody(req.Body, &in); err != nil {
		return nil, err
	}
	if !s.OpenOrganizations {
		return nil, errClosed
	}
	if s.order != nil {
		return s.foundOrdered(ctx, &in)
	}
	raw := []byte(in.FoundingBody)
	body, err := parseFounding(raw)
	if err != nil {
		return nil, err
	}
	if err := s.ours(body); err != nil {
		return nil, err
	}
	stamps, err := verifyFounders(raw, body, in.Stamps)
	if err != nil {
		return nil, err
	}
	if err := s.recordFounding(raw, stamps); err != nil {
		return nil, err
	}
	if err := s.durable(ctx); err != nil {
		return nil, err
	}
	return s.foundReply(organizationID(raw))
}

// ours refuses a founding body that does not name this appliance's quorum
// key: its founders meant another one.
func (s *Service) ours(body *foundingBody) error {
	mine := hex.EncodeToString(s.Boot.QuorumPublic)
	for _, key := range body.QuorumPublicKeys {
		if key == mine {
			return nil
		}
	}
	return bad("foundingBody.quorumPublicKeys does not name this appliance's quorum key")
}

func parseFounding(raw []byte) (*foundingBody, error) {
	var b foundingBody
	if err := strictjson.DecodeRequest(raw, &b); err != nil {
		return nil, bad("bad request body: foundingBody.%v", err)
	}
	if b.Type != foundingType {
		return nil, bad("bad request body: foundingBody.type must be %s", foundingType)
	}
	if err := validName("foundingBody.organizationName", b.OrganizationName); err != nil {
		return nil, err
	}
	if salt, err := hex.DecodeString(b.Salt); err != nil || len(salt) != 32 || hex.EncodeToString(salt) != b.Salt {
		return nil, bad("bad request body: foundingBody.salt must be 64 lower-case hex digits")
	}
	if n := len(b.RootUsers); n == 0 || n > maxRootUsers {
		return nil, bad("bad request body: foundingBody.rootUsers must hold 1 to %d users", maxRootUsers)
	}
	if b.RootQuorumThreshold < 1 || b.RootQuorumThreshold > len(b.RootUsers) {
		return nil, bad("bad request body: foundingBody.rootQuorumThreshold must be from 1 to the number of root users, %d", len(b.RootUsers))
	}
	return &b, b.validUsers()
}

func (b *foundingBody) validUsers() error {
	seen := map[credentialKey]bool{}
	for i := range b.RootUsers {
		u := &b.RootUsers[i]
		where := fmt.Sprintf("foundingBody.rootUsers[%d]", i)
		if len(u.APIKeys) == 0 {
			return bad("bad request body: %s.apiKeys must not be empty: every root user stamps the founding body", where)
		}
		params := userParams{UserName: u.UserName, UserEmail: u.UserEmail, APIKeys: u.APIKeys}
		if err := params.valid(where, seen); err != nil {
			return err
		}
	}
	return nil
}

// verifyFounders wants exactly one valid stamp by every listed root key.
func verifyFounders(raw []byte, b *foundingBody, headers []string) ([][]byte, error) {
	by := map[credentialKey]*stamp{}
	var kept [][]byte
	for i, h := range headers {
		st, err := parseStamp([]byte(h))
		if err != nil {
			return nil, wire.Errorf(wire.Unauthenticated, "SIGNATURE_INVALID", "stamps[%d]: malformed activity stamp", i)
		}
		if by[st.key] != nil {
			return nil, bad("stamps[%d] is by a key that has stamped already", i)
		}
		by[st.key] = st
		kept = append(kept, []byte(h))
	}
	count := 0
	for i := range b.RootUsers {
		for j := range b.RootUsers[i].APIKeys {
			p := &b.RootUsers[i].APIKeys[j]
			st := by[p.key]
			if st == nil {
				return nil, wire.Errorf(wire.Unauthenticated, "SIGNATURE_MISSING", "foundingBody.rootUsers[%d].apiKeys[%d] has not stamped the founding body", i, j)
			}
			if !p.public.verify(raw, st.signature) {
				return nil, wire.Errorf(wire.Unauthenticated, "SIGNATURE_INVALID", "could not verify api key signature of foundingBody.rootUsers[%d].apiKeys[%d]", i, j)
			}
			count++
		}
	}
	if count != len(headers) {
		return nil, bad("stamps holds %d stamps by keys that foundingBody does not list", len(headers)-count)
	}
	return kept, nil
}

// recordFounding journals an organization once.
func (s *Service) recordFounding(raw []byte, stamps [][]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.orgs[organizationID(raw)] != nil {
		return nil
	}
	t, err := s.propose(EntryOrganization, func(uint64, int64) ([]byte, error) {
		return codec.Encode(founding{Body: raw, Stamps: stamps}), nil
	})
	if err != nil {
		return err
	}
	return s.applyFounding(raw, t.TimeMs, nil)
}

func (s *Service) replayOrganization(e journal.Entry) error {
	var f founding
	if err := codec.Decode(e.Body, &f); err != nil {
		return wire.Errorf(wire.Internal, "", "journal entry %d: not a founding: %v", e.Index, err)
	}
	return s.applyFounding(f.Body, e.TimeMs, nil)
}

// applyFounding makes an organization, of this appliance or of its key group.
func (s *Service) applyFounding(raw []byte, timeMs int64, of *KeyGroup) error {
	b, err := parseFounding(raw)
	if err != nil {
		return err
	}
	o := newOrganization(organizationID(raw), b.OrganizationName, timeMs, func() int64 { return millis(s.Now()) })
	if o.group = of; of != nil {
		o.nowMs = func() int64 { return s.clockMs } // what members decide must be the same
	}
	o.quorum.threshold = b.RootQuorumThreshold
	m := made{fingerprintOf(raw), timeMs}
	key := 0
	for i := range b.RootUsers {
		r := &b.RootUsers[i]
		u := o.createUser(&userParams{UserName: r.UserName, UserEmail: r.UserEmail, APIKeys: r.APIKeys}, m, i, &key)
		o.quorum.users = append(o.quorum.users, u.id)
	}
	o.founders = len(o.userOrder)
	s.orgs[o.id] = o
	return nil
}

// foundReply tells the founders the ids that their body led to.
func (s *Service) foundReply(oid id) ([]byte, error) {
	type item struct {
		UserID    id     `json:"userId"`
		UserName  string `json:"userName"`
		APIKeyIDs []id   `json:"apiKeyIds"`
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	o := s.orgs[oid]
	out := struct {
		OrganizationID   id     `json:"organizationId"`
		OrganizationName string `json:"organizationName"`
		Users            []item `json:"users"`
		QuorumPublicKey  string `json:"quorumPublicKey"`
	}{OrganizationID: oid, OrganizationName: o.name, QuorumPublicKey: hex.EncodeToString(s.Boot.QuorumPublic)}
	for _, u := range o.userOrder[:o.founders] {
		it := item{UserID: u.id, UserName: u.name, APIKeyIDs: []id{}}
		for _, c := range u.creds {
			it.APIKeyIDs = append(it.APIKeyIDs, c.id)
		}
		out.Users = append(out.Users, it)
	}
	return marshal(out)
}

// marshal writes JSON as clients get it, without HTML escaping.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
