package ceremony

import (
	"log/slog"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/channel"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/engineproc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/preparams"
	"github.com/sallyport/sallyport/enclave/internal/mpc/room"
	"github.com/sallyport/sallyport/enclave/internal/platform"
)

// parameterSets are kept ready: a keygen uses one, and making one takes seconds.
const parameterSets = 2

// parties are what an enclave has that holds MPC keys with others: channels to
// them, an engine, parameters, rooms and calls.
type parties struct {
	channels *channel.Channels
	rooms    *room.Rooms
	caller   *room.Caller
	closers  []func()
}

// meet makes them, for a manifest that opens the node API or names a key group. A
// platform without a network has none.
func meet(p *platform.Platform, m *attestation.Manifest, i *identity, log *slog.Logger) (*parties, error) {
	if p.Network == nil || m.NodeAPI == nil && m.KeyGroup == nil {
		return nil, nil
	}
	t := &parties{}
	var err error
	t.channels, err = channel.New(channel.Identity{
		Quorum: i.quorum, Manifest: m, ManifestHash: [32]byte(attestation.Hash(m.Encode())), Attester: p.Attester, Now: p.Now,
	})
	if err != nil {
		return nil, err
	}
	engine, prepared := p.Engine, p.PreParams
	if engine == nil {
		child := engineproc.New(p.EnginePath, log)
		engine = child
		t.closers = append(t.closers, child.Close)
	}
	if prepared == nil {
		pool := preparams.NewPool(parameterSets, log)
		prepared = pool
		t.closers = append(t.closers, pool.Close)
	}
	pairs := attested{t.channels}
	t.rooms = room.New(room.Config{Network: p.Network, Pairs: pairs, Engine: engine, PreParams: prepared, Now: p.Now, Log: log})
	t.caller = room.NewCaller(p.Network, pairs, log)
	return t, nil
}

// close ends the operations first, and then what they use.
func (t *parties) close() {
	if t == nil {
		return
	}
	t.caller.Close()
	t.rooms.Close()
	for _, c := range t.closers {
		c()
	}
}

// runner and calls are nil without a network: not a pointer to nothing.
func (t *parties) runner() mpc.Runner {
	if t == nil {
		return nil
	}
	return t.rooms
}

func (t *parties) calls() mpc.Caller {
	if t == nil {
		return nil
	}
	return t.caller
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
