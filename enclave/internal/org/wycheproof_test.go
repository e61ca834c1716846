package org

import (
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"
)

// A wycheproofFile is the part of a file of vectors that stamps need.
type wycheproofFile struct {
	TestGroups []struct {
		PublicKey struct {
			Uncompressed string // SEC 1
			PK           string // Ed25519
		}
		Tests []struct {
			TcID         int
			Comment, Msg string
			Sig, Result  string
		}
	}
}

// TestStampsAgreeWithWycheproof holds the verification of all three schemes to
// the project's published edge cases: encodings of DER, values out of range,
// special points.
func TestStampsAgreeWithWycheproof(t *testing.T) {
	for file, curve := range map[string]keyCurve{
		"ecdsa_secp256r1_sha256_test.json": curveP256,
		"ecdsa_secp256k1_sha256_test.json": curveSecp256k1,
		"ed25519_test.json":                curveEd25519,
	} {
		t.Run(file, func(t *testing.T) {
			raw, err := fs.ReadFile(wycheproof.TestVectors, file)
			if err != nil {
				t.Fatal(err)
			}
			var vectors wycheproofFile
			if err := json.Unmarshal(raw, &vectors); err != nil {
				t.Fatal(err)
			}
			seen := 0
			for _, g := range vectors.TestGroups {
				key := wycheproofKey(t, curve, g.PublicKey.Uncompressed, g.PublicKey.PK)
				for _, v := range g.Tests {
					seen++
					if got := key.verify(unhex(t, v.Msg), unhex(t, v.Sig)); got != (v.Result != "invalid") {
						t.Errorf("vector %d (%s): verified %v, want %s", v.TcID, v.Comment, got, v.Result)
					}
				}
			}
			if seen < 100 {
				t.Errorf("only %d vectors", seen)
			}
		})
	}
}

// wycheproofKey compresses a key as registrations write it.
func wycheproofKey(t *testing.T, curve keyCurve, uncompressed, pk string) publicKey {
	t.Helper()
	text := pk
	if curve != curveEd25519 {
		point := unhex(t, uncompressed)
		text = hex.EncodeToString(append([]byte{2 + point[64]&1}, point[1:33]...))
	}
	ck, ok := parseCredentialKey(curve, text)
	if !ok {
		t.Fatalf("key %s is not read", text)
	}
	public, ok := ck.parse()
	if !ok {
		t.Fatalf("key %s is not a key", text)
	}
	return public
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
