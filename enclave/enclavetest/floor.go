package enclavetest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"

	"github.com/sallyport/sallyport/attestation/bundle"
	"github.com/sallyport/sallyport/enclave/internal/export"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/platform"
	"github.com/sallyport/sallyport/enclave/internal/seal"
	"github.com/sallyport/sallyport/enclave/internal/simulator"
)

// A Floor is the bare cryptography of one request, with nothing around it:
// what benchmarks measure the rest against.
type Floor struct {
	stamp, quorum, ephemeral *ecdsa.PrivateKey
	body, signature          []byte
	sealer                   *seal.Sealer
	public                   []byte
	blobs                    [][]byte
	target                   []byte
}

const floorOrganization = "00000000-0000-8000-8000-000000000000"

func floorShare(i int) seal.Object {
	return seal.Object{Kind: seal.Share, Org: make([]byte, 16), ID: append(make([]byte, 16), byte(i+1)), Version: 1}
}

// NewFloor prepares a secp256k1 key of 2 of 3 shares and a stamped body.
func NewFloor(bodySize int) (*Floor, error) {
	f := &Floor{body: make([]byte, bodySize)}
	for _, k := range []**ecdsa.PrivateKey{&f.stamp, &f.quorum, &f.ephemeral} {
		var err error
		if *k, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return nil, err
		}
	}
	var err error
	if f.signature, err = sign(f.stamp, f.body); err != nil {
		return nil, err
	}
	target, err := bundle.NewTarget(rand.Reader)
	if err != nil {
		return nil, err
	}
	f.target = target.PublicKey().Bytes()
	f.sealer = seal.New(make([]byte, 32), [16]byte{1}, platform.Local, make([]byte, 48), rand.Reader)
	return f, f.split()
}

func (f *Floor) split() error {
	secret, err := keys.Generate(keys.Secp256k1, rand.Reader)
	if err != nil {
		return err
	}
	if f.public, err = keys.PublicKey(keys.Secp256k1, secret); err != nil {
		return err
	}
	if f.public, err = keys.Uncompress(keys.Secp256k1, f.public); err != nil {
		return err
	}
	shares, err := keys.Split(keys.Secp256k1, secret, 2, 3, rand.Reader)
	if err != nil {
		return err
	}
	for i, share := range shares {
		blob, err := f.sealer.Seal(floorShare(i), share.Value.Expose())
		if err != nil {
			return err
		}
		f.blobs = append(f.blobs, blob)
	}
	return nil
}

func sign(k *ecdsa.PrivateKey, message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	return ecdsa.SignASN1(rand.Reader, k, digest[:])
}

// admit verifies the stamp, opens two shares and combines them.
func (f *Floor) admit() (*keys.Secret, error) {
	if err := f.verifyStamp(); err != nil {
		return nil, err
	}
	shares, err := f.unseal()
	if err != nil {
		return nil, err
	}
	return keys.Combine(keys.Secp256k1, shares, f.public)
}

func (f *Floor) verifyStamp() error {
	digest := sha256.Sum256(f.body)
	if !ecdsa.VerifyASN1(&f.stamp.PublicKey, digest[:], f.signature) {
		return errors.New("floor: the stamp does not verify")
	}
	return nil
}

func (f *Floor) unseal() ([]keys.Share, error) {
	shares := make([]keys.Share, 2)
	for i := range shares {
		raw, err := f.sealer.Open(floorShare(i), f.blobs[i])
		if err != nil {
			return nil, err
		}
		shares[i] = keys.Share{Index: uint8(i + 1), Value: keys.NewSecret(raw)}
	}
	return shares, nil
}

// A Step is one part of a floor.
type Step struct {
	Name string
	Run  func() error
}

// Steps are the parts that [Floor.Sign] and [Floor.Export] are sums of, and
// the attestation document that one boot needs once.
func (f *Floor) Steps() ([]Step, error) {
	shares, err := f.unseal()
	if err != nil {
		return nil, err
	}
	secret, err := keys.Combine(keys.Secp256k1, shares, f.public)
	if err != nil {
		return nil, err
	}
	module, err := simulator.New()
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(f.body)
	return []Step{
		{"stamp verify, P-256", f.verifyStamp},
		{"unseal two shares", func() error { _, err := f.unseal(); return err }},
		{"combine and compare", func() error { _, err := keys.Combine(keys.Secp256k1, shares, f.public); return err }},
		{"sign, secp256k1", func() error { _, err := keys.Sign(keys.Secp256k1, secret, digest[:]); return err }},
		{"seal, HPKE", func() error { _, err := f.seal(secret); return err }},
		{"bundle or proof signature, P-256", func() error { _, err := sign(f.ephemeral, f.body); return err }},
		{"attestation document, simulated", func() error {
			_, err := module.Attest(context.Background(), digest[:], nil, f.target)
			return err
		}},
	}, nil
}

// Sign is the cryptography of a signature with a reply proof.
func (f *Floor) Sign() error {
	secret, err := f.admit()
	if err != nil {
		return err
	}
	defer secret.Erase()
	digest := sha256.Sum256(f.body)
	if _, err := keys.Sign(keys.Secp256k1, secret, digest[:]); err != nil {
		return err
	}
	_, err = sign(f.ephemeral, f.body)
	return err
}

// Export is the cryptography of an export: the sealed key, the bundle's
// signature, and its proof.
func (f *Floor) Export() error {
	secret, err := f.admit()
	if err != nil {
		return err
	}
	defer secret.Erase()
	data, err := f.seal(secret)
	if err != nil {
		return err
	}
	if _, err := bundle.Sign(f.quorum, data); err != nil {
		return err
	}
	_, err = sign(f.ephemeral, data)
	return err
}

func (f *Floor) seal(secret *keys.Secret) ([]byte, error) {
	envelope, err := export.NewEnvelope(rand.Reader, f.target)
	if err != nil {
		return nil, err
	}
	if err := envelope.Seal(secret.Expose()); err != nil {
		return nil, err
	}
	return envelope.Data(floorOrganization)
}
