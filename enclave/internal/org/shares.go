package org

import (
	"context"
	"crypto/sha256"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/seal"
	"github.com/sallyport/sallyport/enclave/wire"
)

// A shareStore keeps sealed shares, each a blob of its own.
type shareStore struct {
	*blobStore
	sealer *seal.Sealer
}

// shareVersion is the object version of shares that were never refreshed.
const shareVersion = 1

func shareObject(org, key id, index uint8) seal.Object {
	return seal.Object{
		Kind: seal.Share, Org: org[:], ID: append(key[:len(key):len(key)], index), Version: shareVersion,
	}
}

// sealShares seals the shares of one key.
func (st *shareStore) sealShares(org, key id, shares []keys.Share) (names [][32]byte, blobs [][]byte, err error) {
	for _, share := range shares {
		blob, err := st.sealer.Seal(shareObject(org, key, share.Index), share.Value.Expose())
		if err != nil {
			return nil, nil, err
		}
		names = append(names, sha256.Sum256(blob))
		blobs = append(blobs, blob)
	}
	return names, blobs, nil
}

// use combines a key for the length of f, compared with its public key. What
// the combined key leaves in registers, on the stack and on the heap is erased
// where the toolchain can; the shares are opened outside that, because every
// allocation inside costs the collector a record of its own.
func (st *shareStore) use(ctx context.Context, org id, k *privateKey, f func(*keys.Secret) error) error {
	shares, err := st.gather(ctx, org, k)
	defer func() {
		for _, share := range shares {
			share.Value.Erase()
		}
	}()
	if err != nil {
		return err
	}
	keys.WithSecret(func() {
		var secret *keys.Secret
		if secret, err = keys.Combine(k.curve, shares, k.full); err != nil {
			err = wire.Errorf(wire.FailedPrecondition, "", "private key %s: the shares do not give its public key", k.id)
			return
		}
		defer secret.Erase()
		err = f(secret)
	})
	return err
}

// gather opens as many shares as the key needs; any of them will do.
func (st *shareStore) gather(ctx context.Context, org id, k *privateKey) ([]keys.Share, error) {
	shares := make([]keys.Share, 0, k.threshold)
	var transient error
	for i := 0; i < len(k.shares) && len(shares) < k.threshold; i++ {
		value, err := st.open(ctx, org, k, i)
		if err == nil {
			shares = append(shares, keys.Share{Index: uint8(i + 1), Value: value})
		} else if e, ok := err.(*wire.Error); !ok || e.Code != wire.NotFound {
			transient = err
		}
	}
	switch {
	case len(shares) == k.threshold:
		return shares, nil
	case transient != nil:
		return shares, wire.Errorf(wire.Unavailable, "", "the store did not give the shares of private key %s; repeat the same request", k.id)
	}
	return shares, wire.Errorf(wire.FailedPrecondition, "", "private key %s: %d shares are needed, %d are left", k.id, k.threshold, len(shares))
}

func (st *shareStore) open(ctx context.Context, org id, k *privateKey, i int) (*keys.Secret, error) {
	blob, err := st.get(ctx, k.shares[i])
	if err != nil {
		return nil, err
	}
	raw, err := st.sealer.Open(shareObject(org, k.id, uint8(i+1)), blob)
	if err != nil {
		return nil, errBlobLost
	}
	return keys.NewSecret(raw), nil
}
