package faults

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/mpctest"
)

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
