package faults

import (
	"slices"

	"github.com/sallyport/sallyport/enclave/wire"
)

// Frames of package room, by their first byte.
var frames = []struct {
	kind byte
	name string
}{{1, "knock"}, {2, "handshake"}, {3, "hello"}, {4, "session"}}

// What is in a session is sealed: the relay can only tell how many frames there are.
const (
	handshakeFrame = 2
	sessionFrame   = 4
)

// A relayFault is what a relay does to the frames of one kind. Each play of it has
// a state of its own.
type relayFault struct {
	name  string
	want  want
	begin changer
}

// every makes a fault without a state.
func every(f func(m wire.RelayMessage) []wire.RelayMessage) changer {
	return func(_ *faulty, kind byte) func(wire.RelayMessage) []wire.RelayMessage {
		return func(m wire.RelayMessage) []wire.RelayMessage {
			if len(m.Body) == 0 || m.Body[0] != kind {
				return []wire.RelayMessage{m}
			}
			return f(m)
		}
	}
}

// handshakes is how many messages of a handshake are damaged: who changes the first
// one of every attempt makes another attempt of it, and ends all, as if it had
// lost them.
const handshakes = 2

// with puts a changed copy of a frame before it.
func with(f func(body []byte) []byte) changer {
	return func(n *faulty, kind byte) func(wire.RelayMessage) []wire.RelayMessage {
		return counted(func(i int, m wire.RelayMessage) []wire.RelayMessage {
			if kind == handshakeFrame && i >= handshakes {
				return []wire.RelayMessage{m}
			}
			return []wire.RelayMessage{{Party: m.Party, Body: f(slices.Clone(m.Body))}, m}
		})(n, kind)
	}
}

func flip(at func(n int) int) func([]byte) []byte {
	return func(b []byte) []byte {
		b[at(len(b))] ^= 1
		return b
	}
}

// relayFaults harm no operation: what is lost is sent again, and what a party did
// not send is not opened.
func relayFaults() []relayFault {
	return []relayFault{
		{"the first two lost", wantResult, first(2)},
		{"every third one lost", wantResult, everyThird},
		{"repeated", wantResult, every(func(m wire.RelayMessage) []wire.RelayMessage { return []wire.RelayMessage{m, m, m} })},
		{"in pairs, the later one first", wantResult, gather(2)},
		{"in fives, the last one first", wantResult, gather(5)},
		{"after one with a flipped bit in its head", wantResult, with(flip(func(n int) int { return min(1, n-1) }))},
		{"after one with a flipped bit in it", wantResult, with(flip(func(n int) int { return n / 2 }))},
		{"after one with a flipped bit at its end", wantResult, with(flip(func(n int) int { return n - 1 }))},
		{"after a truncated one", wantResult, with(func(b []byte) []byte { return b[:len(b)-1] })},
		{"after one of a single byte", wantResult, with(func(b []byte) []byte { return b[:1] })},
		{"after one of another kind", wantResult, with(func(b []byte) []byte { b[0] = b[0]%5 + 1; return b })},
		{"after one that is too long", wantResult, with(func(b []byte) []byte { return append(b, make([]byte, wire.MaxRelayMessage)...) })},
		{"back to its sender as well", wantResult, reflect},
		{"to all others as well", wantResult, toOthers},
	}
}

// A changer is how frames of a kind are changed.
type changer = func(n *faulty, kind byte) func(m wire.RelayMessage) []wire.RelayMessage

// counted makes a fault of what is to be done with the i-th frame of the kind.
func counted(f func(i int, m wire.RelayMessage) []wire.RelayMessage) changer {
	return func(n *faulty, kind byte) func(wire.RelayMessage) []wire.RelayMessage {
		i := -1
		return every(func(m wire.RelayMessage) []wire.RelayMessage {
			i++
			return f(i, m)
		})(n, kind)
	}
}

// first loses the first n frames.
func first(n int) changer {
	return counted(func(i int, m wire.RelayMessage) []wire.RelayMessage {
		if i < n {
			return nil
		}
		return []wire.RelayMessage{m}
	})
}

// after loses all frames but the first n.
func after(n int) changer {
	return counted(func(i int, m wire.RelayMessage) []wire.RelayMessage {
		if i >= n {
			return nil
		}
		return []wire.RelayMessage{m}
	})
}

// everyThird loses the first frame and every third after it.
func everyThird(n *faulty, kind byte) func(wire.RelayMessage) []wire.RelayMessage {
	return counted(func(i int, m wire.RelayMessage) []wire.RelayMessage {
		if i%3 == 0 {
			return nil
		}
		return []wire.RelayMessage{m}
	})(n, kind)
}

// gather holds frames back and sends so many at once, the last one first.
func gather(count int) changer {
	return func(n *faulty, kind byte) func(wire.RelayMessage) []wire.RelayMessage {
		var held []wire.RelayMessage
		return every(func(m wire.RelayMessage) []wire.RelayMessage {
			if held = append(held, m); len(held) < count {
				return nil
			}
			out := held
			held = nil
			slices.Reverse(out)
			return out
		})(n, kind)
	}
}

// reflect says to the sender that the receiver sent the same.
func reflect(n *faulty, kind byte) func(wire.RelayMessage) []wire.RelayMessage {
	return every(func(m wire.RelayMessage) []wire.RelayMessage {
		n.back = append(n.back, wire.RelayMessage{Party: m.Party, Body: slices.Clone(m.Body)})
		return []wire.RelayMessage{m}
	})(n, kind)
}

// toOthers gives each frame to all whose names are known.
func toOthers(n *faulty, kind byte) func(wire.RelayMessage) []wire.RelayMessage {
	names := map[string]bool{}
	return every(func(m wire.RelayMessage) (out []wire.RelayMessage) {
		names[m.Party] = true
		for name := range names {
			out = append(out, wire.RelayMessage{Party: name, Body: slices.Clone(m.Body)})
		}
		return out
	})(n, kind)
}

// replay puts frames of another session before those of this.
func replay(recorded []wire.RelayMessage) func(m wire.RelayMessage) []wire.RelayMessage {
	i := 0
	return func(m wire.RelayMessage) []wire.RelayMessage {
		out := []wire.RelayMessage{m}
		if i < len(recorded) {
			out = []wire.RelayMessage{{Party: m.Party, Body: slices.Clone(recorded[i].Body)}, m}
			i++
		}
		return out
	}
}
