package attestation

import (
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// The limits of an attestation document. A real one has 4.5 to 5.3 KB, about
// 60 data items, and maps nested two deep.
const (
	// MaxDocumentSize is the most bytes of a document that are looked at.
	MaxDocumentSize = 16 << 10
	maxItems        = 512 // data items, map keys and string chunks included
	maxDepth        = 4
)

// CBOR major types, RFC 8949 section 3.1.
const (
	majorUnsigned = 0
	majorNegative = 1
	majorBytes    = 2
	majorText     = 3
	majorArray    = 4
	majorMap      = 5
	majorTag      = 6
	majorSimple   = 7
)

const (
	cborNull  = 0xf6
	cborBreak = 0xff
)

// decoder is the strict mode of every decode in this package. Indefinite
// lengths stay allowed: today's hardware writes its payload as an
// indefinite-length map. Keys are compared by case, because nitrite's decoder
// does not and would take "NONCE" for the nonce.
var decoder = mustDecoder(cbor.DecOptions{
	DupMapKey:         cbor.DupMapKeyEnforcedAPF,
	MaxNestedLevels:   maxDepth,
	MaxArrayElements:  32,
	MaxMapPairs:       PCRCount,
	IndefLength:       cbor.IndefLengthAllowed,
	TagsMd:            cbor.TagsForbidden,
	ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
	FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
	UTF8:              cbor.UTF8RejectInvalid,
	BignumTag:         cbor.BignumTagForbidden,
})

func mustDecoder(o cbor.DecOptions) cbor.DecMode {
	mode, err := o.DecMode()
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return mode
}

// octets is a byte string or null. The decoder would fill a plain []byte from
// an array of integers as well.
type octets []byte

// UnmarshalCBOR implements [cbor.Unmarshaler].
func (o *octets) UnmarshalCBOR(data []byte) error {
	if len(data) == 1 && data[0] == cborNull {
		*o = nil
		return nil
	}
	if len(data) == 0 || data[0]>>5 != majorBytes {
		return errors.New("must be a byte string")
	}
	return decoder.Unmarshal(data, (*[]byte)(o))
}

// wellFormed checks that data is one CBOR item and nothing more, using only
// what a document needs: no tags, no floats, no simple values but null, and
// every length and integer in its shortest form (RFC 8949 section 4.2.1), so
// that two spellings of a value cannot hide from each other. It runs before
// anything is allocated on the word of a length.
func wellFormed(data []byte) error {
	w := walker{rest: data}
	if err := w.item(0); err != nil {
		return err
	}
	if len(w.rest) != 0 {
		return fmt.Errorf("%d bytes follow the document", len(w.rest))
	}
	return nil
}

type walker struct {
	rest  []byte
	items int
}

// head takes one initial byte with its argument. An indefinite length has
// indefinite set and argument 0.
func (w *walker) head() (major byte, argument uint64, indefinite bool, err error) {
	if w.items++; w.items > maxItems {
		return 0, 0, false, fmt.Errorf("more than %d data items", maxItems)
	}
	if len(w.rest) == 0 {
		return 0, 0, false, errors.New("the document is cut short")
	}
	major, info := w.rest[0]>>5, w.rest[0]&0x1f
	w.rest = w.rest[1:]
	switch {
	case info < 24:
		return major, uint64(info), false, nil
	case info == 31:
		return major, 0, true, nil
	case info > 27:
		return 0, 0, false, errors.New("a reserved length encoding")
	}
	size := 1 << (info - 24)
	if len(w.rest) < size {
		return 0, 0, false, errors.New("the document is cut short")
	}
	for _, b := range w.rest[:size] {
		argument = argument<<8 | uint64(b)
	}
	w.rest = w.rest[size:]
	least := uint64(24)
	if size > 1 {
		least = 1 << (4 * size)
	}
	if argument < least {
		return 0, 0, false, errors.New("an integer or length is not in its shortest form")
	}
	return major, argument, false, nil
}

func (w *walker) item(depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("nested deeper than %d", maxDepth)
	}
	first := byte(0)
	if len(w.rest) > 0 {
		first = w.rest[0]
	}
	major, argument, indefinite, err := w.head()
	if err != nil {
		return err
	}
	switch major {
	case majorUnsigned, majorNegative:
		if indefinite {
			return errors.New("an integer of indefinite length")
		}
		return nil
	case majorBytes, majorText:
		return w.text(major, argument, indefinite)
	case majorArray:
		return w.sequence(1, argument, indefinite, depth)
	case majorMap:
		return w.sequence(2, argument, indefinite, depth)
	case majorTag:
		return errors.New("a tag where none belongs")
	}
	if first != cborNull {
		return errors.New("a float, boolean or other simple value where none belongs")
	}
	return nil
}

// text takes the body of a byte or text string.
func (w *walker) text(major byte, length uint64, indefinite bool) error {
	if !indefinite {
		return w.skip(length)
	}
	for !w.atBreak() {
		chunk, length, nested, err := w.head()
		if err != nil {
			return err
		}
		if chunk != major || nested {
			return errors.New("a string chunk of another type")
		}
		if err := w.skip(length); err != nil {
			return err
		}
	}
	return nil
}

// sequence takes the elements of an array, or the keys and values of a map.
func (w *walker) sequence(each int, count uint64, indefinite bool, depth int) error {
	if indefinite {
		for n := 0; ; n++ {
			if w.atBreak() {
				if n%each != 0 {
					return errors.New("a map key without a value")
				}
				return nil
			}
			if err := w.item(depth + 1); err != nil {
				return err
			}
		}
	}
	// Every element has at least one byte, so a length that lies ends here.
	if count > uint64(len(w.rest)/each) {
		return errors.New("the document is cut short")
	}
	for range count * uint64(each) {
		if err := w.item(depth + 1); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) skip(length uint64) error {
	if length > uint64(len(w.rest)) {
		return errors.New("the document is cut short")
	}
	w.rest = w.rest[length:]
	return nil
}

// atBreak takes the end marker of an indefinite length, if it is next.
func (w *walker) atBreak() bool {
	if len(w.rest) > 0 && w.rest[0] == cborBreak {
		w.rest = w.rest[1:]
		return true
	}
	return false
}
