// Package codec is the encoding of what the enclave writes for itself: bodies
// of journal entries and plaintexts of sealed objects. It is deterministic
// CBOR (RFC 8949, section 4.2.1). What is read was authenticated before; the
// strictness is for the day when a newer release wrote it.
package codec

import "github.com/fxamacker/cbor/v2"

var (
	encMode = must(cbor.CoreDetEncOptions().EncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxNestedLevels:   16,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return v
}

// Encode encodes a value of a type made for it: a struct of plain data with
// integer keys. It cannot fail for those.
func Encode(v any) []byte { return must(encMode.Marshal(v)) }

// Decode reads one value into v, strictly: no unknown or repeated keys, no
// indefinite lengths, no tags, nothing after it.
func Decode(b []byte, v any) error { return decMode.Unmarshal(b, v) }
