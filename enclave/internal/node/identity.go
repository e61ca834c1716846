package node

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"sync"

	"github.com/sallyport/sallyport/enclave/internal/seal"
)

// An identity is the key that signs questions to rule servers. It is made when
// it is first needed, sealed, and named in the journal.
type identity struct {
	mu  sync.Mutex
	key *ecdsa.PrivateKey
}

// An identityEntry names the sealed blob with the key's scalar, 32 bytes.
type identityEntry struct {
	Blob [32]byte `cbor:"1,keyasint"`
}

var identityObject = seal.Object{Kind: seal.NodeIdentity, Version: 1}

func applyIdentity(st *state, e *identityEntry, _ int64) error {
	if st.identity != [32]byte{} {
		return errors.New("a second identity")
	}
	st.identity = e.Blob
	return nil
}

// identityKey loads the key, or makes it.
func (s *Service) identityKey(ctx context.Context) (*ecdsa.PrivateKey, error) {
	s.signer.mu.Lock()
	defer s.signer.mu.Unlock()
	if s.signer.key != nil {
		return s.signer.key, nil
	}
	s.mu.RLock()
	name := s.state.identity
	s.mu.RUnlock()
	var err error
	if name == [32]byte{} {
		s.signer.key, err = s.makeIdentity(ctx)
	} else {
		s.signer.key, err = s.loadIdentity(ctx, name)
	}
	return s.signer.key, err
}

func (s *Service) makeIdentity(ctx context.Context) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), s.Rand)
	if err != nil {
		return nil, err
	}
	scalar, err := key.Bytes()
	if err != nil {
		return nil, err
	}
	defer clear(scalar)
	blob, err := s.Sealer.Seal(identityObject, scalar)
	if err != nil {
		return nil, err
	}
	if err := s.putBlob(ctx, blob); err != nil {
		return nil, err
	}
	err = record(ctx, s, EntryIdentity, func(*state) (identityEntry, error) { return identityEntry{sha256.Sum256(blob)}, nil })
	if err != nil {
		return nil, err
	}
	return key, nil
}

func (s *Service) loadIdentity(ctx context.Context, name [32]byte) (*ecdsa.PrivateKey, error) {
	scalar, err := s.openBlob(ctx, identityObject, name)
	if err != nil {
		return nil, err
	}
	defer clear(scalar)
	return ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
}

func getIdentity(s *Service, ctx context.Context, _ *call) (any, error) {
	key, err := s.identityKey(ctx)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	return map[string]string{"pubkey": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}, nil
}
