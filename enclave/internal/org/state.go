package org

import (
	"slices"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/keys"
)

// An organization is the replay of its journal entries. Every field is
// guarded by Service.mu.
type organization struct {
	id      id
	name    string
	created int64 // Unix milliseconds
	nowMs   func() int64
	group   *KeyGroup // whose organization it is; nil: of this appliance alone

	users     map[id]*user
	userOrder []*user
	founders  int // the first so many of userOrder founded it
	creds     map[credentialKey]*credential
	quorum    quorum

	keys        map[id]*privateKey
	keyOrder    []*privateKey
	keyNames    map[string]id
	keyAddress  map[string]id // every address of every key, for signWith
	activities  []*activity   // in the order of their journal entries
	byID        map[id]*activity
	byBody      map[fingerprint]*activity // submissions, and the votes on them
	configCount uint64                    // rises with every change of users, credentials or quorum
}

// A quorum is the set of root users and how many of them must agree.
type quorum struct {
	threshold int
	users     []id
}

func (q quorum) has(user id) bool {
	for _, u := range q.users {
		if u == user {
			return true
		}
	}
	return false
}

// A user is a person or service of an organization.
type user struct {
	id      id
	name    string
	email   string
	phone   string
	created int64
	updated int64
	creds   []*credential
}

// A credential is a registered API key.
type credential struct {
	id      id
	name    string
	user    *user
	key     credentialKey
	public  publicKey // parsed once
	created int64
	expires int64 // Unix milliseconds, 0 for never
	seconds string
}

func (c *credential) expired(nowMs int64) bool { return c.expires != 0 && nowMs >= c.expires }

// A privateKey is n sealed shares of which any t give the key.
type privateKey struct {
	id        id
	name      string
	curve     keys.Curve
	public    []byte // compressed SEC 1, 33 bytes; Ed25519: 32 bytes
	full      []byte // uncompressed SEC 1, 65 bytes: comparing with it is cheaper; Ed25519: public
	addresses []address
	threshold int
	shares    [][32]byte // names of the sealed share blobs; share i+1 is shares[i]
	tag       *[32]byte  // of a key group's key: its [mpc.Share.KeyTag]; it has no shares here
	created   int64
	exported  bool
}

type address struct {
	Format  string `json:"format"`
	Address string `json:"address"`
}

func newOrganization(oid id, name string, created int64, nowMs func() int64) *organization {
	return &organization{
		id: oid, name: name, created: created, nowMs: nowMs,
		users: map[id]*user{}, creds: map[credentialKey]*credential{},
		keys: map[id]*privateKey{}, keyNames: map[string]id{}, keyAddress: map[string]id{},
		byID: map[id]*activity{}, byBody: map[fingerprint]*activity{},
	}
}

// able counts the users of a quorum who have an API key that works now, beside
// those that are about to go.
func (o *organization) able(users []id, going []*credential) int {
	now, count := o.nowMs(), 0
	for _, uid := range users {
		for _, c := range o.users[uid].creds {
			if !c.expired(now) && !slices.Contains(going, c) {
				count++
				break
			}
		}
	}
	return count
}

func (o *organization) addUser(u *user) {
	o.users[u.id] = u
	o.userOrder = append(o.userOrder, u)
	o.configCount++
}

func (o *organization) addCredential(u *user, c *credential) {
	c.user = u
	u.creds = append(u.creds, c)
	u.updated = c.created
	o.creds[c.key] = c
	o.configCount++
}

func (o *organization) removeCredential(c *credential, at int64) {
	for i, other := range c.user.creds {
		if other == c {
			c.user.creds = append(c.user.creds[:i:i], c.user.creds[i+1:]...)
			break
		}
	}
	c.user.updated = at
	delete(o.creds, c.key)
	o.configCount++
}

func (o *organization) addKey(k *privateKey) {
	k.full = k.public
	if full, err := keys.Uncompress(k.curve, k.public); err == nil {
		k.full = full
	}
	o.keys[k.id] = k
	o.keyOrder = append(o.keyOrder, k)
	o.keyNames[k.name] = k.id
	for _, a := range k.addresses {
		o.keyAddress[a.Address] = k.id
	}
}

// findKey resolves what clients call signWith: a private key id, or one of
// its addresses.
func (o *organization) findKey(with string) *privateKey {
	if kid, ok := parseID(with); ok {
		return o.keys[kid]
	}
	if kid, ok := o.keyAddress[with]; ok {
		return o.keys[kid]
	}
	return nil
}

func millis(t time.Time) int64 { return t.UnixMilli() }
