package org

import (
	"context"
	"fmt"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/wire"
)

// Every local key is split in this many shares, of which this many give it.
const (
	keyThreshold = 2
	keyShares    = 3
)

// Limits of one request and of names.
const (
	maxKeysPerRequest = 100
	maxName           = 256 // bytes
)

type createKeysIntent struct {
	PrivateKeys []keyParams `json:"privateKeys" strict:"required"`
}

type keyParams struct {
	PrivateKeyName string   `json:"privateKeyName" strict:"required"`
	Curve          string   `json:"curve" strict:"required"`
	PrivateKeyTags []string `json:"privateKeyTags"`
	AddressFormats []string `json:"addressFormats"`

	curve keys.Curve
}

// A createdKey is what the journal keeps of a new key: all but its secret.
type createdKey struct {
	Public    []byte     `cbor:"1,keyasint"`
	Threshold int        `cbor:"2,keyasint"`
	Shares    [][32]byte `cbor:"3,keyasint"`           // names of the sealed share blobs
	Joint     *jointKey  `cbor:"4,keyasint,omitempty"` // of a key group
}

type createKeysResult struct {
	Keys []createdKey `cbor:"1,keyasint"`
}

var createPrivateKeys = define("create_private_keys",
	map[string]string{"ACTIVITY_TYPE_CREATE_PRIVATE_KEYS_V2": "createPrivateKeysIntentV2"},
	spec[createKeysIntent, struct{}, createKeysResult]{
		valid:   validCreateKeys,
		check:   checkCreateKeys,
		execute: executeCreateKeys,
		joint:   jointlyCreate,
		verify:  verifyCreated,
		apply:   applyCreateKeys,
		result: func(j job, in *createKeysIntent, r createKeysResult) (string, any) {
			type item struct {
				PrivateKeyID id        `json:"privateKeyId"`
				Addresses    []address `json:"addresses"`
			}
			out := struct {
				PrivateKeys []item `json:"privateKeys"`
			}{PrivateKeys: []item{}}
			for i, k := range r.Keys {
				out.PrivateKeys = append(out.PrivateKeys, item{
					objectID("private key", j.org, j.fingerprint, i), addressesOf(&in.PrivateKeys[i], k.Public),
				})
			}
			return "createPrivateKeysResultV2", out
		},
	})

func validCreateKeys(in *createKeysIntent) error {
	if n := len(in.PrivateKeys); n == 0 || n > maxKeysPerRequest {
		return bad("bad request body: parameters.privateKeys must hold 1 to %d keys, not %d", maxKeysPerRequest, n)
	}
	names := map[string]bool{}
	for i := range in.PrivateKeys {
		p := &in.PrivateKeys[i]
		where := fmt.Sprintf("parameters.privateKeys[%d]", i)
		if err := validName(where+".privateKeyName", p.PrivateKeyName); err != nil {
			return err
		}
		if names[p.PrivateKeyName] {
			return bad("bad request body: %s.privateKeyName repeats a name of the same request", where)
		}
		names[p.PrivateKeyName] = true
		if err := p.validCurve(where); err != nil {
			return err
		}
	}
	return nil
}

func (p *keyParams) validCurve(where string) error {
	var err error
	if p.curve, err = keys.ParseCurve(p.Curve); err != nil {
		return bad("bad request body: %s.curve must be CURVE_SECP256K1, CURVE_P256 or CURVE_ED25519", where)
	}
	for j, format := range p.AddressFormats {
		if err := keys.CheckAddressFormat(format, p.curve); err != nil {
			return bad("bad request body: %s.addressFormats[%d]: %v", where, j, err)
		}
	}
	return nil
}

func checkCreateKeys(o *organization, in *createKeysIntent) (struct{}, error) {
	for i := range in.PrivateKeys {
		p := &in.PrivateKeys[i]
		if _, taken := o.keyNames[p.PrivateKeyName]; taken {
			return struct{}{}, bad("parameters.privateKeys[%d].privateKeyName is the name of another private key", i)
		}
		if len(p.PrivateKeyTags) > 0 {
			return struct{}{}, notFound("parameters.privateKeys[%d].privateKeyTags[0]: no such private key tag", i)
		}
	}
	return struct{}{}, o.group.checkJoint(in)
}

// executeCreateKeys makes the keys and stores their sealed shares. Blobs
// without a journal entry are ciphertext that nothing names: a key exists
// from its entry on.
func executeCreateKeys(ctx context.Context, s *Service, j job, in *createKeysIntent, _ struct{}) (createKeysResult, error) {
	var out createKeysResult
	var all [][]byte
	for i := range in.PrivateKeys {
		k, blobs, err := s.newKey(j.org, objectID("private key", j.org, j.fingerprint, i), in.PrivateKeys[i].curve)
		if err != nil {
			return out, err
		}
		out.Keys = append(out.Keys, k)
		all = append(all, blobs...)
	}
	return out, s.shares.put(ctx, all...)
}

func (s *Service) newKey(org, key id, curve keys.Curve) (k createdKey, blobs [][]byte, err error) {
	keys.WithSecret(func() {
		k, blobs, err = s.splitNewKey(org, key, curve)
	})
	if err != nil {
		s.Log.Error("making a private key", "error", err)
		err = wire.Errorf(wire.Internal, "", "making a private key")
	}
	return k, blobs, err
}

func (s *Service) splitNewKey(org, key id, curve keys.Curve) (k createdKey, blobs [][]byte, err error) {
	secret, err := keys.Generate(curve, s.Rand)
	if err != nil {
		return k, nil, err
	}
	defer secret.Erase()
	if k.Public, err = keys.PublicKey(curve, secret); err != nil {
		return k, nil, err
	}
	shares, err := keys.Split(curve, secret, keyThreshold, keyShares, s.Rand)
	if err != nil {
		return k, nil, err
	}
	defer func() {
		for _, share := range shares {
			share.Value.Erase()
		}
	}()
	k.Threshold = keyThreshold
	k.Shares, blobs, err = s.shares.sealShares(org, key, shares)
	return k, blobs, err
}

func applyCreateKeys(o *organization, m made, in *createKeysIntent, r createKeysResult) {
	for i, k := range r.Keys {
		p := &in.PrivateKeys[i]
		o.addKey(&privateKey{
			id: objectID("private key", o.id, m.fingerprint, i), name: p.PrivateKeyName, curve: p.curve,
			public: k.Public, addresses: addressesOf(p, k.Public), threshold: k.Threshold,
			shares: k.Shares, tag: k.tagOf(p.curve), created: m.timeMs,
		})
	}
}

func addressesOf(p *keyParams, public []byte) []address {
	out := []address{}
	for _, format := range p.AddressFormats {
		a, err := keys.Address(format, p.curve, public)
		if err != nil {
			continue // validCurve has asked before the key was made
		}
		out = append(out, address{format, a})
	}
	return out
}

// validName is the rule for names of keys, users and API keys.
func validName(where, name string) error {
	if name == "" || len(name) > maxName {
		return bad("bad request body: %s must have 1 to %d bytes", where, maxName)
	}
	for _, r := range name {
		if r < 0x20 || r == 0x7f {
			return bad("bad request body: %s must not hold control characters", where)
		}
	}
	return nil
}
