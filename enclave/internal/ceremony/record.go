package ceremony

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/journal"
)

// entryManifest records the manifest in force. It is entry 0 of every journal.
const entryManifest journal.Kind = 1

// A manifestEntry is the body of such an entry.
type manifestEntry struct {
	Manifest []byte `cbor:"1,keyasint"`
	Identity []byte `cbor:"2,keyasint"` // name of the sealed identity blob
	// Signatures are the operators', which verify again at every replay.
	Signatures []signatureRecord `cbor:"3,keyasint,omitempty"`
}

type signatureRecord struct {
	_         struct{} `cbor:",toarray"`
	PublicKey []byte
	Signature []byte
}

func signatureRecords(s *attestation.Signed) (out []signatureRecord) {
	for _, sig := range s.Signatures {
		out = append(out, signatureRecord{PublicKey: sig.PublicKey, Signature: sig.Signature})
	}
	return out
}

func (e *manifestEntry) signed() (*attestation.Signed, error) {
	s := &attestation.Signed{Manifest: e.Manifest}
	for _, r := range e.Signatures {
		s.Signatures = append(s.Signatures, attestation.OperatorSignature{PublicKey: r.PublicKey, Signature: r.Signature})
	}
	return attestation.ParseSigned(s.Encode())
}

// succeed wants the manifest of this boot to be the recorded one or its successor.
func (a *Appliance) succeed(ctx context.Context, j *journal.Journal, m *attestation.Manifest, record *manifestRecord) error {
	if bytes.Equal(record.last.Manifest, a.boot.Manifest) {
		return nil
	}
	recorded, err := attestation.ParseManifest(record.last.Manifest)
	if err == nil {
		err = a.signed.Succeeds(recorded)
	}
	if err == nil && recorded.Version == 0 && !bytes.Equal(m.Genesis, genesisOf(m, record.last.Identity, attestation.Hash(record.last.Manifest))) {
		err = errors.New("genesis: is not the outcome of the genesis that the journal records")
	}
	if err != nil {
		return fmt.Errorf("the journal records another manifest than the one this enclave booted with, and that is no successor: %w", err)
	}
	t, err := j.Propose(entryManifest, func(uint64, int64) ([]byte, error) {
		return codec.Encode(manifestEntry{Manifest: a.boot.Manifest, Identity: record.last.Identity, Signatures: signatureRecords(a.signed)}), nil
	})
	if err != nil {
		return err
	}
	return j.Wait(ctx, t)
}

// A manifestRecord is what a journal says of its manifests: each follows the
// one before.
type manifestRecord struct{ last manifestEntry }

func (r *manifestRecord) replay(e journal.Entry) error {
	if e.Kind != entryManifest {
		return fmt.Errorf("kind %d does not belong here", e.Kind)
	}
	var next manifestEntry
	if err := codec.Decode(e.Body, &next); err != nil {
		return fmt.Errorf("manifest entry: %w", err)
	}
	signed, err := next.signed()
	if err == nil && e.Index == 0 {
		_, err = signed.Verify()
	}
	if err == nil && e.Index > 0 {
		var prev *attestation.Manifest
		if prev, err = attestation.ParseManifest(r.last.Manifest); err == nil {
			err = signed.Succeeds(prev)
		}
	}
	if err != nil {
		return fmt.Errorf("manifest entry: %w", err)
	}
	r.last = next
	return nil
}
