// Package engineproc runs the engine in a process of its own. The library
// behind it can be made to panic where nothing catches it; that ends the
// process and the operations in it, and nothing else: shares lie elsewhere.
//
// The two processes trust each other: they are two halves of one enclave. They
// speak over the child's standard input and output, in frames of a length, 4
// bytes big endian, and one CBOR map.
package engineproc

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// maxFrame bounds a frame: a share of 16 members has about 40 KiB, and a message
// that Ed25519 signs comes through the door, which takes 1 MiB.
const maxFrame = 2 << 20

var errTooLong = errors.New("engine: a frame that is too long")

// Kinds of frames; the first four go to the child.
const (
	kindStart   = 1
	kindDeliver = 2
	kindFinish  = 3
	kindClose   = 4

	kindStarted   = 17 // or why not: Failure
	kindMessage   = 18
	kindPresigned = 19
	kindResult    = 20
	kindFailure   = 21
	kindEnded     = 22
)

type frame struct {
	Kind      uint8    `cbor:"1,keyasint"`
	ID        uint64   `cbor:"2,keyasint"` // of the session
	Setup     *setup   `cbor:"3,keyasint,omitempty"`
	Party     int      `cbor:"4,keyasint,omitempty"` // from or to
	Broadcast bool     `cbor:"5,keyasint,omitempty"`
	Round     int      `cbor:"6,keyasint,omitempty"`
	Body      []byte   `cbor:"7,keyasint,omitempty"` // message, digest or signature
	Share     *share   `cbor:"8,keyasint,omitempty"`
	Failure   *failure `cbor:"9,keyasint,omitempty"`
}

type failure struct {
	Cause    string   `cbor:"1,keyasint"`
	Round    int      `cbor:"2,keyasint"`
	Reason   string   `cbor:"3,keyasint"`
	Culprits []string `cbor:"4,keyasint"`
}

type role struct {
	Party  int    `cbor:"1,keyasint"`
	X      []byte `cbor:"2,keyasint"`
	Old    bool   `cbor:"3,keyasint,omitempty"`
	Public []byte `cbor:"4,keyasint,omitempty"`
}

type oldShare struct {
	Role   int    `cbor:"1,keyasint"`
	Secret []byte `cbor:"2,keyasint"`
	State  []byte `cbor:"3,keyasint,omitempty"`
}

type member struct {
	Party  string `cbor:"1,keyasint"`
	X      []byte `cbor:"2,keyasint"`
	Public []byte `cbor:"3,keyasint"`
}

type share struct {
	Curve     uint8    `cbor:"1,keyasint"`
	Threshold int      `cbor:"2,keyasint"`
	Members   []member `cbor:"3,keyasint"`
	Self      string   `cbor:"4,keyasint"`
	Public    []byte   `cbor:"5,keyasint"`
	ChainCode []byte   `cbor:"6,keyasint,omitempty"`
	Secret    []byte   `cbor:"7,keyasint"`
	State     []byte   `cbor:"8,keyasint,omitempty"`
}

type setup struct {
	Op           string     `cbor:"1,keyasint"`
	Curve        uint8      `cbor:"2,keyasint"`
	Session      []byte     `cbor:"3,keyasint"`
	Parties      []string   `cbor:"4,keyasint"`
	Self         int        `cbor:"5,keyasint"`
	Roles        []role     `cbor:"6,keyasint"`
	Threshold    int        `cbor:"7,keyasint"`
	OldThreshold int        `cbor:"8,keyasint,omitempty"`
	Public       []byte     `cbor:"9,keyasint,omitempty"`
	PreParams    []byte     `cbor:"10,keyasint,omitempty"`
	Share        *share     `cbor:"11,keyasint,omitempty"`
	Old          []oldShare `cbor:"12,keyasint,omitempty"`
	Digest       []byte     `cbor:"13,keyasint,omitempty"`
	Delta        []byte     `cbor:"14,keyasint,omitempty"`
}

// write writes a frame and wipes what it was made of.
func write(w io.Writer, f *frame) error {
	body := codec.Encode(f)
	if len(body) > maxFrame {
		clear(body)
		return errTooLong
	}
	out := append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body))), body...)
	clear(body)
	defer clear(out)
	_, err := w.Write(out)
	return err
}

func read(r io.Reader) (*frame, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > maxFrame {
		return nil, errTooLong
	}
	body := make([]byte, size)
	defer clear(body)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	f := new(frame)
	return f, codec.Decode(body, f)
}

func fromFailure(f *mpc.Failure) *failure {
	out := &failure{Cause: string(f.Cause), Round: f.Round, Reason: f.Reason}
	for _, c := range f.Culprits {
		out.Culprits = append(out.Culprits, c.String())
	}
	return out
}

func (f *failure) failure() *mpc.Failure {
	out := &mpc.Failure{Cause: mpc.Cause(f.Cause), Round: f.Round, Reason: f.Reason}
	for _, c := range f.Culprits {
		if p, err := mpc.ParsePartyID(c); err == nil {
			out.Culprits = append(out.Culprits, p)
		}
	}
	return out
}

func fromShare(s *mpc.Share) *share {
	if s == nil {
		return nil
	}
	out := &share{
		Curve: uint8(s.Curve), Threshold: s.Threshold, Self: s.Self.String(), Public: s.Public, ChainCode: s.ChainCode,
		Secret: s.Secret.Expose(), State: s.State.Expose(),
	}
	for _, m := range s.Members {
		out.Members = append(out.Members, member{m.Party.String(), m.X[:], m.Public})
	}
	return out
}

func (s *share) share() (*mpc.Share, error) {
	if s == nil {
		return nil, nil
	}
	self, err := mpc.ParsePartyID(s.Self)
	if err != nil {
		return nil, err
	}
	out := &mpc.Share{Curve: keys.Curve(s.Curve), Threshold: s.Threshold, Self: self, Public: s.Public, ChainCode: s.ChainCode}
	for _, m := range s.Members {
		p, err := mpc.ParsePartyID(m.Party)
		if err != nil || len(m.X) != 32 {
			return nil, errors.New("engine: not a member")
		}
		out.Members = append(out.Members, mpc.Member{Party: p, X: [32]byte(m.X), Public: m.Public})
	}
	out.Secret, out.State = take(s.Secret), take(s.State)
	return out, nil
}

// take makes a secret of bytes that were decoded for it, and wipes them.
func take(b []byte) *keys.Secret {
	defer clear(b)
	return keys.NewSecret(b)
}

func fromSetup(s *mpc.Setup) *setup {
	out := &setup{
		Op: string(s.Op), Curve: uint8(s.Curve), Session: s.Session[:], Self: s.Self, Threshold: s.Threshold, OldThreshold: s.OldThreshold,
		Public: s.Public, PreParams: s.PreParams.Expose(), Share: fromShare(s.Share), Digest: s.Digest, Delta: s.Delta,
	}
	for _, p := range s.Parties {
		out.Parties = append(out.Parties, p.String())
	}
	for _, r := range s.Roles {
		out.Roles = append(out.Roles, role{r.Party, r.X[:], r.Old, r.Public})
	}
	for _, o := range s.Old {
		out.Old = append(out.Old, oldShare{o.Role, o.Secret.Expose(), o.State.Expose()})
	}
	return out
}

func (s *setup) setup() (*mpc.Setup, error) {
	if len(s.Session) != 32 {
		return nil, errors.New("engine: not a session")
	}
	out := &mpc.Setup{
		Op: mpc.Op(s.Op), Curve: keys.Curve(s.Curve), Session: [32]byte(s.Session), Self: s.Self, Threshold: s.Threshold,
		OldThreshold: s.OldThreshold, Public: s.Public, Digest: s.Digest, Delta: s.Delta,
	}
	var err error
	if out.Share, err = s.Share.share(); err != nil {
		return nil, err
	}
	if len(s.PreParams) > 0 {
		out.PreParams = take(s.PreParams)
	}
	for _, p := range s.Parties {
		id, err := mpc.ParsePartyID(p)
		if err != nil {
			return nil, err
		}
		out.Parties = append(out.Parties, id)
	}
	for _, r := range s.Roles {
		if len(r.X) != 32 {
			return nil, errors.New("engine: not a role")
		}
		out.Roles = append(out.Roles, mpc.Role{Party: r.Party, X: [32]byte(r.X), Old: r.Old, Public: r.Public})
	}
	for _, o := range s.Old {
		old := mpc.OldShare{Role: o.Role, Secret: take(o.Secret)}
		if len(o.State) > 0 {
			old.State = take(o.State)
		}
		out.Old = append(out.Old, old)
	}
	return out, nil
}
