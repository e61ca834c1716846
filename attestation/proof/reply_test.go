package proof_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/attestation/proof"
)

func testReply(t testing.TB) proof.Reply {
	t.Helper()
	return proof.Reply{
		QuorumPublicKey: point(t, testKey(t, "quorum")),
		Path:            "/public/v1/query/whoami",
		Status:          200,
		RequestHash:     sha256.Sum256([]byte("request")),
		ReplyHash:       sha256.Sum256([]byte("reply")),
		Nonce:           []byte("0123456789abcdef"),
		TimeMs:          1763690000123,
		JournalSize:     42,
		JournalHead:     sha256.Sum256([]byte("head")),
		Epoch:           7,
	}
}

// asked leaves in r what the client knows before it has the proof.
func asked(r proof.Reply) proof.Reply {
	r.TimeMs, r.JournalSize, r.JournalHead, r.Epoch = 0, 0, [32]byte{}, 0
	return r
}

func signedReply(t testing.TB) (header string, r proof.Reply, public []byte) {
	t.Helper()
	signing, public := ephemeral(t)
	r = testReply(t)
	header, err := r.Sign(signing, public)
	if err != nil {
		t.Fatal(err)
	}
	return header, r, public
}

func TestReplyProofVerifies(t *testing.T) {
	header, want, public := signedReply(t)
	got, key, err := proof.VerifyReply(header, asked(want))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("verified reply (-want +got):\n%s", diff)
	}
	if !bytes.Equal(key, public) {
		t.Errorf("public key = %x", key)
	}
}

func TestReplyToAnotherRequestIsRefused(t *testing.T) {
	header, r, _ := signedReply(t)
	tests := []struct {
		name   string
		change func(*proof.Reply)
		want   string
	}{
		{"another appliance", func(r *proof.Reply) { r.QuorumPublicKey = point(t, testKey(t, "other")) }, "signature: "},
		{"another path", func(r *proof.Reply) { r.Path = "/public/v1/query/list_users" }, "signature: "},
		{"another status", func(r *proof.Reply) { r.Status = 403 }, "signature: "},
		{"another request", func(r *proof.Reply) { r.RequestHash[0] ^= 1 }, "signature: "},
		{"another reply", func(r *proof.Reply) { r.ReplyHash[31] ^= 1 }, "signature: "},
		{"another nonce", func(r *proof.Reply) { r.Nonce = []byte("0123456789abcdeF") }, "signature: "},
		{"longer nonce", func(r *proof.Reply) { r.Nonce = []byte("0123456789abcdef0") }, "signature: "},
		{"no nonce", func(r *proof.Reply) { r.Nonce = nil }, "nonce: must be 16 to 64 bytes"},
		{"huge nonce", func(r *proof.Reply) { r.Nonce = make([]byte, 65) }, "nonce: must be 16 to 64 bytes"},
		{"no path", func(r *proof.Reply) { r.Path = "" }, "path: "},
		{"no status", func(r *proof.Reply) { r.Status = 0 }, "status: "},
		{"status beyond 16 bits", func(r *proof.Reply) { r.Status += 1 << 16 }, "status: "},
		{"no quorum key", func(r *proof.Reply) { r.QuorumPublicKey = nil }, "quorumPublicKey: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := asked(r)
			tt.change(&want)
			got, key, err := proof.VerifyReply(header, want)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("error = %v, want %q", err, tt.want)
			}
			if diff := cmp.Diff(proof.Reply{}, got); diff != "" || key != nil {
				t.Errorf("a refused proof has a value:\n%s%x", diff, key)
			}
		})
	}
}

func TestEveryChangedByteOfAReplyProofIsRefused(t *testing.T) {
	header, r, _ := signedReply(t)
	want := asked(r)
	for i := range header {
		for _, c := range []byte("AZaz09-_=\n ") {
			if c == header[i] {
				continue
			}
			bad := header[:i] + string(c) + header[i+1:]
			if _, _, err := proof.VerifyReply(bad, want); err == nil {
				t.Fatalf("byte %d changed from %q to %q: accepted", i, header[i], c)
			}
		}
		if _, _, err := proof.VerifyReply(header[:i], want); err == nil {
			t.Fatalf("cut to %d bytes: accepted", i)
		}
	}
}

func TestReplyProofInAnyOtherFormIsRefused(t *testing.T) {
	header, r, _ := signedReply(t)
	json, err := base64.RawURLEncoding.DecodeString(header)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	replace := func(old, new string) string { return encode(strings.Replace(string(json), old, new, 1)) }
	for _, tt := range []struct{ name, header, want string }{
		{"empty", "", "reply proof: is not complete JSON"},
		{"padding", header + "=", "reply proof: must be base64url without padding"},
		{"newline", header[:8] + "\n" + header[8:], "reply proof: must be base64url without padding"},
		{"plain JSON", string(json), "reply proof: must be base64url without padding"},
		{"space", encode(" " + string(json)), "reply proof: must be in its canonical form"},
		{"upper case", replace(`"signature":"`, `"signature":"AB`), "reply proof: signature: must be lower-case hex"},
		{"long signature", replace(`"signature":"`, `"signature":"ab`), "signature: must be 64 bytes"},
		{"number", replace(`"epoch":"7"`, `"epoch":7`), "reply proof: epoch: must be a string"},
		{"short head", replace(`"journalHead":"`, `"journalHead":"ab`), "reply proof: journalHead: must be 32 bytes"},
		{"unknown", replace(`{`, `{"x":1,`), "reply proof: x: is not a known member"},
		{"time 0", replace(`"timeMs":"1763690000123"`, `"timeMs":"0"`), "timeMs: must be positive"},
		{"huge", strings.Repeat("A", 4096), "reply proof: must be at most 2048 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, _, err := proof.VerifyReply(tt.header, asked(r)); err == nil || err.Error() != tt.want {
				t.Errorf("error\n got %v\nwant %s", err, tt.want)
			}
		})
	}
}

func FuzzReply(f *testing.F) {
	header, r, public := signedReply(f)
	f.Add(header)
	f.Add(header[:len(header)-2])
	f.Add("e30")
	f.Fuzz(func(t *testing.T, header string) {
		got, key, err := proof.VerifyReply(header, asked(r))
		if err != nil {
			return
		}
		if !bytes.Equal(key, public) {
			return // signed by the fuzzer's own key: for the caller to refuse
		}
		if diff := cmp.Diff(r, got); diff != "" {
			t.Fatalf("accepted another statement:\n%s", diff)
		}
	})
}
