package node

import (
	"context"
	"encoding/base64"
	"encoding/hex"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/seal"
)

// Values of export_type. A share never leaves in the clear.
const (
	typeEncrypted = "encrypted"
	typePlaintext = "plaintext"
)

var backupObject = seal.Object{Kind: seal.NodeBackup, Version: 1}

// A backupBlob is the plaintext of a backup, sealed under the appliance's root.
type backupBlob struct {
	Owner  uid      `cbor:"1,keyasint"`
	Number uint64   `cbor:"2,keyasint"` // of the version
	Tag    [32]byte `cbor:"3,keyasint"`
	Share  []byte   `cbor:"4,keyasint"` // a shareBlob
}

type backupResult struct {
	Type  string `json:"export_type"`
	Share string `json:"key_share"` // base64
}

func (s *Service) backupsAllowed() error {
	if !s.Rules.Backup {
		return refuse(typeBackupDisabled, "this node's manifest does not allow backups of shares")
	}
	return nil
}

// backup seals a share so that only this appliance opens it.
func backup(s *Service, ctx context.Context, c *call) (any, error) {
	if err := s.backupsAllowed(); err != nil {
		return nil, err
	}
	h, err := s.holdReady(c, c.id)
	if err != nil {
		return nil, err
	}
	if h.outdated {
		return nil, errOutdated()
	}
	request := map[string]any{"key_id": h.id, "pubkey": hex.EncodeToString(h.share.public)}
	if err := s.ask(ctx, h, &question{action: "backup_" + c.scheme.name, request: request}); err != nil {
		return nil, err
	}
	share, err := s.load(ctx, h)
	if err != nil {
		return nil, err
	}
	defer share.Erase()
	inner := encodeShare(share)
	defer clear(inner)
	plain := codec.Encode(backupBlob{c.user, h.share.number, h.share.tag, inner})
	defer clear(plain)
	sealed, err := s.Sealer.Seal(backupObject, plain)
	if err != nil {
		return nil, err
	}
	terms := mpc.Terms{Operation: "backup", Details: [][]byte{h.share.tag[:]}}
	err = record(ctx, s, EntryContribution, func(st *state) (contributionEntry, error) {
		e := contributionEntry{Key: h.id, Operation: terms.Operation, Terms: termsHash(terms)}
		if k := st.keys.byID[h.id]; k == nil || k.version.superseded {
			return e, errSuperseded()
		}
		return e, nil
	})
	return backupResult{typeEncrypted, base64.StdEncoding.EncodeToString(sealed)}, err
}

func errOutdated() error {
	return refuse(typePolicy, "the share is of a version that was refreshed or reshared since; it is not taken back")
}

// restore takes a share back from a backup, under a new id. What the journal
// knows of its version still holds: exported keys stay exported, and versions
// that were refreshed or reshared do not come back.
func restore(s *Service, ctx context.Context, c *call) (any, error) {
	if err := s.backupsAllowed(); err != nil {
		return nil, err
	}
	var in struct {
		Type  string `json:"export_type" strict:"required"`
		Share []byte `json:"key_share" strict:"required"`
	}
	if err := c.read(&in); err != nil {
		return nil, err
	}
	switch in.Type {
	case typeEncrypted:
	case typePlaintext:
		return nil, bad("export_type: shares in plaintext are neither made nor taken here")
	default:
		return nil, bad("export_type: must be %s", typeEncrypted)
	}
	b, share, err := s.openBackup(c, in.Share)
	if err != nil {
		return nil, err
	}
	defer share.Erase()
	e := shareEntry{Owner: c.user, Number: b.Number}
	if e.Key, err = newID(s.Rand); err != nil {
		return nil, err
	}
	rules, err := s.restorable(c, b.Tag, &e)
	if err != nil {
		return nil, err
	}
	request := map[string]any{"key_id": e.Key, "pubkey": hex.EncodeToString(share.Public)}
	if err := s.ask(ctx, &held{rules: rules}, &question{action: "restore_" + c.scheme.name, request: request}); err != nil {
		return nil, err
	}
	err = s.keep(ctx, e, share, func(st *state) error { return st.restorable(b.Tag) })
	return map[string]uid{"key_id": e.Key}, err
}

// openBackup opens what a user of this appliance has put aside.
func (s *Service) openBackup(c *call, sealed []byte) (*backupBlob, *mpc.Share, error) {
	plain, err := s.Sealer.Open(backupObject, sealed)
	if err != nil {
		return nil, nil, bad("key_share: is not a backup that this appliance made")
	}
	defer clear(plain)
	b := new(backupBlob)
	if err := codec.Decode(plain, b); err != nil {
		return nil, nil, bad("key_share: is not a backup of this release")
	}
	share, err := decodeShare(b.Share)
	if err != nil {
		return nil, nil, bad("key_share: is not a backup of this release")
	}
	if b.Owner != c.user || share.Curve != c.scheme.curve || share.KeyTag() != b.Tag {
		share.Erase()
		return nil, nil, bad("key_share: is not a backup of a %s key of this user", c.scheme.name)
	}
	return b, share, nil
}

// restorable also finds the policy that the share is to have again.
func (s *Service) restorable(c *call, tag [32]byte, e *shareEntry) ([]rule, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.state.restorable(tag); err != nil {
		return nil, err
	}
	if v := s.state.versions[tag]; v != nil && v.policy != nil {
		id := v.policy.id
		e.Policy = &id
		return v.policy.copies(), nil
	}
	if u := s.state.users.byID[c.user]; u != nil {
		return u.policy.copies(), nil
	}
	return nil, nil
}

func (st *state) restorable(tag [32]byte) error {
	switch v := st.versions[tag]; {
	case v == nil:
		return nil
	case v.outdated || v.superseded:
		return errOutdated()
	case len(v.keys) > 0:
		return refuse(typeUnique, "key_share: this node has the share, as key %s", v.keys[0].id)
	}
	return nil
}
