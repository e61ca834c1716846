package seal

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/sallyport/sallyport/enclave/internal/platform"
)

var (
	testRoot      = bytes.Repeat([]byte{0x11}, 32)
	testAppliance = [16]byte(bytes.Repeat([]byte{0xaa}, 16))
	testWriter    = bytes.Repeat([]byte{0xcc}, 48)
	testObject    = Object{
		Kind:    Share,
		Org:     bytes.Repeat([]byte{0x0b}, 16),
		ID:      []byte("key/1"),
		Version: 7,
		Epoch:   2,
	}
)

func testSealer() *Sealer {
	return New(testRoot, testAppliance, platform.Local, testWriter, rand.Reader)
}

func mustSeal(t testing.TB, s *Sealer, o Object, plaintext string) []byte {
	t.Helper()
	record, err := s.Seal(o, []byte(plaintext))
	if err != nil {
		t.Fatal(err)
	}
	return record
}

func TestSealedOpens(t *testing.T) {
	s := testSealer()
	for _, o := range []Object{
		testObject,
		{Kind: Journal},
		{Kind: Journal, Version: 1<<64 - 1},
		{Kind: Identity, ID: bytes.Repeat([]byte{1}, 32), Epoch: 1<<64 - 1, Version: 1<<64 - 1, Org: testObject.Org},
	} {
		for _, plaintext := range []string{"", "x", strings.Repeat("long", 1000)} {
			record := mustSeal(t, s, o, plaintext)
			if len(record) > len(plaintext)+Overhead {
				t.Errorf("record has %d bytes over its plaintext, want at most %d", len(record)-len(plaintext), Overhead)
			}
			got, err := s.Open(o, record)
			if err != nil || string(got) != plaintext {
				t.Errorf("%+v: got %q, %v", o, got, err)
			}
		}
	}
}

func TestAnotherReleaseOpens(t *testing.T) {
	record := mustSeal(t, testSealer(), testObject, "kept over an upgrade")
	next := New(testRoot, testAppliance, platform.Local, make([]byte, 48), rand.Reader)
	if _, err := next.Open(testObject, record); err != nil {
		t.Error(err)
	}
}

func TestRecordOfAnotherObjectIsRefusedByName(t *testing.T) {
	s := testSealer()
	record := mustSeal(t, s, testObject, "secret")
	other := testAppliance
	other[0] ^= 1
	alter := func(change func(*Object)) Object {
		o := testObject
		change(&o)
		return o
	}
	for _, test := range []struct {
		field  string
		sealer *Sealer
		object Object
	}{
		{"assurance", New(testRoot, testAppliance, platform.Nitro, testWriter, rand.Reader), testObject},
		{"appliance", New(testRoot, other, platform.Local, testWriter, rand.Reader), testObject},
		{"kind", s, alter(func(o *Object) { o.Kind = Identity })},
		{"org", s, alter(func(o *Object) { o.Org = make([]byte, 16) })},
		{"org", s, alter(func(o *Object) { o.Org = nil })},
		{"id", s, alter(func(o *Object) { o.ID = []byte("key/2") })},
		{"id", s, alter(func(o *Object) { o.ID = nil })},
		{"version", s, alter(func(o *Object) { o.Version = 6 })},
		{"epoch", s, alter(func(o *Object) { o.Epoch = 3 })},
	} {
		_, err := test.sealer.Open(test.object, record)
		var mismatch *MismatchError
		if !errors.As(err, &mismatch) || mismatch.Field != test.field {
			t.Errorf("got %v, want a mismatch of %s", err, test.field)
		}
	}
}

// A host may rewrite the header so that it names the object that is asked for.
func TestRenamedRecordIsForged(t *testing.T) {
	s := testSealer()
	record := mustSeal(t, s, testObject, "old version")
	renamed := testObject
	renamed.Version = 8
	at := bytes.Index(record, []byte{6, 7, 7, 2}) // 6: version 7, 7: epoch 2
	record[at+1] = 8
	if _, err := s.Open(renamed, record); !errors.Is(err, ErrForged) {
		t.Errorf("got %v, want ErrForged", err)
	}
}

func TestAnotherRootIsForged(t *testing.T) {
	record := mustSeal(t, testSealer(), testObject, "secret")
	other := New(make([]byte, 32), testAppliance, platform.Local, testWriter, rand.Reader)
	if _, err := other.Open(testObject, record); !errors.Is(err, ErrForged) {
		t.Errorf("got %v, want ErrForged", err)
	}
}

func TestEachBitCounts(t *testing.T) {
	s := testSealer()
	record := mustSeal(t, s, testObject, "secret")
	for i := range record {
		for bit := range 8 {
			record[i] ^= 1 << bit
			if _, err := s.Open(testObject, record); err == nil {
				t.Errorf("record opens with bit %d of byte %d flipped", bit, i)
			}
			record[i] ^= 1 << bit
		}
	}
}

func TestEachByteCounts(t *testing.T) {
	s := testSealer()
	record := mustSeal(t, s, testObject, "secret")
	for n := range record {
		if _, err := s.Open(testObject, record[:n]); err == nil {
			t.Errorf("record opens when cut to %d bytes", n)
		}
	}
	for _, b := range []byte{0, 0xff} {
		if _, err := s.Open(testObject, append(record[:len(record):len(record)], b)); err == nil {
			t.Errorf("record opens with byte %#x added", b)
		}
	}
}

func TestNoTwoRecordsAreAlike(t *testing.T) {
	s := testSealer()
	a, b := mustSeal(t, s, testObject, "secret"), mustSeal(t, s, testObject, "secret")
	end := len(a) - len("secret") - tagSize
	for _, part := range []struct {
		name string
		a, b []byte
	}{
		{"salt", a[end-nonceSize-saltSize : end-nonceSize], b[end-nonceSize-saltSize : end-nonceSize]},
		{"nonce", a[end-nonceSize : end], b[end-nonceSize : end]},
		{"ciphertext", a[end:], b[end:]},
	} {
		if bytes.Equal(part.a, part.b) {
			t.Errorf("two records share their %s", part.name)
		}
	}
}

func TestWithoutRandomnessNothingIsSealed(t *testing.T) {
	broken := iotest.ErrReader(errors.New("device is gone"))
	for _, r := range []io.Reader{broken, io.MultiReader(bytes.NewReader(make([]byte, 43)), broken)} {
		s := New(testRoot, testAppliance, platform.Local, testWriter, r)
		if record, err := s.Seal(testObject, nil); err == nil || record != nil {
			t.Errorf("got %d bytes, %v", len(record), err)
		}
	}
}

func TestObjectsThatNoHeaderCanNameAreRefused(t *testing.T) {
	s := testSealer()
	for _, o := range []Object{
		{},
		{Kind: NodeBackup + 1},
		{Kind: Share, Org: make([]byte, 15)},
		{Kind: Share, ID: make([]byte, 33)},
	} {
		if _, err := s.Seal(o, nil); err == nil {
			t.Errorf("sealed %+v", o)
		}
		if _, err := s.Open(o, nil); err == nil {
			t.Errorf("opened %+v", o)
		}
	}
}

func TestSealerDoesNotPrintItsKey(t *testing.T) {
	s := testSealer()
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if got := fmt.Sprintf(format, s); got != "seal.Sealer(hidden)" {
			t.Errorf("%s prints %q", format, got)
		}
	}
}

func TestWrongLengthsPanic(t *testing.T) {
	for name, make := range map[string]func(){
		"root":      func() { New(make([]byte, 31), testAppliance, platform.Local, testWriter, rand.Reader) },
		"writer":    func() { New(testRoot, testAppliance, platform.Local, nil, rand.Reader) },
		"assurance": func() { New(testRoot, testAppliance, "none", testWriter, rand.Reader) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s is accepted", name)
				}
			}()
			make()
		}()
	}
}

func BenchmarkSeal(b *testing.B) {
	s, plaintext := testSealer(), make([]byte, 600)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Seal(testObject, plaintext); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	s := testSealer()
	record := mustSeal(b, s, testObject, strings.Repeat("x", 600))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Open(testObject, record); err != nil {
			b.Fatal(err)
		}
	}
}
