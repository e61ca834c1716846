package org

import (
	"fmt"
	"strconv"

	"github.com/sallyport/sallyport/attestation/strictjson"
)

// Limits of one organization in this release.
const (
	maxUsersPerRequest = 100
	maxKeysPerUser     = 10 // API keys
)

// apiKeyParams registers one API key.
type apiKeyParams struct {
	APIKeyName        string `json:"apiKeyName" strict:"required"`
	PublicKey         string `json:"publicKey" strict:"required"`
	CurveType         string `json:"curveType"` // absent in the oldest form: P-256
	ExpirationSeconds string `json:"expirationSeconds"`

	key     credentialKey
	public  publicKey
	seconds int64
}

// maxExpiration keeps expiry times far from overflow: 100 years.
const maxExpiration = 100 * 366 * 24 * 60 * 60

func (p *apiKeyParams) valid(where string) error {
	if err := validName(where+".apiKeyName", p.APIKeyName); err != nil {
		return err
	}
	if p.CurveType == "" {
		p.CurveType = curveP256.names().apiKey
	}
	var curve keyCurve
	for _, names := range curves {
		if names.apiKey == p.CurveType {
			curve = names.curve
		}
	}
	if curve == 0 {
		return bad("bad request body: %s.curveType must be API_KEY_CURVE_P256, API_KEY_CURVE_SECP256K1 or API_KEY_CURVE_ED25519", where)
	}
	var ok bool
	if p.key, ok = parseCredentialKey(curve, p.PublicKey); !ok {
		return bad("bad request body: %s.publicKey must be lower-case hex of the compressed point (66 digits) or of an Ed25519 key (64 digits)", where)
	}
	if p.public, ok = p.key.parse(); !ok {
		return bad("bad request body: %s.publicKey is not a key of its curve", where)
	}
	return p.validExpiration(where)
}

func (p *apiKeyParams) validExpiration(where string) error {
	if p.ExpirationSeconds == "" {
		return nil
	}
	n, err := strconv.ParseInt(p.ExpirationSeconds, 10, 64)
	if err != nil || n <= 0 || n > maxExpiration || strconv.FormatInt(n, 10) != p.ExpirationSeconds {
		return bad("bad request body: %s.expirationSeconds must be a decimal string from 1 to %d", where, maxExpiration)
	}
	p.seconds = n
	return nil
}

// validAPIKeys judges a list of registrations and refuses a key listed twice.
func validAPIKeys(where string, list []apiKeyParams, seen map[credentialKey]bool) error {
	if len(list) > maxKeysPerUser {
		return bad("bad request body: %s must hold at most %d API keys", where, maxKeysPerUser)
	}
	for i := range list {
		at := fmt.Sprintf("%s[%d]", where, i)
		if err := list[i].valid(at); err != nil {
			return err
		}
		if seen[list[i].key] {
			return bad("bad request body: %s.publicKey is listed twice", at)
		}
		seen[list[i].key] = true
	}
	return nil
}

// free refuses a key that the organization knows already: one key is one credential.
func (o *organization) free(where string, list []apiKeyParams) error {
	for i := range list {
		if o.creds[list[i].key] != nil {
			return bad("%s[%d].publicKey is registered in this organization already", where, i)
		}
	}
	return nil
}

func (p *apiKeyParams) credential(cid id, createdMs int64) *credential {
	c := &credential{
		id: cid, name: p.APIKeyName, key: p.key, public: p.public, created: createdMs,
		seconds: p.ExpirationSeconds,
	}
	if p.seconds > 0 {
		c.expires = createdMs + p.seconds*1000
	}
	return c
}

type createUsersIntent struct {
	Users []userParams `json:"users" strict:"required"`
}

// userParams covers versions 2 to 4. Members for other kinds of credentials
// are read, so that clients that always send them as empty lists are served.
type userParams struct {
	UserName        string           `json:"userName" strict:"required"`
	UserEmail       string           `json:"userEmail"`
	UserPhoneNumber string           `json:"userPhoneNumber"`
	APIKeys         []apiKeyParams   `json:"apiKeys"`
	Authenticators  []strictjson.Raw `json:"authenticators"`
	OAuthProviders  []strictjson.Raw `json:"oauthProviders"`
	UserTags        []string         `json:"userTags"`
}

type none struct{}

var createUsers = define("create_users",
	map[string]string{
		"ACTIVITY_TYPE_CREATE_USERS_V2": "createUsersIntentV2",
		"ACTIVITY_TYPE_CREATE_USERS_V3": "createUsersIntentV3",
		"ACTIVITY_TYPE_CREATE_USERS_V4": "createUsersIntentV4",
	},
	spec[createUsersIntent, none, none]{
		valid: validUsers,
		check: checkUsers,
		apply: func(o *organization, m made, in *createUsersIntent, _ none) {
			key := 0
			for i := range in.Users {
				o.createUser(&in.Users[i], m, i, &key)
			}
		},
		result: func(j job, in *createUsersIntent, _ none) (string, any) {
			ids := []id{}
			for i := range in.Users {
				ids = append(ids, objectID("user", j.org, j.fingerprint, i))
			}
			return "createUsersResult", map[string]any{"userIds": ids}
		},
	})

func validUsers(in *createUsersIntent) error {
	if n := len(in.Users); n == 0 || n > maxUsersPerRequest {
		return bad("bad request body: parameters.users must hold 1 to %d users, not %d", maxUsersPerRequest, n)
	}
	seen := map[credentialKey]bool{}
	for i := range in.Users {
		if err := in.Users[i].valid(fmt.Sprintf("parameters.users[%d]", i), seen); err != nil {
			return err
		}
	}
	return nil
}

func (u *userParams) valid(where string, seen map[credentialKey]bool) error {
	if err := validName(where+".userName", u.UserName); err != nil {
		return err
	}
	for _, extra := range []struct {
		name, value string
	}{{".userEmail", u.UserEmail}, {".userPhoneNumber", u.UserPhoneNumber}} {
		if extra.value == "" {
			continue
		}
		if err := validName(where+extra.name, extra.value); err != nil {
			return err
		}
	}
	if len(u.Authenticators) > 0 {
		return bad("bad request body: %s.authenticators: WebAuthn credentials are not served by this release", where)
	}
	if len(u.OAuthProviders) > 0 {
		return bad("bad request body: %s.oauthProviders: OAuth is not served", where)
	}
	return validAPIKeys(where+".apiKeys", u.APIKeys, seen)
}

func checkUsers(o *organization, in *createUsersIntent) (none, error) {
	for i := range in.Users {
		where := fmt.Sprintf("parameters.users[%d]", i)
		if err := o.free(where+".apiKeys", in.Users[i].APIKeys); err != nil {
			return none{}, err
		}
		if len(in.Users[i].UserTags) > 0 {
			return none{}, notFound("%s.userTags[0]: no such user tag", where)
		}
	}
	return none{}, nil
}

// createUser makes the i-th user of a request; key counts the API keys of the
// whole request, for their ids.
func (o *organization) createUser(p *userParams, m made, i int, key *int) *user {
	u := &user{
		id: objectID("user", o.id, m.fingerprint, i), name: p.UserName, email: p.UserEmail,
		phone: p.UserPhoneNumber, created: m.timeMs, updated: m.timeMs,
	}
	o.addUser(u)
	for j := range p.APIKeys {
		o.addCredential(u, p.APIKeys[j].credential(objectID("api key", o.id, m.fingerprint, *key), m.timeMs))
		*key++
	}
	return u
}
