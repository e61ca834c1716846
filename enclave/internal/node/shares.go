package node

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/seal"
)

// A publicShare is what is public of a share, as it is recorded.
type publicShare struct {
	Curve     uint8          `cbor:"1,keyasint"`
	Threshold int            `cbor:"2,keyasint"`
	Public    []byte         `cbor:"3,keyasint"`
	ChainCode []byte         `cbor:"4,keyasint"`
	Members   []memberRecord `cbor:"5,keyasint"`
	Self      string         `cbor:"6,keyasint"`
}

type memberRecord struct {
	_      struct{} `cbor:",toarray"`
	Party  string
	X      []byte
	Public []byte
}

// A shareBlob is the plaintext of a sealed share.
type shareBlob struct {
	Public publicShare `cbor:"1,keyasint"`
	Secret []byte      `cbor:"2,keyasint"`
	State  []byte      `cbor:"3,keyasint,omitempty"` // of the engine
}

func publicOf(share *mpc.Share) publicShare {
	p := publicShare{
		Curve: uint8(share.Curve), Threshold: share.Threshold, Public: share.Public, ChainCode: share.ChainCode, Self: share.Self.String(),
	}
	for _, m := range share.Members {
		p.Members = append(p.Members, memberRecord{Party: m.Party.String(), X: m.X[:], Public: m.Public})
	}
	return p
}

// share makes the share without what is secret.
func (p *publicShare) share() (*mpc.Share, error) {
	self, err := mpc.ParsePartyID(p.Self)
	if err != nil {
		return nil, fmt.Errorf("self: %w", err)
	}
	share := &mpc.Share{Curve: keys.Curve(p.Curve), Threshold: p.Threshold, Public: p.Public, ChainCode: p.ChainCode, Self: self}
	for _, m := range p.Members {
		party, err := mpc.ParsePartyID(m.Party)
		if err != nil || len(m.X) != 32 {
			return nil, errors.New("a member that is none")
		}
		share.Members = append(share.Members, mpc.Member{Party: party, X: [32]byte(m.X), Public: m.Public})
	}
	return share, nil
}

func encodeShare(share *mpc.Share) []byte {
	return codec.Encode(shareBlob{Public: publicOf(share), Secret: share.Secret.Expose(), State: share.State.Expose()})
}

// decodeShare takes plain, and wipes it.
func decodeShare(plain []byte) (*mpc.Share, error) {
	defer clear(plain)
	var b shareBlob
	err := codec.Decode(plain, &b)
	defer clear(b.Secret)
	defer clear(b.State)
	if err != nil {
		return nil, errors.New("it is not a share")
	}
	share, err := b.Public.share()
	if err != nil {
		return nil, err
	}
	share.Secret = keys.NewSecret(b.Secret)
	if len(b.State) > 0 {
		share.State = keys.NewSecret(b.State)
	}
	return share, nil
}

func shareObject(id uid, number uint64) seal.Object {
	return seal.Object{Kind: seal.NodeShare, ID: id[:], Version: number}
}

// load opens the share of a key. The caller erases it.
func (s *Service) load(ctx context.Context, h *held) (*mpc.Share, error) {
	plain, err := s.openBlob(ctx, shareObject(h.id, h.share.number), h.share.blob)
	if err != nil {
		return nil, err
	}
	share, err := decodeShare(plain)
	if err != nil {
		return nil, fmt.Errorf("internal error: sealed share: %w", err)
	}
	if share.KeyTag() != h.share.tag || share.Self != h.party {
		share.Erase()
		return nil, errors.New("internal error: the sealed share is of another key")
	}
	return share, nil
}

// A shareEntry gives a key its share. It makes the key when that is not there.
type shareEntry struct {
	Key    uid         `cbor:"1,keyasint"`
	Owner  uid         `cbor:"2,keyasint"`
	Blob   [32]byte    `cbor:"3,keyasint"`
	Number uint64      `cbor:"4,keyasint"` // of the version
	Share  publicShare `cbor:"5,keyasint"`
	Policy *uid        `cbor:"6,keyasint,omitempty"` // that the key is to have; nil leaves what it has
	// After is the tag of the version that this one follows from.
	After *[32]byte `cbor:"7,keyasint,omitempty"`
}

// keepTime is what a finished operation has to make its result durable, also
// when the caller has gone: the other parties count on it.
const keepTime = 30 * time.Second

// keep seals a new share, and records it. What e does not say follows from the
// share. judge may refuse under the lock.
func (s *Service) keep(ctx context.Context, e shareEntry, share *mpc.Share, judge func(st *state) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTime)
	defer cancel()
	if err := checkShare(share); err != nil {
		return err
	}
	plain := encodeShare(share)
	defer clear(plain)
	blob, err := s.Sealer.Seal(shareObject(e.Key, e.Number), plain)
	if err != nil {
		return err
	}
	if err := s.putBlob(ctx, blob); err != nil {
		return err
	}
	e.Blob, e.Share = sha256.Sum256(blob), publicOf(share)
	return record(ctx, s, EntryShare, func(st *state) (shareEntry, error) {
		if st.users.byID[e.Owner] == nil {
			return e, noKey()
		}
		return e, judge(st)
	})
}

// checkShare looks at what the runner made: a share that does not belong to its
// public share would be found only when it is needed.
func checkShare(share *mpc.Share) error {
	at := share.Member(share.Self)
	if at < 0 || len(share.ChainCode) != 32 || share.Threshold < mpc.MinThreshold || share.Threshold > len(share.Members) {
		return errors.New("internal error: the new share is not well formed")
	}
	public, err := keys.ScalarPublic(share.Curve, share.Secret)
	if err != nil || !bytes.Equal(public, share.Members[at].Public) {
		return errors.New("internal error: the new share does not belong to its public share")
	}
	return nil
}

func applyShare(st *state, e *shareEntry, _ int64) error {
	share, err := e.Share.share()
	if err != nil {
		return err
	}
	owner := st.users.byID[e.Owner]
	if owner == nil {
		return errors.New("a share of no user")
	}
	k := st.keys.byID[e.Key]
	if k == nil {
		k = &key{id: e.Key, owner: owner, curve: share.Curve, party: share.Self}
		st.addKey(k)
	}
	if k.share != nil || k.party != share.Self || k.owner != owner {
		return errors.New("a share of another key")
	}
	k.share = &shareInfo{
		blob: e.Blob, number: e.Number, threshold: share.Threshold, members: share.Members,
		public: share.Public, chainCode: share.ChainCode, tag: share.KeyTag(),
	}
	k.version = st.versionOf(k.share.tag)
	k.version.keys, k.version.members = append(k.version.keys, k), share.Members
	if !slices.Contains(k.version.mine, share.Self) {
		k.version.mine = append(k.version.mine, share.Self)
	}
	if e.Policy != nil {
		k.setPolicy(st.policies.byID[*e.Policy])
	}
	k.version.policy = k.policy
	if e.After != nil {
		before := st.versionOf(*e.After)
		before.outdated = true
		k.version.lineage = before.lineage
	}
	return nil
}

// addKey begins a key.
func (st *state) addKey(k *key) {
	st.keys.add(k.id, k)
	st.parties[k.party] = k
	k.owner.keys++
}
