package org

import (
	"context"
	"crypto/sha256"
	"sync"

	"github.com/sallyport/sallyport/enclave/wire"
)

// A blobStore keeps blobs at the host by their SHA-256, and a bounded number
// of them in memory. What is secret in a blob is sealed, also in memory.
type blobStore struct {
	host wire.Host

	mu    sync.Mutex
	cache map[[32]byte][]byte
	order [][32]byte // oldest first, a ring
	next  int
}

// cachedBlobs bounds the cache; nearly all are shares, of about 350 bytes.
const cachedBlobs = 1 << 16

func newBlobStore(host wire.Host) *blobStore {
	return &blobStore{host: host, cache: map[[32]byte][]byte{}}
}

// put makes blobs durable at the host.
func (st *blobStore) put(ctx context.Context, blobs ...[]byte) error {
	if err := st.host.PutBlobs(ctx, blobs); err != nil {
		return wire.Errorf(wire.Unavailable, "", "the store did not keep what the activity needs; repeat the same request")
	}
	for _, blob := range blobs {
		st.remember(sha256.Sum256(blob), blob)
	}
	return nil
}

// has tells whether a blob is known to be durable.
func (st *blobStore) has(name [32]byte) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	_, ok := st.cache[name]
	return ok
}

func (st *blobStore) remember(name [32]byte, blob []byte) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if _, ok := st.cache[name]; ok {
		return
	}
	if len(st.order) < cachedBlobs {
		st.order = append(st.order, name)
	} else {
		delete(st.cache, st.order[st.next])
		st.order[st.next] = name
		st.next = (st.next + 1) % cachedBlobs
	}
	st.cache[name] = blob
}

// get returns a blob, from memory or from the host. What the host
// gives must hash to the name.
func (st *blobStore) get(ctx context.Context, name [32]byte) ([]byte, error) {
	st.mu.Lock()
	blob, ok := st.cache[name]
	st.mu.Unlock()
	if ok {
		return blob, nil
	}
	blobs, err := st.host.GetBlobs(ctx, [][]byte{name[:]})
	if err != nil {
		return nil, err
	}
	if len(blobs) != 1 || sha256.Sum256(blobs[0]) != name {
		return nil, errBlobLost
	}
	st.remember(name, blobs[0])
	return blobs[0], nil
}

var errBlobLost = wire.Errorf(wire.NotFound, "", "blob is missing or damaged")
