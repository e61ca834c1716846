package simulator_test

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/sallyport/sallyport/attestation"
	at "github.com/sallyport/sallyport/attestation/attestationtest"
	"github.com/sallyport/sallyport/enclave/internal/simulator"
)

// message encodes {name: {member: value, ...}}, with values in CBOR.
func message(name string, members ...any) []byte {
	b := slices.Concat(at.Head(5, 1), at.Text(name), at.Head(5, uint64(len(members)/2)))
	for i := 0; i < len(members); i += 2 {
		b = append(b, at.Text(members[i].(string))...)
		b = append(b, members[i+1].([]byte)...)
	}
	return b
}

func failure(code string) []byte {
	return slices.Concat(at.Head(5, 1), at.Text("Error"), at.Text(code))
}

// The bytes of the protocol, by meaning: each request with its whole answer.
func TestProtocolIsThatOfTheDevice(t *testing.T) {
	s := newSimulator(t)
	zero := make([]byte, 48)
	extended := attestation.ExtendPCR(nil, []byte("abc"))
	for _, c := range []struct {
		name    string
		request []byte
		want    []byte
	}{
		{"describe an open register", message("DescribePCR", "index", at.Uint(16)), message("DescribePCR", "data", at.Bytes(zero), "lock", []byte{0xf4})},
		{"describe a locked register", message("DescribePCR", "index", at.Uint(3)), message("DescribePCR", "data", at.Bytes(zero), "lock", []byte{0xf5})},
		{"describe register 32", message("DescribePCR", "index", at.Uint(32)), failure("InvalidIndex")},
		{"extend", message("ExtendPCR", "index", at.Uint(16), "data", at.Bytes([]byte("abc"))), message("ExtendPCR", "data", at.Bytes(extended))},
		{"extend a locked register", message("ExtendPCR", "index", at.Uint(15), "data", at.Bytes([]byte("abc"))), failure("ReadOnlyIndex")},
		{"extend register 32", message("ExtendPCR", "index", at.Uint(32), "data", at.Bytes([]byte("abc"))), failure("InvalidIndex")},
		{"extend without data", message("ExtendPCR", "index", at.Uint(16)), failure("InvalidOperation")},
		{"extend with null", message("ExtendPCR", "index", at.Uint(16), "data", at.Null), failure("InvalidOperation")},
		{"lock", message("LockPCR", "index", at.Uint(16)), at.Text("LockPCR")},
		{"lock again", message("LockPCR", "index", at.Uint(16)), failure("ReadOnlyIndex")},
		{"lock register 32", message("LockPCR", "index", at.Uint(32)), failure("InvalidIndex")},
		{"lock a range", message("LockPCRs", "range", at.Uint(20)), at.Text("LockPCRs")},
		{"lock a range again", message("LockPCRs", "range", at.Uint(20)), at.Text("LockPCRs")},
		{"extend in a locked range", message("ExtendPCR", "index", at.Uint(19), "data", at.Bytes(zero)), failure("ReadOnlyIndex")},
		{"lock a range of 33", message("LockPCRs", "range", at.Uint(33)), failure("InvalidIndex")},
		{"user data too long", message("Attestation", "user_data", at.Bytes(make([]byte, 513))), failure("InputTooLarge")},
		{"nonce too long", message("Attestation", "nonce", at.Bytes(make([]byte, 513))), failure("InputTooLarge")},
		{"public key too long", message("Attestation", "public_key", at.Bytes(make([]byte, 1025))), failure("InputTooLarge")},
		{"request too long", make([]byte, 4097), failure("InputTooLarge")},
		{"empty request", nil, failure("InvalidOperation")},
		{"unknown name", at.Text("Reset"), failure("InvalidOperation")},
		{"unknown message", message("Reset", "index", at.Uint(1)), failure("InvalidOperation")},
		{"two messages", slices.Concat(at.Head(5, 2), message("LockPCR", "index", at.Uint(30))[1:], message("LockPCRs", "range", at.Uint(32))[1:]), failure("InvalidOperation")},
		{"known name without parameters", at.Text("LockPCRs"), failure("InvalidOperation")},
		{"unknown member", message("LockPCR", "index", at.Uint(30), "force", []byte{0xf5}), failure("InvalidOperation")},
		{"member in another case", message("LockPCR", "Index", at.Uint(30)), failure("InvalidOperation")},
		{"member twice", message("LockPCR", "index", at.Uint(30), "index", at.Uint(31)), failure("InvalidOperation")},
		{"negative index", message("LockPCR", "index", []byte{0x20}), failure("InvalidOperation")},
		{"index beyond 16 bits", message("LockPCR", "index", at.Uint(1<<16)), failure("InvalidOperation")},
		{"bytes behind the request", append(message("LockPCR", "index", at.Uint(30)), 0), failure("InvalidOperation")},
		{"array", []byte{0x80}, failure("InvalidOperation")},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := s.Handle(c.request); !bytes.Equal(sorted(t, got), sorted(t, c.want)) {
				t.Errorf("got %x, want %x", got, c.want)
			}
		})
	}
	for i, locked := range map[int]bool{19: true, 20: false, 30: false} {
		if _, is, err := s.DescribePCR(i); err != nil || is != locked {
			t.Errorf("register %d: locked is %v, %v", i, is, err)
		}
	}
}

// sorted brings the members of a message into one order.
func sorted(t *testing.T, b []byte) []byte {
	t.Helper()
	var v any
	if err := cbor.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		t.Fatal(err)
	}
	out, err := mode.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRandomIsRandom(t *testing.T) {
	s := newSimulator(t)
	a, b := make([]byte, 300), make([]byte, 300)
	for _, p := range [][]byte{a, b} {
		if n, err := s.Read(p); n != len(p) || err != nil {
			t.Fatalf("got %d, %v", n, err)
		}
	}
	if bytes.Equal(a, b) || bytes.Contains(a, make([]byte, 16)) {
		t.Error("the bytes do not look random")
	}
}

func TestModuleSaysThatItIsLocal(t *testing.T) {
	s := newSimulator(t)
	d, err := s.Describe()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(d.ModuleID, "local-") || d.MaxPCRs != 32 || d.Digest != "SHA384" || len(d.LockedPCRs) != 16 {
		t.Errorf("got %+v", d)
	}
}

// The payload is written as today's hardware does: an open map, the members in
// this order, null for what is left out.
func TestDocumentHasTheFormOfHardware(t *testing.T) {
	s := newSimulator(t)
	doc, err := s.Attest(t.Context(), nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var envelope struct {
		_                  struct{} `cbor:",toarray"`
		Protected          []byte
		Unprotected        map[int]int
		Payload, Signature []byte
	}
	if err := cbor.Unmarshal(doc, &envelope); err != nil {
		t.Fatal(err)
	}
	if hex.EncodeToString(envelope.Protected) != "a1013822" || len(envelope.Signature) != 96 {
		t.Errorf("protected %x, signature of %d bytes", envelope.Protected, len(envelope.Signature))
	}
	payload := envelope.Payload
	if payload[0] != 0xbf || payload[len(payload)-1] != 0xff {
		t.Errorf("the payload is not an open map: %x", payload[:1])
	}
	last := 0
	for _, name := range []string{"module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle", "public_key", "user_data", "nonce"} {
		at := bytes.Index(payload, at.Text(name))
		if at < last {
			t.Errorf("%s is at %d, behind %d", name, at, last)
		}
		last = at
	}
	if !bytes.HasSuffix(payload, slices.Concat(at.Text("public_key"), at.Null, at.Text("user_data"), at.Null, at.Text("nonce"), at.Null, []byte{0xff})) {
		t.Errorf("options that were left out are not null: %x", payload[len(payload)-40:])
	}
}

// FuzzHandle looks for a panic, for bytes without an answer, and for a change of
// a register that hardware keeps locked.
func FuzzHandle(f *testing.F) {
	f.Add(at.Text("GetRandom"))
	f.Add(at.Text("DescribeNSM"))
	f.Add(message("DescribePCR", "index", at.Uint(0)))
	f.Add(message("ExtendPCR", "index", at.Uint(16), "data", at.Bytes([]byte("abc"))))
	f.Add(message("LockPCR", "index", at.Uint(16)))
	f.Add(message("LockPCRs", "range", at.Uint(32)))
	f.Add(message("Attestation", "user_data", at.Null, "nonce", at.Bytes([]byte("n")), "public_key", at.Null))
	s, err := simulator.New()
	if err != nil {
		f.Fatal(err)
	}
	local := attestation.LocalMeasurements()
	f.Fuzz(func(t *testing.T, request []byte) {
		reply := s.Handle(request)
		if err := cbor.Wellformed(reply); err != nil || len(reply) > 12288 {
			t.Fatalf("answered %x with %d bytes: %v", request, len(reply), err)
		}
		if got, err := s.PCR(0); err != nil || !bytes.Equal(got, local.PCR0[:]) {
			t.Fatalf("PCR0 is %x after %x: %v", got, request, err)
		}
	})
}
