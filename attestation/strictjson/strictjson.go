// Package strictjson decodes JSON that was signed. Whatever a signature covers
// must have exactly one reading, so everything that two JSON parsers might
// read differently is refused here: members that appear twice or differ only
// in case, unknown members, bad UTF-8, lone surrogates, numbers that are not
// plain integers, bytes after the value.
//
// encoding/json accepts all of these and picks one reading in silence: the
// last of two equal names, a name in another case, U+FFFD for bytes that are
// not UTF-8. What this package accepts, encoding/json accepts too, and with an
// equal result; a fuzz target holds it to that.
//
// The package trusts its Go types and nothing else. It bounds depth
// ([MaxDepth]) and the number of array elements ([MaxElements]); the caller
// bounds the length of the input.
package strictjson

import (
	"bytes"
	"encoding/json"
	"reflect"
	"unicode/utf8"
)

const (
	// MaxDepth is how deep objects and arrays may nest. The deepest body of
	// the activity API has seven levels; the limit keeps recursion bounded.
	MaxDepth = 32
	// MaxElements is how many array elements one document may have in all.
	// `{},` takes three bytes of input and a whole struct of memory, so the
	// length of the input alone does not bound what decoding allocates.
	MaxElements = 1 << 16
)

// Raw is the exact bytes of one JSON value, without space around it. A value
// decoded into a Raw obeys every rule of this package, in all its depth,
// except that any member name is allowed.
type Raw []byte

// MarshalJSON returns r itself, and null for an empty Raw.
func (r Raw) MarshalJSON() ([]byte, error) {
	if len(r) == 0 {
		return []byte("null"), nil
	}
	return r, nil
}

// UnmarshalJSON sets r to a copy of data, and to nil for null. It lets
// encoding/json read the same types; it does not check anything.
func (r *Raw) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*r = nil
		return nil
	}
	*r = bytes.Clone(data)
	return nil
}

// Decode reads data, which must be one JSON value and nothing else but white
// space, into the value that v points to. Earlier contents of that value are
// discarded; after an error it is zero. Every error is an [*Error].
//
// Members are matched with `json:"name"` tags byte for byte. A member tagged
// `strict:"required"` must be present. A member whose value is null counts as
// absent, whatever its type; an array element or a whole document may not be
// null. The types supported are string, bool, all integers, structs (embedded
// ones are flattened), pointers and slices of these, [Raw], types with an
// UnmarshalText method such as [Hex], and []byte, which is canonical standard
// base64 with padding. Numbers must be integers in the range of int64, also for uint64.
//
// Decode panics when v is not such a pointer: that is a mistake in the
// program and not in the data.
func Decode(data []byte, v any) error { return decode(data, v, false) }

// DecodeRequest is [Decode] for what clients write, whose schema may be newer
// than v: a member that v does not have counts as absent too when its value is
// null. All others are refused as ever.
func DecodeRequest(data []byte, v any) error { return decode(data, v, true) }

func decode(data []byte, v any, nulls bool) error {
	ptr := reflect.ValueOf(v)
	if ptr.Kind() != reflect.Pointer || ptr.IsNil() {
		panic("internal error: strictjson.Decode needs a pointer")
	}
	target := ptr.Elem()
	target.SetZero()
	p := planFor(target.Type())
	if err := decodeDocument(data, p, target, nulls); err != nil {
		target.SetZero()
		return err
	}
	return nil
}

// Marshal encodes v as encoding/json does, but leaves <, > and & as they are
// and puts no newline at the end: the bytes that JavaScript's JSON.stringify
// and other languages' encoders give for the same value. Strings must be
// UTF-8.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func decodeDocument(data []byte, p *plan, target reflect.Value, nulls bool) error {
	if !utf8.Valid(data) {
		return &Error{Rule: "must be valid UTF-8"}
	}
	d := decoder{data: data, nulls: nulls}
	d.space()
	if d.literal("null") {
		return &Error{Rule: "must not be null"}
	}
	if err := d.value(p, target, 0); err != nil {
		return err
	}
	if d.space(); d.pos != len(d.data) {
		return &Error{Rule: "must be followed by nothing but white space"}
	}
	return nil
}
