package proof

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
)

// TestReplyStatementHasTheseBytes holds the bytes that are signed. Changing
// them breaks every client that is out there.
func TestReplyStatementHasTheseBytes(t *testing.T) {
	r := Reply{
		QuorumPublicKey: bytes.Repeat([]byte{0x04}, 65),
		Path:            "/p",
		Status:          404,
		RequestHash:     [32]byte(bytes.Repeat([]byte{0x11}, 32)),
		ReplyHash:       [32]byte(bytes.Repeat([]byte{0x22}, 32)),
		Nonce:           bytes.Repeat([]byte{0x33}, 16),
		TimeMs:          0x0102030405,
		JournalSize:     0x0a,
		JournalHead:     [32]byte(bytes.Repeat([]byte{0x44}, 32)),
		Epoch:           0x0b,
	}
	want := slices.Concat(
		[]byte("sallyport reply proof v1"), // label
		unhex("00000041"), rep("04", 65),   // quorum key, 65 bytes
		unhex("00000002"), []byte("/p"), // path, 2 bytes
		unhex("0194"),                    // status 404
		rep("11", 32),                    // SHA-256 of the request
		rep("22", 32),                    // SHA-256 of the reply
		unhex("00000010"), rep("33", 16), // nonce, 16 bytes
		unhex("0000000102030405"), // time, ms
		unhex("000000000000000a"), // journal size
		rep("44", 32),             // journal head
		unhex("000000000000000b"), // epoch
	)
	if got := r.statement(); !bytes.Equal(got, want) {
		t.Errorf("statement\n got %x\nwant %x", got, want)
	}
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func rep(s string, n int) []byte { return unhex(strings.Repeat(s, n)) }
