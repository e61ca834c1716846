package faults

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/channel"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/engine"
	"github.com/sallyport/sallyport/enclave/internal/mpc/mpctest"
	"github.com/sallyport/sallyport/enclave/internal/mpc/room"
	"github.com/sallyport/sallyport/enclave/internal/simulator"
	"github.com/sallyport/sallyport/enclave/wire"
)

// A node is one enclave's part in operations: its identity lasts, and channels and
// rooms are made for each case.
type node struct {
	quorum *ecdsa.PrivateKey
	module *simulator.Simulator
	peer   attestation.Peer // as others know it
	id     mpc.NodeID
}

// newNodes makes n nodes, each with a root of its own.
func newNodes(n int) (out []*node, err error) {
	dir, err := os.MkdirTemp("", "faults")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cert, key := filepath.Join(dir, "root.pem"), filepath.Join(dir, "root.key")
	if err := simulator.Create(cert, key); err != nil {
		return nil, err
	}
	for range n {
		d := &node{}
		if d.module, err = simulator.Load(cert, key); err != nil {
			return nil, err
		}
		if d.quorum, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return nil, err
		}
		public, err := d.quorum.PublicKey.Bytes()
		if err != nil {
			return nil, err
		}
		if d.id, err = channel.NodeID(public); err != nil {
			return nil, err
		}
		d.peer = attestation.Peer{
			Name: "peer", QuorumPublicKey: public, Measurements: []attestation.Measurements{attestation.LocalMeasurements()},
			AttestationRoot: d.module.Root().Raw,
		}
		out = append(out, d)
	}
	return out, nil
}

// times are short, but for what only ends what is broken.
func times(silence time.Duration) room.Times {
	return room.Times{
		Join: 3 * silence, Sign: honestPatience, Keygen: honestPatience, Reshare: honestPatience, Export: honestPatience,
		Knock: 20 * time.Millisecond, Resend: 50 * time.Millisecond, Keepalive: 200 * time.Millisecond,
		Silence: silence, Linger: 5 * time.Second,
	}
}

// A site is nodes with fresh channels and rooms, on one relay. What the evil one
// sends goes through faulty.
type site struct {
	nodes  []*node
	rooms  []*room.Rooms
	faulty *faulty
}

func newSite(nodes []*node, silence time.Duration) (*site, error) {
	relay, sets := mpctest.NewRelay(), &mpctest.Taker{}
	s := &site{nodes: nodes, faulty: &faulty{Relay: relay}}
	for i, n := range nodes {
		m := &attestation.Manifest{}
		for j, o := range nodes {
			if j != i {
				m.Peers = append(m.Peers, o.peer)
			}
		}
		c, err := channel.New(channel.Identity{
			Quorum: n.quorum, Manifest: m, ManifestHash: [32]byte{byte(i)}, Attester: n.module, Now: time.Now,
		})
		if err != nil {
			return nil, err
		}
		var network wire.Network = relay
		if i == evil {
			network = s.faulty
		}
		s.rooms = append(s.rooms, room.New(room.Config{
			Network: network, Pairs: attested{c}, Engine: engine.New(), PreParams: sets, Times: times(silence),
		}))
	}
	return s, nil
}

func (s *site) close() {
	for _, r := range s.rooms {
		r.Close()
	}
}

// attested shows channels as rooms want them.
type attested struct{ *channel.Channels }

func (a attested) Common(n mpc.NodeID, ids [][8]byte) room.Pair {
	if p := a.Channels.Common(n, ids); p != nil {
		return pair{p}
	}
	return nil
}

type pair struct{ *channel.Pair }

func (p pair) Sealer(context []byte, sender, receiver string) (room.Sealer, error) {
	return p.Pair.Sealer(context, sender, receiver)
}

func (p pair) Opener(context []byte, sender, receiver string) (room.Opener, error) {
	return p.Pair.Opener(context, sender, receiver)
}

// A faulty relay changes what one node sends, and adds to what it receives.
type faulty struct {
	*mpctest.Relay
	mu     sync.Mutex
	change func(m wire.RelayMessage) []wire.RelayMessage // nil: as it is
	back   []wire.RelayMessage                           // to be given to the node that is sent through it
}

// SendPort implements [wire.Network].
func (n *faulty) SendPort(ctx context.Context, number uint64, out []wire.RelayMessage) error {
	n.mu.Lock()
	if n.change != nil {
		var changed []wire.RelayMessage
		for _, m := range out {
			changed = append(changed, n.change(m)...)
		}
		out = changed
	}
	n.mu.Unlock()
	return n.Relay.SendPort(ctx, number, out)
}

// ReceivePort implements [wire.Network].
func (n *faulty) ReceivePort(ctx context.Context, number, wait uint64) ([]wire.RelayMessage, error) {
	got, err := n.Relay.ReceivePort(ctx, number, wait)
	n.mu.Lock()
	defer n.mu.Unlock()
	got, n.back = append(got, n.back...), nil
	return got, err
}

func (n *faulty) set(change func(m wire.RelayMessage) []wire.RelayMessage) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.change = change
}
