package org

import (
	"github.com/fxamacker/cbor/v2"

	"github.com/sallyport/sallyport/enclave/wire"
)

// The journal's bodies are deterministic CBOR (RFC 8949, section 4.2.1). They
// were written by this code and are authenticated before they get here; the
// strict decoding is for the day when a newer release wrote them.
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

func encode(v any) []byte { return must(encMode.Marshal(v)) }

// decodeResult reads a result that this enclave wrote to the journal.
func decodeResult[R any](b []byte) (R, error) {
	var r R
	if err := decMode.Unmarshal(b, &r); err != nil {
		return r, wire.Errorf(wire.Internal, "", "result in the journal: %v", err)
	}
	return r, nil
}
