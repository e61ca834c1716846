package strictjson

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

func (d *decoder) space() {
	for d.pos < len(d.data) {
		switch d.data[d.pos] {
		case ' ', '\t', '\n', '\r':
			d.pos++
		default:
			return
		}
	}
}

// peek returns the next byte, or 0 at the end; 0 itself begins nothing valid.
func (d *decoder) peek() byte {
	if d.pos == len(d.data) {
		return 0
	}
	return d.data[d.pos]
}

// literal consumes word if it comes next.
func (d *decoder) literal(word string) bool {
	end := d.pos + len(word)
	if end > len(d.data) || string(d.data[d.pos:end]) != word {
		return false
	}
	d.pos += len(word)
	return true
}

func (d *decoder) invalid() *Error {
	if d.pos >= len(d.data) {
		return &Error{Rule: "is not complete JSON"}
	}
	return &Error{Rule: "is not valid JSON from byte " + strconv.Itoa(d.pos) + " on"}
}

// wrongType explains a value that is not of the type wanted: with rule when it
// begins another kind of value, else as bad JSON.
func (d *decoder) wrongType(rule string) *Error {
	switch c := d.peek(); {
	case c == '"', c == '{', c == '[', c == 't', c == 'f', c == 'n', c == '-', '0' <= c && c <= '9':
		return &Error{Rule: rule}
	}
	return d.invalid()
}

// open consumes the bracket that begins an object or array at this depth.
func (d *decoder) open(bracket byte, rule string, depth int) *Error {
	if d.peek() != bracket {
		return d.wrongType(rule)
	}
	if depth > MaxDepth {
		return &Error{Rule: "must not nest deeper than " + strconv.Itoa(MaxDepth) + " levels"}
	}
	d.pos++
	return nil
}

// next consumes what stands between two items: nothing before the first, a
// comma before the others. It reports whether the end bracket came instead.
func (d *decoder) next(first bool, end byte) (done bool, err *Error) {
	d.space()
	switch c := d.peek(); {
	case c == end:
		d.pos++
		return true, nil
	case first:
		return false, nil
	case c != ',':
		return false, d.invalid()
	}
	d.pos++
	d.space()
	return false, nil
}

// name consumes the next member's name, or the end of the object. The bytes
// are valid until the next call.
func (d *decoder) name(first bool) (name []byte, done bool, err *Error) {
	if done, err = d.next(first, '}'); done || err != nil {
		return nil, done, err
	}
	if d.peek() != '"' {
		return nil, false, d.invalid()
	}
	name, err = d.stringBytes()
	return name, false, err
}

func (d *decoder) colon() *Error {
	d.space()
	if d.peek() != ':' {
		return d.invalid()
	}
	d.pos++
	d.space()
	return nil
}

// element counts one array element and refuses null.
func (d *decoder) element() *Error {
	if d.elements++; d.elements > MaxElements {
		return &Error{Rule: "must not have more than " + strconv.Itoa(MaxElements) + " array elements in all"}
	}
	if d.literal("null") {
		return &Error{Rule: "must not be null"}
	}
	return nil
}

// number consumes an integer in the range of int64.
func (d *decoder) number() (int64, *Error) {
	start := d.pos
	if d.peek() == '-' {
		d.pos++
	}
	digits := d.pos
	for c := d.peek(); '0' <= c && c <= '9'; c = d.peek() {
		d.pos++
	}
	text := d.data[start:d.pos]
	switch c := d.peek(); {
	case digits == d.pos && digits > start:
		return 0, d.invalid()
	case digits == d.pos:
		return 0, d.wrongType("must be an integer")
	case c == '.', c == 'e', c == 'E':
		return 0, &Error{Rule: "must be an integer without fraction or exponent"}
	case d.data[digits] == '0' && len(text) > 1:
		return 0, &Error{Rule: "must be an integer without leading zero, and zero without sign"}
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return 0, &Error{Rule: "must be an integer of at most 64 bits with sign"}
	}
	return n, nil
}

// stringBytes consumes a string, whose first quote is next. The result points
// into the input or into scratch space and is valid until the next call.
func (d *decoder) stringBytes() ([]byte, *Error) {
	d.pos++
	start := d.pos
	for d.pos < len(d.data) {
		switch c := d.data[d.pos]; {
		case c == '"':
			d.pos++
			return d.data[start : d.pos-1], nil
		case c == '\\':
			return d.escapedBytes(start)
		case c < 0x20:
			return nil, d.invalid()
		}
		d.pos++
	}
	return nil, d.invalid()
}

// escapedBytes goes on with a string at its first escape.
func (d *decoder) escapedBytes(start int) ([]byte, *Error) {
	out := append(d.scratch[:0], d.data[start:d.pos]...)
	for d.pos < len(d.data) {
		c := d.data[d.pos]
		switch {
		case c == '"':
			d.pos++
			d.scratch = out
			return out, nil
		case c == '\\':
			r, err := d.escape()
			if err != nil {
				return nil, err
			}
			out = utf8.AppendRune(out, r)
			continue
		case c < 0x20:
			return nil, d.invalid()
		}
		out = append(out, c)
		d.pos++
	}
	return nil, d.invalid()
}

// escape consumes one escape, or two that make a surrogate pair.
func (d *decoder) escape() (rune, *Error) {
	d.pos++
	c := d.peek()
	if i := strings.IndexByte(`"\/bfnrt`, c); i >= 0 {
		d.pos++
		return rune("\"\\/\b\f\n\r\t"[i]), nil
	}
	if c != 'u' {
		return 0, d.invalid()
	}
	r, ok := d.hex4()
	if !ok {
		return 0, d.invalid()
	}
	if utf16.IsSurrogate(r) {
		if d.peek() != '\\' || d.pos+1 == len(d.data) || d.data[d.pos+1] != 'u' {
			return 0, errSurrogate()
		}
		d.pos++
		low, ok := d.hex4()
		if r = utf16.DecodeRune(r, low); !ok || r == unicode.ReplacementChar {
			return 0, errSurrogate()
		}
	}
	if r == 0 {
		return 0, &Error{Rule: "must not hold U+0000"}
	}
	return r, nil
}

func errSurrogate() *Error {
	return &Error{Rule: "must not hold half of a surrogate pair"}
}

// hex4 consumes the u of an escape and its four digits.
func (d *decoder) hex4() (rune, bool) {
	if d.pos+5 > len(d.data) {
		return 0, false
	}
	var r rune
	for _, c := range d.data[d.pos+1 : d.pos+5] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	d.pos += 5
	return r, true
}
