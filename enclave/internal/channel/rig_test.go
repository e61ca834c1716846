package channel

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"path/filepath"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/simulator"
)

// A side is one enclave of a test, of which parts can be exchanged.
type side struct {
	*Channels
	quorum *ecdsa.PrivateKey
	module *simulator.Simulator
}

// pairOf makes two sides that name each other; change may alter what the
// second one is, after the first was told of it.
func pairOf(t testing.TB, change func(id *Identity)) (a, b *side) {
	t.Helper()
	sides := []*side{{}, {}}
	var peers []attestation.Peer
	for _, s := range sides {
		var err error
		if s.quorum, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
		s.module = newModule(t)
		public, _ := s.quorum.PublicKey.Bytes()
		peers = append(peers, attestation.Peer{
			Name: "peer", QuorumPublicKey: public, Measurements: []attestation.Measurements{attestation.LocalMeasurements()},
			AttestationRoot: s.module.Root().Raw,
		})
	}
	for i, s := range sides {
		id := Identity{
			Quorum: s.quorum, Manifest: &attestation.Manifest{Peers: []attestation.Peer{peers[1-i]}}, ManifestHash: [32]byte{byte(i)},
			Attester: s.module, Now: time.Now,
		}
		if i == 1 && change != nil {
			change(&id)
		}
		var err error
		if s.Channels, err = New(id); err != nil {
			t.Fatal(err)
		}
	}
	return sides[0], sides[1]
}

func newModule(t testing.TB) *simulator.Simulator {
	t.Helper()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "root.pem"), filepath.Join(dir, "root.key")
	if err := simulator.Create(cert, key); err != nil {
		t.Fatal(err)
	}
	m, err := simulator.Load(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func node(k *ecdsa.PrivateKey) mpc.NodeID { return nodeID(&k.PublicKey) }

// pairs counts what a side has with the other.
func (s *side) pairs(other *side) int { return len(s.IDs(node(other.quorum))) }

// shake carries a handshake from a to b and returns its three messages.
func shake(t testing.TB, a, b *side) (steps [][]byte, err error) {
	t.Helper()
	one, err := a.Initiate(t.Context(), node(b.quorum))
	if err != nil {
		return nil, err
	}
	two, err := b.Handle(t.Context(), one)
	if err != nil {
		return nil, err
	}
	three, err := a.Handle(t.Context(), two)
	if err != nil {
		return nil, err
	}
	_, err = b.Handle(t.Context(), three)
	return [][]byte{one, two, three}, err
}
