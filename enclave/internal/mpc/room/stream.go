package room

import (
	"time"

	"github.com/sallyport/sallyport/enclave/internal/codec"
)

// Bounds of what a stream holds: an honest party sends some tens of messages.
const (
	maxAhead   = 512
	maxUnacked = 4096
)

// A stream makes messages between two parties arrive once and in order, over a
// relay that promises nothing. It holds no lock and no clock: its owner does.
type stream struct {
	times   Times
	sent    uint64 // last sequence number given out
	unacked []outgoing
	wanted  uint64            // next sequence number to be taken
	ahead   map[uint64][]byte // came too early
	owe     bool              // an acknowledgement
	spoke   time.Time         // when something was last sent
	heard   time.Time         // when something last came
}

type outgoing struct {
	seq  uint64
	body []byte
	next time.Time // when to send it again
	wait time.Duration
}

func newStream(t Times, now time.Time) *stream {
	return &stream{times: t, wanted: 1, ahead: map[uint64][]byte{}, heard: now, spoke: now}
}

// push takes a message to be sent. It reports false when too much waits.
func (s *stream) push(body []byte, now time.Time) bool {
	if len(s.unacked) >= maxUnacked {
		return false
	}
	s.sent++
	s.unacked = append(s.unacked, outgoing{seq: s.sent, body: body, next: now, wait: s.times.Resend})
	return true
}

// due returns the packets to be sent now.
func (s *stream) due(now time.Time) (out [][]byte) {
	for i := range s.unacked {
		o := &s.unacked[i]
		if o.next.After(now) {
			continue
		}
		o.next = now.Add(o.wait)
		o.wait = min(2*o.wait, 2*time.Second)
		out = append(out, codec.Encode(packet{Ack: s.wanted, Seq: o.seq, Body: o.body}))
	}
	if len(out) == 0 && (s.owe || now.Sub(s.spoke) >= s.times.Keepalive) {
		out = append(out, codec.Encode(packet{Ack: s.wanted}))
	}
	if len(out) > 0 {
		s.owe, s.spoke = false, now
	}
	return out
}

// take takes a packet of the other side, and returns the messages that are in turn.
func (s *stream) take(p *packet, now time.Time) (out [][]byte) {
	s.heard = now
	for len(s.unacked) > 0 && s.unacked[0].seq < p.Ack {
		clear(s.unacked[0].body)
		s.unacked = s.unacked[1:]
	}
	if p.Seq == 0 {
		return nil
	}
	s.owe = true
	if p.Seq < s.wanted || p.Seq >= s.wanted+maxAhead {
		return nil
	}
	if _, ok := s.ahead[p.Seq]; !ok {
		s.ahead[p.Seq] = p.Body
	}
	for {
		body, ok := s.ahead[s.wanted]
		if !ok {
			return out
		}
		delete(s.ahead, s.wanted)
		s.wanted++
		out = append(out, body)
	}
}

// settled tells whether the other side has acknowledged everything.
func (s *stream) settled() bool { return len(s.unacked) == 0 }
