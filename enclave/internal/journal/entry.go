package journal

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"github.com/sallyport/sallyport/enclave/internal/seal"
)

const (
	leafLabel  = "sallyport journal leaf v1"
	chainLabel = "sallyport journal chain v1"
	saltSize   = 32

	// entryOverhead bounds an entry's plaintext without its body: a map of 6
	// one-byte keys, four integers and two lengths of at most 9 bytes, and the
	// 32 bytes of the head before it.
	entryOverhead = 1 + 6 + 4*9 + 2*9 + 32
)

// Kind is what an entry's body means. The journal does not look at it.
type Kind uint64

// Entry is one entry as replay and [Journal.Read] give it.
type Entry struct {
	Index  uint64
	TimeMs int64  // Unix milliseconds of trusted time, never below the entry before
	Epoch  uint64 // never below the entry before
	Kind   Kind
	Body   []byte
	// Leaf is the entry's Merkle leaf data,
	// SHA-256("sallyport journal leaf v1" || 32-byte salt || plaintext).
	Leaf [32]byte
}

// position is everything that an entry takes from those before it.
type position struct {
	size   uint64
	head   [32]byte
	timeMs int64
	epoch  uint64
}

// after returns the position behind an entry.
func (p position) after(e Entry) position {
	return position{size: e.Index + 1, head: Link(p.head, e.Leaf), timeMs: e.TimeMs, epoch: e.Epoch}
}

// Link returns the chain head behind an entry:
// SHA-256("sallyport journal chain v1" || head before it || leaf).
func Link(head, leaf [32]byte) [32]byte {
	var link [len(chainLabel) + 64]byte
	copy(link[:], chainLabel)
	copy(link[len(chainLabel):], head[:])
	copy(link[len(chainLabel)+32:], leaf[:])
	return sha256.Sum256(link[:])
}

// plaintext is an entry's deterministic CBOR (RFC 8949, section 4.2.1).
type plaintext struct {
	Index  uint64 `cbor:"1,keyasint"`
	TimeMs int64  `cbor:"2,keyasint"`
	Epoch  uint64 `cbor:"3,keyasint"`
	Prev   []byte `cbor:"4,keyasint"` // chain head before this entry, 32 bytes
	Kind   uint64 `cbor:"5,keyasint"`
	Body   []byte `cbor:"6,keyasint"`
}

var encoder, decoder = modes()

func modes() (cbor.UserBufferEncMode, cbor.DecMode) {
	options := cbor.CoreDetEncOptions()
	options.NilContainers = cbor.NilContainerAsEmpty
	enc, encErr := options.UserBufferEncMode()
	dec, decErr := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		MaxNestedLevels:   4, // the library's least; an entry has one level
		MaxMapPairs:       16,
		MaxArrayElements:  16,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
	}.DecMode()
	if err := errors.Join(encErr, decErr); err != nil {
		panic("internal error: journal: " + err.Error())
	}
	return enc, dec
}

// encode replaces what buffer holds with label || salt || plaintext, which is
// what the leaf is a hash of. What is sealed is the same without the label.
func encode(buffer *bytes.Buffer, salt []byte, p *plaintext) error {
	buffer.Reset()
	buffer.WriteString(leafLabel)
	buffer.Write(salt)
	return encoder.MarshalToBuffer(p, buffer)
}

// decode reads salt || plaintext. It accepts exactly what encode makes.
func decode(b []byte) (plaintext, [32]byte, error) {
	var p plaintext
	if len(b) < saltSize {
		return p, [32]byte{}, errors.New("salt is cut short")
	}
	if err := decoder.Unmarshal(b[saltSize:], &p); err != nil {
		return p, [32]byte{}, err
	}
	var again bytes.Buffer
	again.Grow(len(leafLabel) + len(b))
	if err := encode(&again, b[:saltSize], &p); err != nil {
		return p, [32]byte{}, err
	}
	if !bytes.Equal(again.Bytes()[len(leafLabel):], b) {
		return p, [32]byte{}, errors.New("must be deterministic CBOR")
	}
	return p, sha256.Sum256(again.Bytes()), nil
}

// object names the record of the entry with this index.
func object(index uint64) seal.Object {
	return seal.Object{Kind: seal.Journal, Version: index}
}

// open opens the record of the entry with this index.
func (j *Journal) open(index uint64, record []byte) (e Entry, prev []byte, err error) {
	b, err := j.sealer.Open(object(index), record)
	if err != nil {
		return Entry{}, nil, err
	}
	p, leaf, err := decode(b)
	if err != nil {
		return Entry{}, nil, err
	}
	if p.Index != index {
		return Entry{}, nil, fmt.Errorf("says that its index is %d", p.Index)
	}
	e = Entry{Index: p.Index, TimeMs: p.TimeMs, Epoch: p.Epoch, Kind: Kind(p.Kind), Body: p.Body, Leaf: leaf}
	return e, p.Prev, nil
}
