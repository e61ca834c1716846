// Package faults plays a malicious party against the MPC engine: for every
// operation, round and type of message, it sends what no honest party sends and
// looks at what becomes of the others. It plays a malicious relay between attested
// nodes as well. No case may crash, give a wrong result,
// or blame an honest party; whoever sent what is not well formed must be named.
package faults

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/engine"
	"github.com/sallyport/sallyport/enclave/internal/mpc/mpctest"
)

// Options choose what is run.
type Options struct {
	// Short leaves out all but a few of the cases of slow operations.
	Short bool
	// Seed chooses among them, and where bytes are changed.
	Seed uint64
	// Only, if not empty, leaves out operations whose name does not begin so; "relay"
	// leaves out all but the faults of a relay.
	Only string
}

const relayed = "relay"

// A counter of cases, and of those that ended as they must.
type run struct {
	options  Options
	out      io.Writer
	rand     *rand.Rand
	engine   mpc.Engine
	cases    int
	expected int
}

// An operation is one that cases are played in.
type operation struct {
	name   string
	setups func() []*mpc.Setup
	digest []byte
	// good looks at a result that a party got.
	good func(*mpc.Result) error
	// patience is how long the others wait for a message that does not come.
	patience time.Duration
	// slow operations have few cases in a short run: so many of malicious contents.
	slow     bool
	contents int
}

// Run plays all cases and prints a line for each. It returns how many there
// were, and how many ended as they must.
func Run(out io.Writer, o Options) (cases, expected int, err error) {
	r := &run{options: o, out: out, rand: rand.New(rand.NewPCG(o.Seed, 1)), engine: engine.New()}
	if o.Only == "" || o.Only == relayed {
		if err := r.playRooms(); err != nil || o.Only != "" {
			return r.cases, r.expected, err
		}
	}
	operations, err := r.operations()
	if err != nil {
		return 0, 0, err
	}
	for _, op := range operations {
		if !strings.HasPrefix(op.name, o.Only) {
			continue
		}
		if err := r.play(&op); err != nil {
			return r.cases, r.expected, err
		}
	}
	return r.cases, r.expected, nil
}

// keygen makes the keys that the cases use: a whole generation in every run.
func (r *run) keygen(c keys.Curve) (shares []*mpc.Share, err error) {
	outcomes, err := r.session(mpctest.KeygenSetups(c, 3, 2), nil, nil, honestPatience)
	for _, o := range outcomes {
		if err == nil {
			err = o.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("making a key: %w", err)
		}
		shares = append(shares, o.Result.Share)
	}
	return shares, err
}

func (r *run) operations() ([]operation, error) {
	ed, err := r.keygen(keys.Ed25519)
	if err != nil {
		return nil, err
	}
	ec, err := r.keygen(keys.Secp256k1)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte("faults"))
	sign := func(op mpc.Op, shares []*mpc.Share) func() []*mpc.Setup {
		return func() []*mpc.Setup { return mpctest.SignSetups(op, shares, []int{0, 1}, digest[:], nil) }
	}
	signed := func(res *mpc.Result) error {
		if len(res.Signature) != keys.SignatureSize {
			return errors.New("no signature") // the engine has verified what it gives
		}
		return nil
	}
	shared := func(res *mpc.Result) error {
		public, err := keys.ScalarPublic(res.Share.Curve, res.Share.Secret)
		if err != nil || string(public) != string(res.Share.Members[res.Share.Member(res.Share.Self)].Public) {
			return errors.New("a share that does not belong to its public share")
		}
		return nil
	}
	return []operation{
		{"Ed25519 sign", sign(mpc.OpSign, ed), digest[:], signed, 300 * time.Millisecond, false, 0},
		{"Ed25519 keygen", func() []*mpc.Setup { return mpctest.KeygenSetups(keys.Ed25519, 2, 2) }, nil, shared, 500 * time.Millisecond, false, 0},
		{"Ed25519 reshare", func() []*mpc.Setup { return mpctest.ReshareSetups(ed[:2], 2, 2, true) }, nil, shared, 500 * time.Millisecond, false, 0},
		{"ECDSA sign", sign(mpc.OpSign, ec), digest[:], signed, 3 * time.Second, true, 6},
		{"ECDSA presign", sign(mpc.OpPresign, ec), digest[:], signed, 3 * time.Second, true, 2},
		{"ECDSA keygen", func() []*mpc.Setup { return mpctest.KeygenSetups(keys.Secp256k1, 2, 2) }, nil, shared, 10 * time.Second, true, 1},
		{"ECDSA reshare", func() []*mpc.Setup { return mpctest.ReshareSetups(ec[:2], 2, 2, true) }, nil, shared, 10 * time.Second, true, 1},
	}, nil
}

// session runs an operation, of which a party may be malicious, until all have
// ended or patience has.
func (r *run) session(setups []*mpc.Setup, digest []byte, tamper mpctest.Tamper, patience time.Duration) ([]mpctest.Outcome, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var sessions []mpc.Session
	for _, s := range setups {
		e, err := r.engine.Start(context.Background(), s)
		if err != nil {
			return nil, err
		}
		defer e.Close()
		sessions = append(sessions, e)
	}
	return mpctest.RunToFailure(ctx, sessions, digest, tamper), nil
}

// A sample is an honest message of the party that is malicious in the cases.
type sample struct {
	number int // among its messages
	round  uint8
	m      mpc.Message
}

// honestPatience is for what must come: it ends only what is broken, and a machine
// may be slow.
const honestPatience = 5 * time.Minute

// evil is the party that the cases play.
const evil = 1

// play runs all faults of an operation, and afterwards the operation itself.
func (r *run) play(op *operation) error {
	samples, err := r.honest(op)
	if err != nil {
		return fmt.Errorf("%s: %w", op.name, err)
	}
	r.playContents(op, samples)
	chosen := slices.Clone(samples)
	if r.options.Short && op.slow {
		keep := 3
		if op.patience > 5*time.Second {
			keep = 1
		}
		r.rand.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
		chosen = chosen[:min(len(chosen), keep)]
	}
	for _, s := range chosen {
		list := faults()
		if op.slow || r.options.Short {
			list = r.some(list, op)
		}
		for _, f := range list {
			r.playOne(op, s, samples, f)
		}
	}
	if r.options.Short && op.patience > 5*time.Second {
		return nil // others come after it
	}
	_, err = r.honest(op)
	if err != nil {
		return fmt.Errorf("%s, after its cases: %w", op.name, err)
	}
	return nil
}

// playContents sends what is well formed but for one thing in it.
func (r *run) playContents(op *operation, samples []sample) {
	type pair struct {
		at int
		f  fault
	}
	var list []pair
	for _, c := range contents() {
		at := slices.IndexFunc(samples, func(s sample) bool { return typeOf(s.m.Body) == c.kind })
		if at >= 0 {
			list = append(list, pair{at, c.fault()})
		}
	}
	if r.options.Short && op.slow {
		r.rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		list = list[:min(len(list), op.contents)]
	}
	for _, p := range list {
		r.playOne(op, samples[p.at], samples, p.f)
	}
}

// some chooses a few faults: of all in a short run, and for a slow operation.
func (r *run) some(list []fault, op *operation) []fault {
	n := 5
	switch {
	case !op.slow:
		n = 12
	case r.options.Short:
		n = 1
	case op.patience > 5*time.Second:
		n = 3
	}
	out := slices.Clone(list)
	r.rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out[:min(n, len(out))]
}

// honest runs the operation as it should be, and records what the party sends.
func (r *run) honest(op *operation) (samples []sample, err error) {
	var mu sync.Mutex
	record := func(from, _ int, m *mpc.Message) [][]byte {
		mu.Lock()
		defer mu.Unlock()
		if from == evil {
			samples = append(samples, sample{len(samples), m.Round, *m})
		}
		return [][]byte{m.Body}
	}
	outcomes, err := r.session(op.setups(), op.digest, record, honestPatience)
	for _, o := range outcomes {
		if err == nil {
			err = o.Err()
		}
	}
	return samples, err
}

// playOne runs one case and prints how it ended.
func (r *run) playOne(op *operation, s sample, all []sample, f fault) {
	var mu sync.Mutex // two sessions send at once
	var theirs [][]byte
	number := 0
	applied := false
	place := r.rand.IntN(1 << 16)
	tamper := func(from, _ int, m *mpc.Message) [][]byte {
		mu.Lock()
		defer mu.Unlock()
		if from != evil {
			theirs = append(theirs, slices.Clone(m.Body))
			return [][]byte{m.Body}
		}
		number++
		if number-1 != s.number {
			return [][]byte{m.Body}
		}
		applied = true
		broadcast := m.Broadcast
		out := f.change(&change{body: slices.Clone(m.Body), theirs: theirs, all: all, at: s.number, place: place, broadcast: &broadcast})
		m.Broadcast = broadcast
		return out
	}
	patience := honestPatience
	switch f.want {
	case wantNone:
		patience = op.patience
	case wantSafe: // it may wait for a message that was replaced
		patience = 3 * op.patience
	case wantResult, wantNamed:
	}
	setups := op.setups()
	outcomes, err := r.session(setups, op.digest, tamper, patience)
	r.cases++
	verdict := "as expected"
	if why := judge(op, setups, outcomes, f.want, applied, err); why != "" {
		verdict = "NOT AS EXPECTED: " + why
	} else {
		r.expected++
	}
	_, _ = fmt.Fprintf(r.out, "%-15s message %2d, round %d  %-58s %-32s %s\n", op.name, s.number+1, s.round, f.name, ended(outcomes), verdict)
}

// ended says how the honest party's session ended.
func ended(outcomes []mpctest.Outcome) string {
	if len(outcomes) == 0 {
		return "-"
	}
	switch o := outcomes[1-evil]; {
	case o.Failure != nil:
		who := "nobody named"
		if len(o.Failure.Culprits) > 0 {
			who = "sender named"
		}
		return string(o.Failure.Cause) + ", " + who
	case o.Result != nil:
		return "result"
	}
	return "waits for its deadline"
}

// judge says what is wrong with how a case ended, if anything is.
func judge(op *operation, setups []*mpc.Setup, outcomes []mpctest.Outcome, want want, applied bool, err error) string {
	if err != nil {
		return err.Error()
	}
	honest := outcomes[1-evil]
	if f := honest.Failure; f != nil {
		for _, c := range f.Culprits {
			if c != setups[0].Parties[evil] {
				return "an honest party is blamed"
			}
		}
	}
	if honest.Result != nil {
		if err := op.good(honest.Result); err != nil {
			return err.Error()
		}
	}
	switch want {
	case wantResult:
		if honest.Result == nil {
			return "no result"
		}
	case wantNamed:
		if honest.Failure == nil || len(honest.Failure.Culprits) == 0 {
			return "the sender is not named"
		}
	case wantNone:
		if honest.Result != nil {
			return "a result"
		}
	case wantSafe: // anything that is not wrong
	}
	if want != wantNone && !applied {
		return "the message was not sent"
	}
	return ""
}
