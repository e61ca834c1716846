package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
)

// unhex reads hex with spaces and comments from # to the end of the line.
func unhex(t testing.TB, commented string) []byte {
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

const (
	goldenSalt = `
	5555555555555555555555555555555555555555555555555555555555555555 # salt
`
	goldenEntry = `
	a6                                  # map of 6
	01 1903e8                           # 1 index: 1000
	02 1b0000018bcfe56800               # 2 time: 2023-11-14 22:13:20 UTC in ms
	03 03                               # 3 epoch
	04 5820                             # 4 chain head before this entry
	   6666666666666666666666666666666666666666666666666666666666666666
	05 1818                             # 5 kind: 24
	06 44 626f6479                      # 6 body: "body"
`
	goldenLeaf = "73464f5c49ff2df67272262495c123320e07e69d21120cf8963527f317b851cf"
	goldenHead = "66e2b91febefa07ad35dffb8c75dd42c5bd7598066aff2a1c145b2bfb546661d"
)

func goldenPlaintext() plaintext {
	return plaintext{
		Index:  1000,
		TimeMs: testNow().UnixMilli(),
		Epoch:  3,
		Prev:   bytes.Repeat([]byte{0x66}, 32),
		Kind:   24,
		Body:   []byte("body"),
	}
}

func TestEntryGolden(t *testing.T) {
	var buffer bytes.Buffer
	p := goldenPlaintext()
	if err := encode(&buffer, bytes.Repeat([]byte{0x55}, 32), &p); err != nil {
		t.Fatal(err)
	}
	want := append([]byte("sallyport journal leaf v1"), unhex(t, goldenSalt+goldenEntry)...)
	if !bytes.Equal(buffer.Bytes(), want) {
		t.Errorf("got  %x\nwant %x", buffer.Bytes(), want)
	}
}

func TestLeafAndHeadGolden(t *testing.T) {
	p, leaf, err := decode(unhex(t, goldenSalt+goldenEntry))
	if err != nil {
		t.Fatal(err)
	}
	if p.Index != 1000 || p.Kind != 24 || string(p.Body) != "body" {
		t.Errorf("got %+v", p)
	}
	if got := hex.EncodeToString(leaf[:]); got != goldenLeaf {
		t.Errorf("leaf is %s, want %s", got, goldenLeaf)
	}
	at := position{size: 1000, head: [32]byte(p.Prev)}.after(Entry{Index: 1000, Leaf: leaf})
	if got := hex.EncodeToString(at.head[:]); got != goldenHead {
		t.Errorf("head is %s, want %s", got, goldenHead)
	}
	// Once more, from the words of the format.
	want := sha256.Sum256(append(append([]byte("sallyport journal chain v1"), p.Prev...), leaf[:]...))
	if at.head != want || at.size != 1001 {
		t.Errorf("position is %d %x, want 1001 %x", at.size, at.head, want)
	}
}

func TestOtherSpellingsOfEntryAreRefused(t *testing.T) {
	for _, test := range []struct{ name, old, new string }{
		{"long integer", "03 03 ", "03 1803 "},
		{"long byte string", "06 44 ", "06 5804 "},
		{"indefinite byte string", "06 44 626f6479", "06 5f 44 626f6479 ff"},
		{"indefinite map", "a6 ", "bf "},
		{"text body", "06 44 ", "06 64 "},
		{"null body", "06 44 626f6479", "06 f6"},
		{"tag", "03 03 ", "03 c203 "},
		{"duplicate", "a6 ", "a7 03 03 "},
		{"unknown", "a6 ", "a7 07 03 "},
		{"missing", "03 03 ", ""},
		{"negative index", "01 1903e8", "01 3903e8"},
		{"trailing", "626f6479", "626f6479 00"},
		{"array", "a6 ", "86 "},
	} {
		t.Run(test.name, func(t *testing.T) {
			altered := strings.Replace(goldenEntry, test.old, test.new, 1)
			if altered == goldenEntry {
				t.Fatal("the golden has no such bytes")
			}
			if _, _, err := decode(unhex(t, goldenSalt+altered)); err == nil {
				t.Error("is accepted")
			}
		})
	}
}

func TestEntryCutShortIsRefused(t *testing.T) {
	b := unhex(t, goldenSalt+goldenEntry)
	for n := range b {
		if _, _, err := decode(b[:n]); err == nil {
			t.Errorf("%d bytes are accepted", n)
		}
	}
}

// FuzzDecode checks that there is one encoding of each entry.
func FuzzDecode(f *testing.F) {
	f.Add(unhex(f, goldenSalt+goldenEntry))
	f.Add(unhex(f, goldenSalt))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, leaf, err := decode(b)
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := encode(&again, b[:saltSize], &p); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.Bytes()[len(leafLabel):], b) {
			t.Errorf("%x decodes, and encodes to %x", b, again.Bytes()[len(leafLabel):])
		}
		if leaf != sha256.Sum256(append([]byte(leafLabel), b...)) {
			t.Error("leaf is not the hash of the bytes")
		}
	})
}
