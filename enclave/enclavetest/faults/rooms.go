package faults

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/enclave/wire"
)

// Silence after which a party counts as gone: long where nobody is, for the machine
// may be slow.
const (
	patientSilence = 30 * time.Second
	shortSilence   = 1500 * time.Millisecond
)

// playRooms plays what a relay can do to operations of attested nodes.
func (r *run) playRooms() error {
	nodes, err := newNodes(3)
	if err != nil {
		return err
	}
	operations, err := r.roomOperations(nodes)
	if err != nil {
		return err
	}
	for i, op := range operations {
		for _, f := range frames {
			if i > 0 && f.kind != sessionFrame {
				continue // the same for all operations
			}
			list := relayFaults()
			if r.options.Short {
				r.rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
				list = list[:op.short]
			}
			for _, fault := range list {
				r.playRelay(nodes, &op, f.kind, f.name, fault)
			}
		}
		falls := []int{0, 1, 2} // silent after so many frames
		if r.options.Short {
			falls = falls[2:]
		}
		for _, n := range falls {
			r.playRelay(nodes, &op, sessionFrame, "session", relayFault{fmt.Sprintf("all lost but the first %d", n), wantNamed, after(n)})
		}
		r.playAbsent(nodes, &op)
		r.playReplay(nodes, &op)
	}
	return nil
}

// playRelay plays one fault of the relay.
func (r *run) playRelay(nodes []*node, op *roomOperation, kind byte, frame string, f relayFault) {
	silence := patientSilence
	if f.want == wantNamed {
		silence = shortSilence
	}
	s, err := newSite(nodes[:op.nodes], silence)
	if err != nil {
		r.reportRoom(op, frame+" "+f.name, []error{err}, err.Error())
		return
	}
	defer s.close()
	s.faulty.set(f.begin(s.faulty, kind))
	errs := together(s, op.begin(), everyone(op.nodes)...)
	r.reportRoom(op, frame+": "+f.name, errs, judgeRoom(nodes, errs, f.want))
}

// playAbsent leaves the evil node out.
func (r *run) playAbsent(nodes []*node, op *roomOperation) {
	s, err := newSite(nodes[:op.nodes], shortSilence/3)
	if err != nil {
		r.reportRoom(op, "a party does not come", []error{err}, err.Error())
		return
	}
	defer s.close()
	who := slices.DeleteFunc(everyone(op.nodes), func(i int) bool { return i == evil })
	errs := together(s, op.begin(), who...)
	r.reportRoom(op, "a party does not come", errs, judgeRoom(nodes, slices.Insert(errs, evil, nil), wantNamed))
}

// playReplay runs the operation twice under the same channels, and sends what was
// said in the first in the second again.
func (r *run) playReplay(nodes []*node, op *roomOperation) {
	const name = "after those of an earlier operation"
	s, err := newSite(nodes[:op.nodes], patientSilence)
	if err != nil {
		r.reportRoom(op, name, []error{err}, err.Error())
		return
	}
	defer s.close()
	var recorded []wire.RelayMessage
	s.faulty.set(func(m wire.RelayMessage) []wire.RelayMessage {
		recorded = append(recorded, wire.RelayMessage{Party: m.Party, Body: slices.Clone(m.Body)})
		return []wire.RelayMessage{m}
	})
	errs := together(s, op.begin(), everyone(op.nodes)...)
	if errors.Join(errs...) == nil {
		s.faulty.set(replay(recorded))
		errs = together(s, op.begin(), everyone(op.nodes)...)
	}
	r.reportRoom(op, name, errs, judgeRoom(nodes, errs, wantResult))
}
