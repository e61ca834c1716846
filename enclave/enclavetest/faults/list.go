package faults

import (
	"bytes"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/sallyport/sallyport/enclave/internal/codec"
)

// want is how a case must end for the honest party.
type want int

const (
	wantResult want = iota // it gets its result all the same
	wantNamed              // a failure that names the sender
	wantNone               // no result: a failure, or its deadline
	wantSafe               // any end but a wrong result or a wrong culprit
)

// A change is a message that is about to be sent, and what it may be made of.
type change struct {
	body      []byte
	theirs    [][]byte // what the honest party has sent so far
	all       []sample // what the sender sent in another session
	at        int
	place     int // a random number
	broadcast *bool
}

// A fault changes a message: into none, one or several.
type fault struct {
	name   string
	want   want
	change func(*change) [][]byte
}

// frame is the engine's form of a message body.
type frame struct {
	From int    `cbor:"1,keyasint"`
	To   int    `cbor:"2,keyasint"`
	Wire []byte `cbor:"3,keyasint"`
}

// framed changes the frame of a message.
func framed(f func(c *change, fr *frame)) func(*change) [][]byte {
	return func(c *change) [][]byte {
		var fr frame
		if codec.Decode(c.body, &fr) != nil {
			return nil
		}
		f(c, &fr)
		return [][]byte{codec.Encode(fr)}
	}
}

// fields changes one field of the library's message, chosen at random, and of
// repeated fields one element. An empty message stays as it is.
func fields(f func([]byte) []byte) func(*change) [][]byte {
	return framed(func(c *change, fr *frame) { fr.Wire = inAny(fr.Wire, c.place, f) })
}

// inAny changes a field of the value in a protobuf Any.
func inAny(wire []byte, place int, f func([]byte) []byte) []byte {
	var out []byte
	for len(wire) > 0 {
		number, kind, n := protowire.ConsumeField(wire)
		if n < 0 {
			return append(out, wire...)
		}
		if number == 2 && kind == protowire.BytesType {
			_, _, tag := protowire.ConsumeTag(wire)
			value, _ := protowire.ConsumeBytes(wire[tag:])
			out = protowire.AppendTag(out, 2, protowire.BytesType)
			out = protowire.AppendBytes(out, inValue(value, place, f))
		} else {
			out = append(out, wire[:n]...)
		}
		wire = wire[n:]
	}
	return out
}

func inValue(value []byte, place int, f func([]byte) []byte) []byte {
	var parts [][]byte
	var numbers []protowire.Number
	for len(value) > 0 {
		number, _, tag := protowire.ConsumeTag(value)
		if tag < 0 {
			return value
		}
		b, n := protowire.ConsumeBytes(value[tag:])
		if n < 0 {
			return value
		}
		parts, numbers = append(parts, b), append(numbers, number)
		value = value[tag+n:]
	}
	var out []byte
	for i, b := range parts {
		if i == place%len(parts) {
			if b = f(slices.Clone(b)); b == nil {
				continue // left out
			}
		}
		out = protowire.AppendTag(out, numbers[i], protowire.BytesType)
		out = protowire.AppendBytes(out, b)
	}
	return out
}

// faults are all that a party may do with one message.
func faults() []fault {
	return []fault{
		{"not sent", wantNone, func(*change) [][]byte { return nil }},
		{"sent twice", wantResult, func(c *change) [][]byte { return [][]byte{c.body, c.body} }},
		{"another one after it", wantResult, func(c *change) [][]byte {
			other := fields(func(b []byte) []byte { return append(b, 1) })(&change{body: slices.Clone(c.body), place: c.place})
			return append([][]byte{c.body}, other...)
		}},
		{"truncated", wantNamed, func(c *change) [][]byte { return [][]byte{c.body[:len(c.body)-1-c.place%(len(c.body)-1)]} }},
		{"empty", wantNamed, func(*change) [][]byte { return [][]byte{{}} }},
		{"not a message", wantNamed, func(*change) [][]byte { return [][]byte{bytes.Repeat([]byte{0xa5}, 64)} }},
		{"too long", wantNamed, framed(func(_ *change, fr *frame) { fr.Wire = append(fr.Wire, make([]byte, 300<<10)...) })},
		{"to all instead of one, or back", wantNamed, func(c *change) [][]byte {
			*c.broadcast = !*c.broadcast
			return [][]byte{c.body}
		}},
		{"in another's name", wantNamed, framed(func(_ *change, fr *frame) { fr.From = 0 })},
		{"from nobody", wantNamed, framed(func(_ *change, fr *frame) { fr.From = 99 })},
		{"to nobody", wantNamed, framed(func(_ *change, fr *frame) { fr.To = 99 })},
		{"to its sender", wantNamed, framed(func(_ *change, fr *frame) { fr.To = fr.From })},
		{"sent back", wantNamed, func(c *change) [][]byte {
			if len(c.theirs) == 0 {
				return [][]byte{{}} // it has said nothing yet
			}
			return [][]byte{c.theirs[c.place%len(c.theirs)]}
		}},
		{"of another session", wantSafe, func(c *change) [][]byte { return [][]byte{c.all[c.at].m.Body} }},
		{"of an unknown type", wantNamed, framed(func(_ *change, fr *frame) {
			fr.Wire = protowire.AppendTag(nil, 1, protowire.BytesType)
			fr.Wire = protowire.AppendBytes(fr.Wire, []byte("type.googleapis.com/google.protobuf.Empty"))
		})},
		{"a bit flipped", wantSafe, func(c *change) [][]byte {
			c.body[c.place%len(c.body)] ^= 1 << (c.place % 8)
			return [][]byte{c.body}
		}},
		{"a number of zero", wantSafe, fields(func([]byte) []byte { return []byte{0} })},
		{"a number of one", wantSafe, fields(func([]byte) []byte { return []byte{1} })},
		{"a number that is too large", wantSafe, fields(func(b []byte) []byte { return bytes.Repeat([]byte{0xff}, len(b)+1) })},
		{"a number of all ones", wantSafe, fields(func(b []byte) []byte { return bytes.Repeat([]byte{0xff}, max(len(b), 1)) })},
		{"a number left out", wantSafe, fields(func([]byte) []byte { return nil })},
		{"a number of another message", wantSafe, fields(func(b []byte) []byte {
			slices.Reverse(b)
			return b
		})},
		{"another message of its own", wantSafe, func(c *change) [][]byte {
			other := c.all[(c.at+1)%len(c.all)]
			*c.broadcast = other.m.Broadcast
			return [][]byte{other.m.Body}
		}},
	}
}
