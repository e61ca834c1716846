package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"unicode"
	"unicode/utf8"
)

// A userEntry makes a user.
type userEntry struct {
	ID       uid      `cbor:"1,keyasint"`
	Name     string   `cbor:"2,keyasint,omitempty"`
	StampKey []byte   `cbor:"3,keyasint,omitempty"` // P-256, compressed
	APIKey   [32]byte `cbor:"4,keyasint"`           // SHA-256
}

// An apiKeyEntry adds or revokes an API key.
type apiKeyEntry struct {
	User    uid      `cbor:"1,keyasint"`
	APIKey  [32]byte `cbor:"2,keyasint"` // SHA-256
	Revoked bool     `cbor:"3,keyasint,omitempty"`
}

type userDeletedEntry struct {
	ID uid `cbor:"1,keyasint"`
}

// newAPIKey makes 32 random bytes as hex. Only its hash is kept.
func (s *Service) newAPIKey() (text string, hash [32]byte, err error) {
	var b [32]byte
	defer clear(b[:])
	if _, err := io.ReadFull(s.Rand, b[:]); err != nil {
		return "", hash, err
	}
	text = hex.EncodeToString(b[:])
	return text, sha256.Sum256([]byte(text)), nil
}

const maxName = 128

// checkName judges the name of a user, rule or policy.
func checkName(field, name string) error {
	if n := utf8.RuneCountInString(name); n < 1 || n > maxName {
		return bad("%s: must have 1 to %d characters", field, maxName)
	}
	for _, r := range name {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return bad("%s: must be printable", field)
		}
	}
	return nil
}

type createdUser struct {
	APIKey string `json:"api_key"`
	UserID uid    `json:"user_id"`
}

// createUser takes the name also under its older parameter, label.
func createUser(s *Service, ctx context.Context, c *call) (any, error) {
	e := userEntry{}
	if err := c.empty(); err != nil {
		return nil, err
	}
	name, named := c.query["name"]
	if label, ok := c.query["label"]; ok {
		if named {
			return nil, bad("query: name and label are the same parameter; send one")
		}
		name, named = label, true
	}
	if named {
		if err := checkName("name", name); err != nil {
			return nil, err
		}
		e.Name = name
	}
	if text, ok := c.query["stamp_public_key"]; ok {
		k, ok := parseStampKey(text)
		if !ok {
			return nil, bad("stamp_public_key: must be a point of P-256, compressed, 66 lower-case hex digits")
		}
		e.StampKey = k[:]
	}
	var key string
	var err error
	if key, e.APIKey, err = s.newAPIKey(); err != nil {
		return nil, err
	}
	if e.ID, err = newID(s.Rand); err != nil {
		return nil, err
	}
	err = record(ctx, s, EntryUser, func(st *state) (userEntry, error) {
		if e.Name != "" && st.userNames[e.Name] != nil {
			return e, refuse(typeUserName, "name: another user has it")
		}
		if e.StampKey != nil && st.stampKeys[stampKey(e.StampKey)] != nil {
			return e, refuse(typeUnique, "stamp_public_key: another user has it")
		}
		return e, nil
	})
	return createdUser{key, e.ID}, err
}

func applyUser(st *state, e *userEntry, _ int64) error {
	u := &user{id: e.ID, name: e.Name, apiKeys: [][32]byte{e.APIKey}}
	if len(e.StampKey) != 0 {
		if len(e.StampKey) != len(stampKey{}) {
			return errors.New("stamp key: must have 33 bytes")
		}
		k := stampKey(e.StampKey)
		u.stampKey = &k
		st.stampKeys[k] = u
	}
	st.users.add(e.ID, u)
	if e.Name != "" {
		st.userNames[e.Name] = u
	}
	st.apiKeys[e.APIKey] = u
	return nil
}

func noUser() error { return refuse(typeNoUser, "user_id: there is no such user") }

// maxAPIKeys bounds the API keys of one user.
const maxAPIKeys = 1000

type apiKeyResult struct {
	APIKey string `json:"api_key"`
}

func generateAPIKey(s *Service, ctx context.Context, c *call) (any, error) {
	if err := c.empty(); err != nil {
		return nil, err
	}
	id, err := mustID("user_id", c.query["user_id"])
	if err != nil {
		return nil, err
	}
	text, hash, err := s.newAPIKey()
	if err != nil {
		return nil, err
	}
	err = record(ctx, s, EntryAPIKey, func(st *state) (e apiKeyEntry, err error) {
		u := st.users.byID[id]
		if u == nil {
			return e, noUser()
		}
		if len(u.apiKeys) >= maxAPIKeys {
			return e, bad("user_id: the user has %d API keys, which is the most", maxAPIKeys)
		}
		return apiKeyEntry{User: id, APIKey: hash}, nil
	})
	return apiKeyResult{text}, err
}

func revokeAPIKey(s *Service, ctx context.Context, c *call) (any, error) {
	text, ok := c.query["api_key"]
	if !ok {
		return nil, bad("api_key: must be given")
	}
	hash := sha256.Sum256([]byte(text))
	err := record(ctx, s, EntryAPIKey, func(st *state) (e apiKeyEntry, err error) {
		u := st.apiKeys[hash]
		if u == nil {
			return e, refuse(typeNoAPIKey, "api_key: there is no such key")
		}
		return apiKeyEntry{User: u.id, APIKey: hash, Revoked: true}, nil
	})
	return none{}, err
}

func applyAPIKey(st *state, e *apiKeyEntry, _ int64) error {
	u := st.users.byID[e.User]
	if u == nil {
		return errors.New("an API key of no user")
	}
	if e.Revoked {
		delete(st.apiKeys, e.APIKey)
		u.apiKeys = slices.DeleteFunc(u.apiKeys, func(h [32]byte) bool { return h == e.APIKey })
		return nil
	}
	u.apiKeys = append(u.apiKeys, e.APIKey)
	st.apiKeys[e.APIKey] = u
	return nil
}

func deleteUser(s *Service, ctx context.Context, c *call) (any, error) {
	id, err := mustID("user_id", c.query["user_id"])
	if err != nil {
		return nil, err
	}
	err = record(ctx, s, EntryUserDeleted, func(st *state) (e userDeletedEntry, err error) {
		u := st.users.byID[id]
		switch {
		case u == nil:
			return e, noUser()
		case u.keys > 0:
			return e, refuse(typeUserHasKeys, "user_id: the user has %d keys; delete them first", u.keys)
		}
		return userDeletedEntry{id}, nil
	})
	return none{}, err
}

func applyUserDeleted(st *state, e *userDeletedEntry, _ int64) error {
	u := st.users.byID[e.ID]
	if u == nil {
		return errors.New("no such user")
	}
	for _, h := range u.apiKeys {
		delete(st.apiKeys, h)
	}
	if u.stampKey != nil {
		delete(st.stampKeys, *u.stampKey)
	}
	if u.name != "" {
		delete(st.userNames, u.name)
	}
	if u.policy != nil {
		u.policy.users--
	}
	st.users.remove(e.ID)
	return nil
}

type userView struct {
	UserID uid    `json:"user_id"`
	Name   string `json:"name,omitempty"`
	// Additions.
	APIKeys        int    `json:"api_keys"`
	Keys           int    `json:"keys"`
	StampPublicKey string `json:"stamp_public_key,omitempty"`
	PolicyID       *uid   `json:"policy_id,omitempty"`
}

func listUsers(s *Service, _ context.Context, _ *call) (any, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := []userView{}
	for _, u := range s.state.users.order {
		v := userView{UserID: u.id, Name: u.name, APIKeys: len(u.apiKeys), Keys: u.keys}
		if u.stampKey != nil {
			v.StampPublicKey = hex.EncodeToString(u.stampKey[:])
		}
		if u.policy != nil {
			v.PolicyID = &u.policy.id
		}
		out = append(out, v)
	}
	return map[string]any{"users": out}, nil
}
