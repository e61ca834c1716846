package channel

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"path/filepath"
	"slices"
	"strings"
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
func pairOf(t *testing.T, change func(id *Identity)) (a, b *side) {
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

func newModule(t *testing.T) *simulator.Simulator {
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

// shake carries a handshake from a to b and returns its three messages.
func shake(t *testing.T, a, b *side) (steps [][]byte, err error) {
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

func TestBothSidesHaveThePair(t *testing.T) {
	a, b := pairOf(t, nil)
	if _, err := shake(t, a, b); err != nil {
		t.Fatal(err)
	}
	pa, pb := a.Common(node(b.quorum), b.IDs(node(a.quorum))), b.Common(node(a.quorum), a.IDs(node(b.quorum)))
	if pa == nil || pb == nil || pa.ID() != pb.ID() {
		t.Fatal("no common pair")
	}
	sealer, err := pa.Sealer([]byte("room"), "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	opener, err := pb.Opener([]byte("room"), "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	var sealed [][]byte
	for i := range 5 {
		sealed = append(sealed, sealer.Seal([]byte("x"), []byte{byte(i)}))
	}
	for _, i := range []int{3, 0, 4, 1} {
		if got, err := opener.Open([]byte("x"), sealed[i]); err != nil || !bytes.Equal(got, []byte{byte(i)}) {
			t.Errorf("message %d: %v", i, err)
		}
		if _, err := opener.Open([]byte("x"), sealed[i]); err == nil {
			t.Errorf("message %d opens twice", i)
		}
	}
	if _, err := opener.Open([]byte("y"), sealed[2]); err == nil {
		t.Error("opens under other associated data")
	}
	for range 2 * replayWindow {
		if _, err := opener.Open([]byte("x"), sealer.Seal([]byte("x"), nil)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := opener.Open([]byte("x"), sealed[2]); err == nil {
		t.Error("opens a message from behind the window")
	}
	if _, err := pa.Sealer([]byte("room"), "a", "b"); !errors.Is(err, ErrTaken) {
		t.Errorf("a direction is taken twice: %v", err)
	}
	other, err := pb.Opener([]byte("room"), "b", "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Open([]byte("x"), sealed[2]); err == nil {
		t.Error("a message opens in the other direction")
	}
}

func TestEnclavesThatAreNotAccepted(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Identity)
		want   string
	}{
		"another quorum key": {func(id *Identity) { id.Quorum, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }, "strangers"},
		"another root":       {func(id *Identity) { id.Attester = newModule(t) }, "not accepted"},
	} {
		a, b := pairOf(t, test.change)
		if name == "another quorum key" {
			b.self = node(b.quorum) // it claims to be the one that is known
			test.want = "has not its quorum key"
		}
		_, err := shake(t, a, b)
		f, ok := errors.AsType[*mpc.Failure](err)
		if !ok || f.Cause != mpc.CauseAttestation || !strings.Contains(f.Reason, test.want) {
			t.Errorf("%s: got %v", name, err)
		}
		if len(a.IDs(node(b.quorum))) != 0 {
			t.Errorf("%s: there is a pair", name)
		}
	}
}

func TestHostileRelayEndsNothing(t *testing.T) {
	a, b := pairOf(t, nil)
	one, _ := a.Initiate(t.Context(), node(b.quorum))
	two, err := b.Handle(t.Context(), one)
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.Handle(t.Context(), one)
	if err != nil || !bytes.Equal(again, two) {
		t.Errorf("a repetition gets another answer: %v", err)
	}
	for i := range len(two) {
		bad := slices.Clone(two)
		bad[i] ^= 1
		if i%97 == 0 {
			if _, err := a.Handle(t.Context(), bad); err == nil {
				t.Errorf("accepts step 2 with byte %d changed", i)
			}
		}
	}
	if _, err := a.Handle(t.Context(), one); err == nil {
		t.Error("accepts its own message")
	}
	three, err := a.Handle(t.Context(), two)
	if err != nil {
		t.Fatalf("the handshake did not survive: %v", err)
	}
	if _, err := a.Handle(t.Context(), two); err == nil {
		t.Error("accepts step 2 again")
	}
	for range 2 { // the second is a replay
		_, _ = b.Handle(t.Context(), three)
	}
	if n := len(b.IDs(node(a.quorum))); n != 1 {
		t.Errorf("%d pairs", n)
	}
	if _, err := b.Handle(t.Context(), []byte("x")); err == nil {
		t.Error("accepts noise")
	}
}

func TestPairsAreBounded(t *testing.T) {
	a, b := pairOf(t, nil)
	for range maxPairs + 2 {
		if _, err := shake(t, a, b); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(a.IDs(node(b.quorum))); n != maxPairs {
		t.Errorf("%d pairs", n)
	}
	for range 2 * maxHandshakes {
		_, _ = a.Initiate(t.Context(), node(b.quorum))
	}
	if len(a.handshakes) > maxHandshakes {
		t.Errorf("%d handshakes", len(a.handshakes))
	}
	a.peers[node(b.quorum)].pairs[0].made = time.Now().Add(-pairLife - time.Minute)
	old := a.peers[node(b.quorum)].pairs[0].id
	if slices.Contains(a.IDs(node(b.quorum)), old) || a.Common(node(b.quorum), [][8]byte{old}) == nil {
		t.Error("an old pair must not be offered, and may still be used")
	}
}

func FuzzHandle(f *testing.F) {
	f.Add([]byte{0xa5})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		_, b := pairOf(t, nil)
		if out, err := b.Handle(t.Context(), in); err == nil || out != nil {
			t.Error("a stranger's message is answered")
		}
	})
}
