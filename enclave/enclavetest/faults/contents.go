package faults

import (
	"math/big"
	"slices"
	"strings"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/sallyport/sallyport/enclave/internal/codec"
)

// A content is a message that is well formed but for one thing in it: a field of
// the library's message, by its type and number. The change is given all values
// of the field, of which there is one unless it is repeated.
type content struct {
	kind   string // type, without the library's prefix
	number protowire.Number
	name   string
	want   want
	change func(values [][]byte) [][]byte
}

// typePrefix begins the type of every message of the library.
const typePrefix = "type.googleapis.com/binance.tsslib."

// Orders of the groups and of the fields that coordinates are from.
var (
	orderECDSA = secp256k1.Params().N
	orderEdDSA = number("7237005577332262213973186563042994240857116359379907606001950938285454250989")
	fieldECDSA = secp256k1.Params().P
	fieldEdDSA = number("57896044618658097711785492504343953926634992332820282019728792003956564819949")
)

func number(decimal string) *big.Int {
	n, ok := new(big.Int).SetString(decimal, 10)
	if !ok {
		panic("internal error: not a number")
	}
	return n
}

// typeOf is the type of a message, without the library's prefix.
func typeOf(body []byte) string {
	var fr frame
	if codec.Decode(body, &fr) != nil {
		return ""
	}
	number, kind, tag := protowire.ConsumeTag(fr.Wire)
	if number != 1 || kind != protowire.BytesType || tag < 0 {
		return ""
	}
	url, n := protowire.ConsumeBytes(fr.Wire[tag:])
	if n < 0 {
		return ""
	}
	return strings.TrimPrefix(string(url), typePrefix)
}

// fault makes a fault of a content, for messages of its type.
func (c *content) fault() fault {
	return fault{c.kind[strings.LastIndex(c.kind, ".")+1:] + ": " + c.name, c.want, framed(func(_ *change, fr *frame) {
		fr.Wire = replaceValue(fr.Wire, func(value []byte) []byte { return c.replace(value) })
	})}
}

// replaceValue changes the value of a protobuf Any.
func replaceValue(wire []byte, f func([]byte) []byte) []byte {
	var out []byte
	for len(wire) > 0 {
		number, kind, n := protowire.ConsumeField(wire)
		if n < 0 {
			return append(out, wire...)
		}
		if number == 2 && kind == protowire.BytesType {
			_, _, tag := protowire.ConsumeTag(wire)
			value, _ := protowire.ConsumeBytes(wire[tag:])
			out = protowire.AppendBytes(protowire.AppendTag(out, 2, protowire.BytesType), f(value))
		} else {
			out = append(out, wire[:n]...)
		}
		wire = wire[n:]
	}
	return out
}

// replace changes the values of the content's field. The others stay; the order of
// fields means nothing.
func (c *content) replace(value []byte) []byte {
	var out []byte
	var values [][]byte
	for len(value) > 0 {
		number, _, n := protowire.ConsumeField(value)
		if n < 0 {
			return append(out, value...)
		}
		if number == c.number {
			_, _, tag := protowire.ConsumeTag(value)
			b, _ := protowire.ConsumeBytes(value[tag:])
			values = append(values, slices.Clone(b))
		} else {
			out = append(out, value[:n]...)
		}
		value = value[n:]
	}
	for _, b := range c.change(values) {
		out = protowire.AppendBytes(protowire.AppendTag(out, c.number, protowire.BytesType), b)
	}
	return out
}

// put replaces the value at a place.
func put(i int, b []byte) func([][]byte) [][]byte {
	return func(values [][]byte) [][]byte {
		values[i] = b
		return values
	}
}

// alter changes the integer at a place.
func alter(i int, f func(n *big.Int) *big.Int) func([][]byte) [][]byte {
	return func(values [][]byte) [][]byte {
		values[i] = f(new(big.Int).SetBytes(values[i])).Bytes()
		return values
	}
}

// another flips a bit in the middle of the value at a place.
func another(i int) func([][]byte) [][]byte {
	return func(values [][]byte) [][]byte {
		values[i][len(values[i])/2] ^= 4
		return values
	}
}

// none leaves the field out.
func none([][]byte) [][]byte { return nil }

// zeros are as many values, all of zero.
func zeros(values [][]byte) [][]byte {
	for i := range values {
		values[i] = []byte{0}
	}
	return values
}

// fewer leaves out the last n values.
func fewer(n int) func([][]byte) [][]byte {
	return func(values [][]byte) [][]byte { return values[:len(values)-n] }
}

// more repeats the last n values.
func more(n int) func([][]byte) [][]byte {
	return func(values [][]byte) [][]byte { return append(values, values[len(values)-n:]...) }
}

// same makes the value at a place that of another.
func same(i, j int) func([][]byte) [][]byte {
	return func(values [][]byte) [][]byte {
		values[i] = values[j]
		return values
	}
}
