package org

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/journal"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/seal"
	"github.com/sallyport/sallyport/enclave/wire"
)

// A heldShare is this member's share of a key of the group.
type heldShare struct {
	key  id
	blob [32]byte
}

// A shareEntry records it. The key may never come to be: then nothing names the share.
type shareEntry struct {
	Organization id       `cbor:"1,keyasint"`
	Key          id       `cbor:"2,keyasint"`
	Tag          [32]byte `cbor:"3,keyasint"`
	Blob         [32]byte `cbor:"4,keyasint"`
}

func (s *Service) replayShare(e journal.Entry) error {
	var in shareEntry
	if err := codec.Decode(e.Body, &in); err != nil || s.order == nil {
		return wire.Errorf(wire.Internal, "", "journal entry %d: not a share of a key group", e.Index)
	}
	s.held[in.Tag] = heldShare{in.Key, in.Blob}
	return nil
}

// A jointKey is what is public of a key of the group, beside its public key.
type jointKey struct {
	ChainCode []byte        `cbor:"1,keyasint"`
	Members   []jointMember `cbor:"2,keyasint"`
}

type jointMember struct {
	_      struct{} `cbor:",toarray"`
	Party  string
	X      []byte
	Public []byte
}

func jointOf(share *mpc.Share) *jointKey {
	k := &jointKey{ChainCode: share.ChainCode}
	for _, m := range share.Members {
		k.Members = append(k.Members, jointMember{Party: m.Party.String(), X: m.X[:], Public: m.Public})
	}
	return k
}

// share is the share without what is secret.
func (k *jointKey) share(curve keys.Curve, threshold int, public []byte) (*mpc.Share, error) {
	share := &mpc.Share{Curve: curve, Threshold: threshold, Public: public, ChainCode: k.ChainCode}
	for _, m := range k.Members {
		party, err := mpc.ParsePartyID(m.Party)
		if err != nil || len(m.X) != 32 {
			return nil, errors.New("a member that is none")
		}
		share.Members = append(share.Members, mpc.Member{Party: party, X: [32]byte(m.X), Public: m.Public})
	}
	return share, nil
}

// A shareBlob is the plaintext of a sealed share.
type shareBlob struct {
	Curve     uint8    `cbor:"1,keyasint"`
	Threshold int      `cbor:"2,keyasint"`
	Public    []byte   `cbor:"3,keyasint"`
	Joint     jointKey `cbor:"4,keyasint"`
	Self      string   `cbor:"5,keyasint"`
	Secret    []byte   `cbor:"6,keyasint"`
	State     []byte   `cbor:"7,keyasint,omitempty"` // of the engine
}

// heldObject names a sealed share: by its key, and the version that the tag is of.
func heldObject(org, key id, tag [32]byte) seal.Object {
	return seal.Object{Kind: seal.Share, Org: org[:], ID: append(key[:len(key):len(key)], tag[:16]...), Version: shareVersion}
}

// keepTime is what a member has to make a new share durable, also when whoever asked
// for it has gone: the others count on it.
const keepTime = 30 * time.Second

// keepShare seals a new share and records it.
func (s *Service) keepShare(ctx context.Context, p *part, share *mpc.Share) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTime)
	defer cancel()
	tag := share.KeyTag()
	plain := codec.Encode(shareBlob{
		Curve: uint8(share.Curve), Threshold: share.Threshold, Public: share.Public, Joint: *jointOf(share), Self: share.Self.String(),
		Secret: share.Secret.Expose(), State: share.State.Expose(),
	})
	defer clear(plain)
	blob, err := s.Sealer.Seal(heldObject(p.Organization, p.keyID, tag), plain)
	if err != nil {
		return err
	}
	if err := s.shares.put(ctx, blob); err != nil {
		return err
	}
	entry := shareEntry{Organization: p.Organization, Key: p.keyID, Tag: tag, Blob: sha256.Sum256(blob)}
	s.mu.Lock()
	t, err := s.propose(EntryKeyShare, func(uint64, int64) ([]byte, error) { return codec.Encode(entry), nil })
	if err == nil {
		s.held[tag] = heldShare{p.keyID, entry.Blob}
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if err := s.journal.Wait(ctx, t); err != nil {
		return s.unavailable(err)
	}
	return nil
}

// loadShare opens this member's share of a key. The caller erases it.
func (s *Service) loadShare(ctx context.Context, p *part) (*mpc.Share, error) {
	s.mu.RLock()
	held, ok := s.held[*p.key.tag]
	s.mu.RUnlock()
	if !ok || held.key != p.keyID {
		return nil, wire.Errorf(wire.FailedPrecondition, reasonNoShare, "node %s has no share of private key %s", s.Group.self, p.keyID)
	}
	blob, err := s.shares.get(ctx, held.blob)
	if err != nil {
		return nil, err
	}
	plain, err := s.Sealer.Open(heldObject(p.Organization, p.keyID, *p.key.tag), blob)
	if err != nil {
		return nil, errBlobLost
	}
	share, err := decodeShare(plain)
	if err != nil {
		return nil, err
	}
	if share.KeyTag() != *p.key.tag || share.Self.Node != s.Group.self || share.Member(share.Self) < 0 || !bytes.Equal(share.Public, p.key.public) {
		share.Erase()
		return nil, errors.New("internal error: the sealed share is of another key")
	}
	return share, nil
}

// decodeShare takes plain, and wipes it.
func decodeShare(plain []byte) (*mpc.Share, error) {
	defer clear(plain)
	var b shareBlob
	err := codec.Decode(plain, &b)
	defer clear(b.Secret)
	defer clear(b.State)
	if err != nil {
		return nil, errors.New("internal error: sealed share: it is none")
	}
	share, err := b.Joint.share(keys.Curve(b.Curve), b.Threshold, b.Public)
	if err != nil {
		return nil, err
	}
	if share.Self, err = mpc.ParsePartyID(b.Self); err != nil {
		return nil, err
	}
	share.Secret = keys.NewSecret(b.Secret)
	if len(b.State) > 0 {
		share.State = keys.NewSecret(b.State)
	}
	return share, nil
}

// heldCall asks whether a member has its share of a key, durably.
type (
	heldCall struct {
		Tag [32]byte `cbor:"1,keyasint"`
	}
	heldAnswer struct {
		Held bool `cbor:"1,keyasint"`
	}
)

func (s *Service) onHeld(ctx context.Context, _ mpc.NodeID, q *heldCall) (*heldAnswer, error) {
	s.mu.RLock()
	_, ok := s.held[q.Tag]
	s.mu.RUnlock()
	return &heldAnswer{ok}, s.durable(ctx)
}
