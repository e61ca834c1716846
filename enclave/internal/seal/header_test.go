package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/sallyport/sallyport/enclave/internal/platform"
)

// unhex reads hex with spaces and comments from # to the end of the line.
func unhex(t *testing.T, commented string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(commented) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const goldenHeader = `
	a9                                          # map of 9
	01 02                                       # 1 assurance: local
	02 02                                       # 2 kind: share
	03 50 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa      # 3 appliance
	04 50 0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b      # 4 org
	05 45 6b65792f31                            # 5 id: "key/1"
	06 07                                       # 6 version
	07 02                                       # 7 epoch
	08 5830                                     # 8 writer, PCR0
	   cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc
	   cccccccccccccccccccccccccccccccc
	09 5820                                     # 9 salt
	   0101010101010101010101010101010101010101010101010101010101010101
`

func TestHeaderGolden(t *testing.T) {
	h := testSealer().header(testObject, testWriter, bytes.Repeat([]byte{1}, 32))
	if got, want := h.append(nil), unhex(t, goldenHeader); !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

func TestRecordGolden(t *testing.T) {
	s := New(testRoot, testAppliance, platform.Local, testWriter, bytes.NewReader(bytes.Repeat([]byte{1}, 44)))
	got := mustSeal(t, s, testObject, "secret")
	want := unhex(t, `
		53505331    # "SPS1"
		008a        # header of 138 bytes
	`+goldenHeader+`
		010101010101010101010101            # nonce
		9d8a0e1d3939                        # ciphertext
		0e08ca981d7907d3a4a329bf12ccde6b    # tag
	`)
	if !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

// sealWith is the format of a record once more, from the package comment.
func sealWith(t *testing.T, header, plaintext []byte) []byte {
	t.Helper()
	info := "sallyport object key v1" + string(binary.BigEndian.AppendUint32(nil, uint32(len(header)))) + string(header)
	key, err := hkdf.Key(sha256.New, testRoot, []byte("sallyport root v1"), info, 32)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	prefix := binary.BigEndian.AppendUint16([]byte("SPS1"), uint16(len(header)))
	prefix = append(prefix, header...)
	nonce := bytes.Repeat([]byte{9}, 12)
	return gcm.Seal(append(bytes.Clone(prefix), nonce...), nonce, plaintext, prefix)
}

func TestFormatIsAsWritten(t *testing.T) {
	record := sealWith(t, unhex(t, goldenHeader), []byte("made by hand"))
	got, err := testSealer().Open(testObject, record)
	if err != nil || string(got) != "made by hand" {
		t.Errorf("got %q, %v", got, err)
	}
}

// Whoever can seal could seal a header with another spelling of the same
// names; there must be only one.
func TestOtherSpellingsOfHeaderAreRefused(t *testing.T) {
	golden := goldenHeader
	for _, test := range []struct{ name, old, new string }{
		{"long integer", "06 07 ", "06 1807 "},
		{"long key", "06 07 ", "1806 07 "},
		{"long byte string", "05 45 ", "05 5805 "},
		{"indefinite byte string", "05 45 6b65792f31", "05 5f 45 6b65792f31 ff"},
		{"indefinite map", "a9 ", "bf "},
		{"text string", "05 45 ", "05 65 "},
		{"tag", "06 07 ", "06 c207 "},
		{"order", "06 07                                       # 6 version\n\t07 02", "07 02 06 07"},
		{"duplicate", "a9 ", "aa 06 07 "},
		{"unknown", "a9 ", "aa 0a 07 "},
		{"missing", "01 02 ", ""},
		{"negative", "06 07 ", "06 26 "},
		{"float", "06 07 ", "06 f94700 "},
		{"null org", "04 50 0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "04 f6 "},
		{"array", "a9 ", "89 "},
		{"trailing", "5820", "5820" + strings.Repeat("01", 32)},
	} {
		t.Run(test.name, func(t *testing.T) {
			altered := strings.Replace(golden, test.old, test.new, 1)
			if altered == golden {
				t.Fatal("the golden has no such bytes")
			}
			record := sealWith(t, unhex(t, altered), []byte("secret"))
			if _, err := testSealer().Open(testObject, record); err == nil || errors.Is(err, ErrForged) {
				t.Errorf("got %v, want the header refused", err)
			}
		})
	}
}

func TestHandWrittenEncodingIsTheLibrarys(t *testing.T) {
	options := cbor.CoreDetEncOptions()
	options.NilContainers = cbor.NilContainerAsEmpty
	mode, err := options.EncMode()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []uint64{0, 23, 24, 255, 256, 65535, 65536, 1<<32 - 1, 1 << 32, 1<<64 - 1} {
		h := testSealer().header(Object{Kind: Journal, Version: n, Epoch: n, ID: make([]byte, n%33)}, testWriter, make([]byte, 32))
		want, err := mode.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		if got := h.append(nil); !bytes.Equal(got, want) {
			t.Errorf("%d: got %x, want %x", n, got, want)
		}
	}
}

// FuzzOpen gives Open records that the host may have made up. None may open,
// for only Seal makes ones that do. The seed lacks its tag, which no mutation
// will guess.
func FuzzOpen(f *testing.F) {
	s := testSealer()
	record := mustSeal(f, s, testObject, "secret")
	clear(record[len(record)-tagSize:])
	f.Add(record)
	f.Add([]byte("SPS1\x00\x00"))
	f.Add([]byte("SPS1\xff\xff"))
	f.Fuzz(func(t *testing.T, record []byte) {
		plaintext, err := s.Open(testObject, record)
		if err == nil || plaintext != nil {
			t.Errorf("opened to %q", plaintext)
		}
	})
}
