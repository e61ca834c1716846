package kms

import "bytes"

// A reader reads BER (X.690 section 8) from the front. Once something was not as
// expected it has failed, and gives nothing any more; callers look at the end.
// It never copies, and never allocates on the word of a length.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) fail() { r.rest, r.failed = nil, true }

// take returns the next n bytes, or nil.
func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.fail()
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// next returns the next byte and leaves it there; at the end it is 0.
func (r *reader) next() byte {
	if len(r.rest) == 0 {
		return 0
	}
	return r.rest[0]
}

// literal reads bytes that must be one of these.
func (r *reader) literal(wants ...[]byte) {
	for _, want := range wants {
		if rest, found := bytes.CutPrefix(r.rest, want); found {
			r.rest = rest
			return
		}
	}
	r.fail()
}

// exactly copies b, which must fill the whole of the destination.
func (r *reader) exactly(to, b []byte) {
	if len(b) != len(to) {
		r.fail()
		return
	}
	copy(to, b)
}

// octets reads one primitive value with a tag.
func (r *reader) octets(tag byte) []byte {
	size, open := r.head(tag)
	if open {
		r.fail() // section 8.1.3.2: only constructed values may be open
		return nil
	}
	return r.take(size)
}

// group reads one constructed value with a tag. The body must read all of it:
// up to its length, or up to the two zero bytes that end an open one.
func (r *reader) group(tag byte, body func(*reader)) {
	size, open := r.head(tag)
	if open {
		body(r)
		r.literal([]byte{0, 0})
		return
	}
	inside := &reader{rest: r.take(size), failed: r.failed}
	body(inside)
	if inside.failed || len(inside.rest) != 0 {
		r.fail()
	}
}

// head reads a tag and a length in its shortest form, of at most two bytes.
func (r *reader) head(tag byte) (size int, open bool) {
	b := r.take(2)
	if b == nil || b[0] != tag {
		r.fail()
		return 0, false
	}
	switch first := b[1]; {
	case first < 0x80:
		return int(first), false
	case first == 0x80:
		return 0, true
	case first == 0x81:
		if b := r.take(1); b != nil && b[0] >= 0x80 {
			return int(b[0]), false
		}
	case first == 0x82:
		if b := r.take(2); b != nil && b[0] != 0 {
			return int(b[0])<<8 | int(b[1]), false
		}
	}
	r.fail()
	return 0, false
}
