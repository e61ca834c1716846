//go:build cgo

package pkcs11

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"testing"
)

func TestOperatorsSignAndOpen(t *testing.T) { each(t, testOperatorsSignAndOpen) }

func testOperatorsSignAndOpen(t *testing.T, k *tokens) {
	token := mustOpenAs(t, k.uri("sallyport"), RoleOperator)
	made, err := token.GenerateOperator(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	operator, err := token.FindOperator(t.Context(), made.ID())
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("manifest"))
	signature, err := operator.Sign(t.Context(), digest[:])
	if err != nil || !curves[P256].verify(operator.PublicKey().Bytes(), digest[:], signature) {
		t.Errorf("signature %x: %v", signature, err)
	}
	peer, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := peer.ECDH(operator.PublicKey())
	if got, err := operator.ECDH(peer.PublicKey()); err != nil || !bytes.Equal(got, want) {
		t.Errorf("agreed on %x, %v", got, err)
	}
	other, _ := ecdh.X25519().GenerateKey(rand.Reader)
	_, err = operator.ECDH(other.PublicKey())
	contains(t, err, "peer: must be a public key on the curve P-256")
	openHPKE(t, operator)
}

// openHPKE opens a message sealed to a key that stays in the token.
func openHPKE(t *testing.T, operator *Operator) {
	t.Helper()
	private, err := hpke.NewDHKEMPrivateKey(operator)
	if err != nil {
		t.Fatal(err)
	}
	public, err := hpke.DHKEM(ecdh.P256()).NewPublicKey(operator.PublicKey().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if id := private.KEM().ID(); id != 0x10 {
		t.Errorf("KEM %#x", id)
	}
	enc, sender, err := hpke.NewSender(public, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte("info"))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := sender.Seal([]byte("aad"), secret)
	if err != nil {
		t.Fatal(err)
	}
	recipient, err := hpke.NewRecipient(enc, private, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte("info"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := recipient.Open([]byte("aad"), sealed); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("opened %q, %v", got, err)
	}
	if _, err := private.Bytes(); err == nil {
		t.Error("the private key has bytes")
	}
}

func TestSignersAreNoOperators(t *testing.T) {
	k := newTokens(t)
	k.add("sallyport")
	token := mustOpenAs(t, k.uri("sallyport"), RoleOperator)
	signer, err := token.GenerateSigner(t.Context(), P256, "key")
	if err != nil {
		t.Fatal(err)
	}
	_, err = token.FindOperator(t.Context(), signer.ID())
	contains(t, err, "CKA_DERIVE must be true")
}
