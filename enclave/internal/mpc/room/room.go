// Package room carries out one MPC operation between attested enclaves, over a
// relay that may lose, repeat, reorder, delay and invent messages.
//
// All parties of an operation join one room of the relay. Each pair of them
// shares a channel, which proves the other's enclave (package channel). Under
// it they exchange hellos: what each was asked to do, a fresh nonce and a fresh
// signing key. When the whole room is there and all were asked the same, the
// hash of all hellos is the session, and every message afterwards is sealed
// under keys made for this session, sender and receiver.
//
// The relay learns who is in which room and how much they say. It can end an
// operation; it can neither read nor change one.
package room

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/presign"
	"github.com/sallyport/sallyport/enclave/wire"
)

// Config is what operations need. All of it is required but Log, Now and Times.
type Config struct {
	Network   wire.Network
	Pairs     Pairs
	Engine    mpc.Engine
	PreParams mpc.PreParams
	Now       func() time.Time
	Log       *slog.Logger
	Times     Times
}

// Times are the waits of a room; a zero one is the usual.
type Times struct {
	Join      time.Duration // for the room to be complete
	Sign      time.Duration // from then on, by operation
	Keygen    time.Duration
	Reshare   time.Duration
	Export    time.Duration
	Knock     time.Duration // between two knocks at first, doubling up to four times that
	Resend    time.Duration // of a message that was not acknowledged, at first
	Keepalive time.Duration // after which something is said
	Silence   time.Duration // after which a party counts as gone
	Linger    time.Duration // that an ended operation goes on to acknowledge
}

func (t Times) filled() Times {
	for _, v := range []struct {
		at    *time.Duration
		usual time.Duration
	}{
		{&t.Join, mpc.JoinTimeout},
		{&t.Sign, mpc.SignTimeout},
		{&t.Keygen, mpc.KeygenTimeout},
		{&t.Reshare, mpc.ReshareTimeout},
		{&t.Export, mpc.ExportTimeout},
		{&t.Knock, 150 * time.Millisecond},
		{&t.Resend, 300 * time.Millisecond},
		{&t.Keepalive, 2 * time.Second},
		{&t.Silence, 20 * time.Second},
		{&t.Linger, 3 * time.Second},
	} {
		if *v.at == 0 {
			*v.at = v.usual
		}
	}
	return t
}

// Rooms carries out operations. It implements [mpc.Runner].
type Rooms struct {
	Config
	pool    *presign.Pool[mpc.Session]
	ctx     context.Context // ends with Close
	stop    context.CancelFunc
	running sync.WaitGroup

	mu   sync.Mutex
	used map[usedRoom]time.Time // rooms that a party was in, so that none is used twice
}

type usedRoom struct {
	room mpc.RoomID
	self mpc.PartyID
}

var _ mpc.Runner = (*Rooms)(nil)

// Limits of half-done signatures: each holds an engine's session.
var presignLimits = presign.Limits{PerKey: 4, Total: 64, Age: 30 * time.Minute}

// New makes rooms. They end with Close.
func New(c Config) *Rooms {
	c.Times = c.Times.filled()
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	r := &Rooms{Config: c, used: map[usedRoom]time.Time{}}
	r.pool = presign.New(presignLimits, c.Now, waits, drain)
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r
}

// Close ends all operations and waits for them, and drops all half-done signatures.
func (r *Rooms) Close() {
	r.stop()
	r.running.Wait()
	r.pool.Close()
}

// Forget implements [mpc.Runner].
func (r *Rooms) Forget(tag [32]byte) {
	r.pool.DropWhere(func(k presign.Key) bool { return k.Tag == tag })
}

// ForgetAll drops all half-done signatures: the peers have changed.
func (r *Rooms) ForgetAll() { r.pool.DropWhere(func(presign.Key) bool { return true }) }

// Presigned counts the half-done signatures of a key version.
func (r *Rooms) Presigned(tag [32]byte) int {
	return r.pool.CountWhere(func(k presign.Key) bool { return k.Tag == tag })
}

// enter makes sure that a party enters a room once: keys of a room are made
// from its id, and a second operation must not use them again.
func (r *Rooms) enter(w mpc.Where, self mpc.PartyID) error {
	const forget = time.Hour // far beyond a room's life
	now := r.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, at := range r.used {
		if now.Sub(at) > forget {
			delete(r.used, k)
		}
	}
	k := usedRoom{w.Room, self}
	if _, ok := r.used[k]; ok {
		return mpc.Failf(mpc.CauseSetup, nil, "the room was used before: a room is good for one operation")
	}
	if r.ctx.Err() != nil {
		return mpc.Failf(mpc.CauseCancelled, nil, "the enclave is stopping")
	}
	r.used[k] = now
	return nil
}

// relayName is a party's name in a room: short, and the same for all who know
// the party.
func relayName(party string) string {
	sum := sha256.Sum256([]byte("sallyport room party v1\x00" + party))
	return hex.EncodeToString(sum[:16])
}

// failure makes a [*mpc.Failure] of any error; a context's error stays.
func failure(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*mpc.Failure](err); ok || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return &mpc.Failure{Cause: mpc.CauseRelay, Reason: e.Message}
	}
	return &mpc.Failure{Cause: mpc.CauseEngine, Reason: err.Error()}
}

// cloneShare copies a share that must outlive its caller's.
func cloneShare(s *mpc.Share) *mpc.Share {
	c := *s
	c.Secret, c.State = keys.NewSecret(s.Secret.Expose()), nil
	if s.State != nil {
		c.State = keys.NewSecret(s.State.Expose())
	}
	return &c
}
