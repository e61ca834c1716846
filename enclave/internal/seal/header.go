package seal

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"github.com/sallyport/sallyport/enclave/internal/platform"
)

const (
	applianceSize = 16
	orgSize       = 16
	maxID         = 32
	writerSize    = 48
)

// Kind is what a record holds. Numbers never change and are never used again.
type Kind uint

// The kinds of records.
const (
	Journal  Kind = 1 // one entry of the journal; the version is its index
	Share    Kind = 2 // a share of a key
	Identity Kind = 3 // a private key of the appliance itself
	// 4 to 6 are of the node API: a share, its identity key, and a backup of a share.
	NodeShare    Kind = 4
	NodeIdentity Kind = 5
	NodeBackup   Kind = 6
)

// Object names what a record is. Two objects that differ anywhere have
// different keys, and a record of one does not open as the other.
type Object struct {
	Kind    Kind
	Org     []byte // 16 bytes, or none when the appliance itself owns the object
	ID      []byte // 0 to 32 bytes, chosen by the kind's owner
	Version uint64 // counts up with each new content of one object
	Epoch   uint64 // of the manifest, or 0 when the kind has none
}

// ErrMalformed means that a record has not the form of one.
var ErrMalformed = errors.New("seal: malformed record")

// MismatchError says that a record was sealed as another object than the one
// asked for.
type MismatchError struct {
	Field string // "assurance", "appliance", "kind", "org", "id", "version" or "epoch"
}

func (e *MismatchError) Error() string { return "seal: record is of another " + e.Field }

// header is the deterministic CBOR map (RFC 8949, section 4.2.1) at the front
// of a record.
type header struct {
	Assurance uint   `cbor:"1,keyasint"` // 1 nitro, 2 local
	Kind      uint   `cbor:"2,keyasint"`
	Appliance []byte `cbor:"3,keyasint"` // 16 bytes
	Org       []byte `cbor:"4,keyasint"` // 0 or 16 bytes
	ID        []byte `cbor:"5,keyasint"` // 0 to 32 bytes
	Version   uint64 `cbor:"6,keyasint"`
	Epoch     uint64 `cbor:"7,keyasint"`
	Writer    []byte `cbor:"8,keyasint"` // PCR0 of the image that sealed, 48 bytes
	Salt      []byte `cbor:"9,keyasint"` // 32 random bytes: makes the key unique
}

// decoder reads the headers that are refused, to say why. It takes nothing but
// one map of known integer keys.
var decoder = must(cbor.DecOptions{
	DupMapKey:         cbor.DupMapKeyEnforcedAPF,
	IndefLength:       cbor.IndefLengthForbidden,
	TagsMd:            cbor.TagsForbidden,
	MaxNestedLevels:   4, // the library's least; a header has one level
	MaxMapPairs:       16,
	MaxArrayElements:  16,
	ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
}.DecMode())

func must[T any](mode T, err error) T {
	if err != nil {
		panic("internal error: seal: " + err.Error())
	}
	return mode
}

func assuranceNumber(a platform.Assurance) uint {
	switch a {
	case platform.Nitro:
		return 1
	case platform.Local:
		return 2
	}
	panic("internal error: seal: unknown assurance")
}

// check refuses objects that no header can name.
func (o Object) check() error {
	switch {
	case o.Kind < Journal || o.Kind > NodeBackup:
		return fmt.Errorf("seal: kind %d is unknown", o.Kind)
	case len(o.Org) != 0 && len(o.Org) != orgSize:
		return fmt.Errorf("seal: org must have 0 or %d bytes", orgSize)
	case len(o.ID) > maxID:
		return fmt.Errorf("seal: id must have at most %d bytes", maxID)
	}
	return nil
}

func (s *Sealer) header(o Object, writer, salt []byte) header {
	return header{
		Assurance: s.assurance,
		Kind:      uint(o.Kind),
		Appliance: s.appliance[:],
		Org:       o.Org,
		ID:        o.ID,
		Version:   o.Version,
		Epoch:     o.Epoch,
		Writer:    writer,
		Salt:      salt,
	}
}

// append adds the one encoding of h to dst. It is written by hand because it
// runs for every record, and a general encoder costs 20 times as much.
func (h header) append(dst []byte) []byte {
	dst = append(dst, 0xa9) // map of 9 pairs
	dst = appendUint(append(dst, 1), uint64(h.Assurance))
	dst = appendUint(append(dst, 2), uint64(h.Kind))
	dst = appendBytes(append(dst, 3), h.Appliance)
	dst = appendBytes(append(dst, 4), h.Org)
	dst = appendBytes(append(dst, 5), h.ID)
	dst = appendUint(append(dst, 6), h.Version)
	dst = appendUint(append(dst, 7), h.Epoch)
	dst = appendBytes(append(dst, 8), h.Writer)
	return appendBytes(append(dst, 9), h.Salt)
}

// Where the two fields that the caller does not name stand, counted from the
// end of every header: 8, 0x58 48, writer, 9, 0x58 32, salt.
const (
	saltFromEnd   = saltSize
	writerFromEnd = saltFromEnd + 3 + writerSize
)

// match accepts exactly one encoding: that of the object that the caller
// expects, with whatever writer and salt the record has.
func (s *Sealer) match(o Object, encoded []byte) error {
	if n := len(encoded); n >= writerFromEnd {
		writer := encoded[n-writerFromEnd:][:writerSize]
		salt := encoded[n-saltFromEnd:]
		var want [maxHeader]byte
		if bytes.Equal(s.header(o, writer, salt).append(want[:0]), encoded) {
			return nil
		}
	}
	return s.explain(o, encoded)
}

// explain says, field by field, why a header is not the expected one, so that
// the error names what was swapped.
func (s *Sealer) explain(o Object, encoded []byte) error {
	var h header
	if err := decoder.Unmarshal(encoded, &h); err != nil {
		return fmt.Errorf("%w: header: %v", ErrMalformed, err)
	}
	switch {
	case h.Assurance != s.assurance:
		return &MismatchError{Field: "assurance"}
	case !bytes.Equal(h.Appliance, s.appliance[:]):
		return &MismatchError{Field: "appliance"}
	case h.Kind != uint(o.Kind):
		return &MismatchError{Field: "kind"}
	case !bytes.Equal(h.Org, o.Org):
		return &MismatchError{Field: "org"}
	case !bytes.Equal(h.ID, o.ID):
		return &MismatchError{Field: "id"}
	case h.Version != o.Version:
		return &MismatchError{Field: "version"}
	case h.Epoch != o.Epoch:
		return &MismatchError{Field: "epoch"}
	case len(h.Writer) != writerSize || len(h.Salt) != saltSize:
		return fmt.Errorf("%w: header: writer must have %d bytes and salt %d", ErrMalformed, writerSize, saltSize)
	}
	return fmt.Errorf("%w: header must be deterministic CBOR", ErrMalformed)
}
