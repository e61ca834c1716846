package ceremony

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/platform"
	"github.com/sallyport/sallyport/enclave/internal/seal"
	"github.com/sallyport/sallyport/enclave/wire"
)

// An identity is the appliance's long-lived keys. They are random, not
// derived, so that they outlive a change of the root.
type identity struct {
	quorum     *ecdsa.PrivateKey // signs export bundles, opens imports
	checkpoint *ecdsa.PrivateKey // signs the journal's checkpoints
}

// An identityBlob is the plaintext of the sealed identity.
type identityBlob struct {
	Quorum     []byte `cbor:"1,keyasint"` // scalar, 32 bytes
	Checkpoint []byte `cbor:"2,keyasint"`
}

// identityObject names the identity among the sealed objects.
var identityObject = seal.Object{Kind: seal.Identity, Version: 1}

func newIdentity() (*identity, error) {
	quorum, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	checkpoint, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return &identity{quorum, checkpoint}, nil
}

// seal gives the identity as a blob for the host.
func (i *identity) seal(sealer *seal.Sealer) ([]byte, error) {
	q, err := i.quorum.Bytes()
	if err != nil {
		return nil, err
	}
	c, err := i.checkpoint.Bytes()
	if err != nil {
		return nil, err
	}
	plain := codec.Encode(identityBlob{q, c})
	defer clear(plain)
	return sealer.Seal(identityObject, plain)
}

// under seals a new identity under a root. It also returns the sealer of that root, and
// the blob's name.
func (i *identity) under(p *platform.Platform, m *attestation.Manifest, root []byte) (sealer *seal.Sealer, blob, name []byte, err error) {
	if sealer, err = newSealer(p, m, root); err != nil {
		return nil, nil, nil, err
	}
	if blob, err = i.seal(sealer); err != nil {
		return nil, nil, nil, err
	}
	sum := sha256.Sum256(blob)
	return sealer, blob, sum[:], nil
}

// loadIdentity gets the identity from the host by its name and opens it.
func loadIdentity(ctx context.Context, host wire.Host, sealer *seal.Sealer, name []byte) (*identity, error) {
	blobs, err := host.GetBlobs(ctx, [][]byte{name})
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	if len(blobs) != 1 {
		return nil, errors.New("identity: the host gave no blob")
	}
	if sum := sha256.Sum256(blobs[0]); !bytes.Equal(sum[:], name) {
		return nil, errors.New("identity: the host gave another blob")
	}
	plain, err := sealer.Open(identityObject, blobs[0])
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	defer clear(plain)
	var b identityBlob
	if err := codec.Decode(plain, &b); err != nil {
		return nil, errors.New("identity: not an identity")
	}
	quorum, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), b.Quorum)
	if err != nil {
		return nil, errors.New("identity: not a quorum key")
	}
	checkpoint, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), b.Checkpoint)
	if err != nil {
		return nil, errors.New("identity: not a checkpoint key")
	}
	return &identity{quorum, checkpoint}, nil
}

// public gives both public keys, SEC 1 uncompressed, 65 bytes.
func (i *identity) public() (quorum, checkpoint []byte, err error) {
	if quorum, err = i.quorum.PublicKey.Bytes(); err != nil {
		return nil, nil, err
	}
	checkpoint, err = i.checkpoint.PublicKey.Bytes()
	return quorum, checkpoint, err
}

// matches refuses a root that does not yield the keys that the manifest names.
func (i *identity) matches(m *attestation.Manifest) error {
	quorum, checkpoint, err := i.public()
	if err != nil {
		return err
	}
	if !bytes.Equal(quorum, m.QuorumPublicKey) || !bytes.Equal(checkpoint, m.CheckpointPublicKey) {
		return errors.New("identity: the root does not yield the keys that the manifest names")
	}
	return nil
}

// genesisHash is the hash of a genesis outcome: what was made, by its public
// names. lp is a 4-byte big-endian length and the bytes.
func genesisHash(parts ...[]byte) []byte {
	h := sha256.New()
	h.Write([]byte("sallyport genesis v1"))
	for _, part := range parts {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(part)))
		h.Write(n[:])
		h.Write(part)
	}
	return h.Sum(nil)
}
