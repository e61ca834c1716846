package node

import (
	"slices"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// A state is the replay of the journal's entries. Service.mu guards all of it.
type state struct {
	identity [32]byte // name of the sealed identity blob; zero: not made yet

	users     *list[user]
	userNames map[string]*user
	apiKeys   map[[32]byte]*user // by SHA-256 of the key
	stampKeys map[stampKey]*user

	rules    *list[rule]
	policies *list[policy]

	keys     *list[key]
	parties  map[mpc.PartyID]*key
	versions map[[32]byte]*version // by key tag

	nonces map[[32]byte]bool // of stamps, until they are too old anyway
	recent []recentNonce     // the same, oldest first
}

func newState() *state {
	return &state{
		users: newList[user](), userNames: map[string]*user{}, apiKeys: map[[32]byte]*user{}, stampKeys: map[stampKey]*user{},
		rules: newList[rule](), policies: newList[policy](),
		keys: newList[key](), parties: map[mpc.PartyID]*key{}, versions: map[[32]byte]*version{},
		nonces: map[[32]byte]bool{},
	}
}

// A list is things by id, in the order in which they were made.
type list[T any] struct {
	byID  map[uid]*T
	order []*T
}

func newList[T any]() *list[T] { return &list[T]{byID: map[uid]*T{}} }

func (l *list[T]) add(id uid, v *T) {
	l.byID[id] = v
	l.order = append(l.order, v)
}

func (l *list[T]) remove(id uid) {
	v := l.byID[id]
	delete(l.byID, id)
	if i := slices.Index(l.order, v); i >= 0 {
		l.order = slices.Delete(l.order, i, i+1)
	}
}

// A user owns key shares.
type user struct {
	id       uid
	name     string // may be empty
	apiKeys  [][32]byte
	stampKey *stampKey
	policy   *policy // of its keys that have none of their own
	keys     int
}

// A rule asks a rule server.
type rule struct {
	id       uid
	name     string
	alg      string
	url      string
	pubkey   string // PEM
	policies int    // that have it
}

// A policy is rules that must all pass.
type policy struct {
	id          uid
	name        string
	rules       []*rule
	users, keys int // that it is attached to
}

// A key is this node's share of one version of a key, or the id that one begins with.
type key struct {
	id      uid
	owner   *user
	curve   keys.Curve
	party   mpc.PartyID // keygen id and export id
	policy  *policy     // its own
	share   *shareInfo  // nil before keygen
	version *version
}

// A shareInfo is what is public of a share, and where it is.
type shareInfo struct {
	blob      [32]byte // name of the sealed share
	number    uint64   // of the version: 1, and one more with each refresh or reshare
	threshold int
	members   []mpc.Member
	public    []byte
	chainCode []byte
	tag       [32]byte
}

// A version is what this node knows of one version of a key, also when it has
// deleted its share. It is found by key tag.
type version struct {
	lineage    *lineage
	outdated   bool // refreshed: no backup of it is taken back
	superseded bool // reshared: its shares are not opened any more
	policy     *policy
	keys       []*key
	members    []mpc.Member
	mine       []mpc.PartyID // parties of this node, also those whose share is deleted
}

// A lineage is the versions that follow from each other by refresh and reshare:
// they have one private key, so what left with one has left with all.
type lineage struct {
	exported bool // no signing any more
}

// versionOf returns what is known of a tag, and begins it when nothing is.
func (st *state) versionOf(tag [32]byte) *version {
	v := st.versions[tag]
	if v == nil {
		v = &version{lineage: &lineage{}}
		st.versions[tag] = v
	}
	return v
}

// effective is the policy that a key is used under; nil for none.
func (k *key) effective() *policy {
	if k.policy != nil {
		return k.policy
	}
	return k.owner.policy
}

func millis(t time.Time) int64 { return t.UnixMilli() }
