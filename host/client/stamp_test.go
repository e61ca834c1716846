package client

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"
)

// Scalar 1 has the generator of P-256 as its public key (FIPS 186-4, D.1.2.3).
const (
	onePublic  = "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
	onePrivate = "0000000000000000000000000000000000000000000000000000000000000001"
)

func TestParseAPIKeyTakesOnlyMatchingHalves(t *testing.T) {
	if _, err := ParseAPIKey(onePublic, onePrivate); err != nil {
		t.Fatalf("the generator: %v", err)
	}
	zero := strings.Repeat("0", 64)
	order := "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"
	for _, tt := range []struct{ name, public, private, want string }{
		{"other parity", "02" + onePublic[2:], onePrivate, "API public key: does not belong to the private key"},
		{"upper case", strings.ToUpper(onePublic), onePrivate, "API public key: does not belong to the private key"},
		{"zero", onePublic, zero, "API private key: is not a scalar of P-256"},
		{"the group order", onePublic, order, "API private key: is not a scalar of P-256"},
		{"short", onePublic, onePrivate[2:], "API private key: must be 64 hex digits"},
		{"not hex", onePublic, "zz" + onePrivate[2:], "API private key: must be 64 hex digits"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseAPIKey(tt.public, tt.private)
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestKeySurvivesItsHexForms(t *testing.T) {
	k, err := NewAPIKey()
	if err != nil {
		t.Fatal(err)
	}
	private, err := k.PrivateHex()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseAPIKey(k.PublicHex(), private)
	if err != nil {
		t.Fatal(err)
	}
	if !again.private.Equal(k.private) {
		t.Error("another key came back")
	}
}

func TestStampVerifiesOverTheExactBody(t *testing.T) {
	k, err := ParseAPIKey(onePublic, onePrivate)
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"payload": "hello"}` + "\n")
	value, err := Stamp(body, k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil {
		t.Fatalf("not base64url without padding: %v", err)
	}
	var s map[string]string
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	if len(s) != 3 || s["publicKey"] != onePublic || s["scheme"] != SchemeP256 {
		t.Errorf("stamp is %v", s)
	}
	sig, err := hex.DecodeString(s["signature"])
	if err != nil {
		t.Fatal(err)
	}
	pub := &k.private.PublicKey
	digest := sha256.Sum256(body)
	if !ecdsa.VerifyASN1(pub, digest[:], sig) {
		t.Error("the stamp does not verify")
	}
	digest = sha256.Sum256(body[:len(body)-1])
	if ecdsa.VerifyASN1(pub, digest[:], sig) {
		t.Error("the stamp verifies without the newline too")
	}
}

func TestAPIKeyPrintsOnlyItsPublicHalf(t *testing.T) {
	k, err := NewAPIKey()
	if err != nil {
		t.Fatal(err)
	}
	private, err := k.PrivateHex()
	if err != nil {
		t.Fatal(err)
	}
	n, _ := new(big.Int).SetString(private, 16)
	decimal := n.String()
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+"\n", k)
		fmt.Fprintf(&out, verb+"\n", struct{ K *APIKey }{k})
	}
	log := slog.New(slog.NewTextHandler(&out, nil))
	log.Info("x", "key", k)
	if _, err := json.Marshal(k); err == nil {
		t.Error("the key marshals")
	}
	if strings.Contains(out.String(), private) || strings.Contains(out.String(), decimal) {
		t.Errorf("the private half shows in %s", out.String())
	}
}
