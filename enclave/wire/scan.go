package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// CBOR major types, RFC 8949 section 3.1.
const (
	majorUint  = 0
	majorBytes = 2
	majorText  = 3
	majorArray = 4
	majorMap   = 5
	majorOther = 7

	simpleFalse = 20
	simpleTrue  = 21
)

var errTruncated = errors.New("ends inside an item")

// scanner walks the one form of CBOR that crosses the door: the deterministic
// encoding of RFC 8949 section 4.2.1, reduced to what messages are made of.
// Maps have unsigned integer keys in strictly ascending order, arrays hold
// strings, arrays and maps, and there are no tags, floats, nulls, undefined
// values or indefinite lengths. So a message has one encoding, and no decoder
// that comes afterwards sees anything it could read in two ways.
type scanner struct {
	data []byte
	pos  int
}

// head reads the initial byte of an item and its argument.
func (s *scanner) head() (major byte, arg uint64, err error) {
	if s.pos >= len(s.data) {
		return 0, 0, errTruncated
	}
	first := s.data[s.pos]
	s.pos++
	major, info := first>>5, first&31
	if info < 24 {
		return major, uint64(info), nil
	}
	if info > 27 {
		return 0, 0, s.errorf("an indefinite or reserved length")
	}
	size := 1 << (info - 24)
	if len(s.data)-s.pos < size {
		return 0, 0, errTruncated
	}
	var padded [8]byte
	copy(padded[8-size:], s.data[s.pos:s.pos+size])
	arg = binary.BigEndian.Uint64(padded[:])
	if major == majorOther {
		return 0, 0, s.errorf("a float or an unknown simple value")
	}
	if shortest := [...]uint64{24, 1 << 8, 1 << 16, 1 << 32}[info-24]; arg < shortest {
		return 0, 0, s.errorf("a number not in its shortest form")
	}
	s.pos += size
	return major, arg, nil
}

// item walks one item, in which up to depth arrays and maps may nest.
func (s *scanner) item(depth int) error {
	major, arg, err := s.head()
	if err != nil {
		return err
	}
	switch major {
	case majorUint, majorUint + 1:
		return nil
	case majorBytes, majorText:
		return s.str(major, arg)
	case majorArray:
		return s.array(arg, depth)
	case majorMap:
		return s.pairs(arg, depth, func(uint64) error { return s.item(depth - 1) })
	case majorOther:
		if arg == simpleFalse || arg == simpleTrue {
			return nil
		}
		return s.errorf("a simple value that is not a boolean")
	default:
		return s.errorf("a tag")
	}
}

func (s *scanner) str(major byte, size uint64) error {
	if size > uint64(len(s.data)-s.pos) {
		return errTruncated
	}
	text := s.data[s.pos : s.pos+int(size)]
	if major == majorText && !utf8.Valid(text) {
		return s.errorf("text that is not UTF-8")
	}
	s.pos += int(size)
	return nil
}

// array refuses bare numbers and booleans as elements: the library would take
// a list of small numbers for a byte string.
func (s *scanner) array(count uint64, depth int) error {
	if depth < 1 {
		return s.errorf("nesting beyond %d levels", maxDepth)
	}
	if count > maxElements {
		return s.errorf("an array of more than %d elements", maxElements)
	}
	for range count {
		if s.pos < len(s.data) {
			switch s.data[s.pos] >> 5 {
			case majorUint, majorUint + 1, majorOther:
				return s.errorf("a bare value in an array")
			}
		}
		if err := s.item(depth - 1); err != nil {
			return err
		}
	}
	return nil
}

// pairs walks a map, calling value at the start of each value.
func (s *scanner) pairs(count uint64, depth int, value func(key uint64) error) error {
	if depth < 1 {
		return s.errorf("nesting beyond %d levels", maxDepth)
	}
	if count > maxPairs {
		return s.errorf("a map of more than %d pairs", maxPairs)
	}
	var last uint64
	for i := range count {
		major, key, err := s.head()
		if err != nil {
			return err
		}
		if major != majorUint {
			return s.errorf("a map key that is not an unsigned integer")
		}
		if i > 0 && key <= last {
			return s.errorf("a map key twice or out of order")
		}
		last = key
		if err := value(key); err != nil {
			return err
		}
	}
	return nil
}

func (s *scanner) errorf(format string, args ...any) error {
	return fmt.Errorf("byte %d: %s", s.pos, fmt.Sprintf(format, args...))
}

// envelope is the outermost map of a body, its values still encoded.
type envelope struct {
	one, two   []byte // values of fields 1 and 2, nil when absent
	part, last []byte // of fields 3 and 4
	unknown    bool   // there was another field
}

// parted tells whether it claims to be a part of an answer.
func (e *envelope) parted() bool { return e.part != nil || e.last != nil }

// openEnvelope walks a whole body, which is one map, and returns its parts.
func openEnvelope(body []byte) (envelope, error) {
	var e envelope
	s := scanner{data: body}
	major, count, err := s.head()
	if err != nil {
		return e, err
	}
	if major != majorMap {
		return e, s.errorf("a body that is not a map")
	}
	err = s.pairs(count, maxDepth, func(key uint64) error {
		start := s.pos
		if err := s.item(maxDepth - 1); err != nil {
			return err
		}
		switch key {
		case 1:
			e.one = body[start:s.pos]
		case 2:
			e.two = body[start:s.pos]
		case 3:
			e.part = body[start:s.pos]
		case 4:
			e.last = body[start:s.pos]
		default:
			e.unknown = true
		}
		return nil
	})
	if err != nil {
		return envelope{}, err
	}
	if s.pos != len(body) {
		return envelope{}, s.errorf("bytes after the body's map")
	}
	return e, nil
}
