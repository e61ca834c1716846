//go:build cgo

package pkcs11

import (
	"bytes"
	"crypto/rand"
	"errors"
	"math/big"
	"sync"
	"testing"

	p11 "github.com/miekg/pkcs11"
)

// curvesOf are the curves that the module has.
func (k *tokens) curves() []Curve {
	if k.nss {
		return []Curve{P256, P384}
	}
	return Curves
}

func digestFor(c Curve) []byte {
	digest := make([]byte, max(curves[c].scalar, 32))
	_, _ = rand.Read(digest)
	return digest
}

func TestSignersSign(t *testing.T) { each(t, testSignersSign) }

func testSignersSign(t *testing.T, k *tokens) {
	token := mustOpenAs(t, k.uri("sallyport"), RoleSigner)
	for _, c := range k.curves() {
		signer, err := token.GenerateSigner(t.Context(), c, "key "+string(c))
		if err != nil {
			t.Errorf("%s: %v", c, err)
			continue
		}
		found, err := token.FindSigner(t.Context(), signer.ID())
		if err != nil {
			t.Fatalf("%s: %v", c, err)
		}
		if found.Curve() != c || found.Label() != "key "+string(c) || !bytes.Equal(found.Public(), signer.Public()) {
			t.Errorf("%s: found %+v", c, found)
		}
		for range 20 {
			digest := digestFor(c)
			signature, err := found.Sign(t.Context(), digest)
			if err != nil {
				t.Fatalf("%s: %v", c, err)
			}
			if !curves[c].verify(signer.Public(), digest, signature) {
				t.Errorf("%s: %x does not verify", c, signature)
			}
			if order := curves[c].order; order != nil && new(big.Int).SetBytes(signature[len(signature)/2:]).Cmp(new(big.Int).Rsh(order, 1)) > 0 {
				t.Errorf("%s: %x has the higher s", c, signature)
			}
		}
	}
}

func TestCurvesThatATokenHasNotAreUnavailable(t *testing.T) {
	token := mustOpenAs(t, newNSS(t).uri(""), RoleSigner)
	for _, c := range []Curve{Secp256k1, Ed25519} {
		if _, err := token.GenerateSigner(t.Context(), c, "key"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v", c, err)
		}
	}
	_, err := token.GenerateSigner(t.Context(), "p521", "key")
	contains(t, err, "curve: must be one of")
}

func TestSignersAreNamedOnce(t *testing.T) { each(t, testSignersAreNamedOnce) }

func testSignersAreNamedOnce(t *testing.T, k *tokens) {
	token := mustOpenAs(t, k.uri("sallyport"), RoleSigner)
	if _, err := token.GenerateSigner(t.Context(), P256, "key"); err != nil {
		t.Fatal(err)
	}
	_, err := token.GenerateSigner(t.Context(), P256, "key")
	if !errors.Is(err, ErrKey) {
		t.Errorf("got %v", err)
	}
	contains(t, err, `there is one called "key" already`)
	_, err = token.GenerateSigner(t.Context(), P256, "")
	contains(t, err, "label: must be 1 to 255 bytes")
	if _, err := token.FindSigner(t.Context(), []byte{1}); !errors.Is(err, ErrKey) {
		t.Errorf("no such key: %v", err)
	}
	_, err = token.FindSigner(t.Context(), nil)
	contains(t, err, "id: must be given")
}

func TestSignersTakeDigestsOnly(t *testing.T) {
	k := newTokens(t)
	k.add("sallyport")
	token := mustOpenAs(t, k.uri("sallyport"), RoleSigner)
	signer, err := token.GenerateSigner(t.Context(), P256, "key")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 31, 33, 64} {
		_, err := signer.Sign(t.Context(), make([]byte, n))
		contains(t, err, "digest: must be 32 bytes")
	}
}

func TestManyCallersSignAtOnce(t *testing.T) { each(t, testManyCallersSignAtOnce) }

func testManyCallersSignAtOnce(t *testing.T, k *tokens) {
	token := mustOpenAs(t, k.uri("sallyport"), RoleSigner)
	signer, err := token.GenerateSigner(t.Context(), P256, "key")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 25 {
				if _, err := signer.Sign(t.Context(), digestFor(P256)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(token.idle); n == 0 || n > DefaultSessions {
		t.Errorf("%d idle sessions", n)
	}
}

func TestBadSignaturesDoNotLeave(t *testing.T) {
	f := &faulty{}
	token, err := openFaulty(t, f, Options{Role: RoleSigner, Sessions: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range Curves {
		signer, err := token.GenerateSigner(t.Context(), c, string(c))
		if err != nil {
			t.Fatal(err)
		}
		f.garbleSignature = true
		if got, err := signer.Sign(t.Context(), digestFor(c)); !errors.Is(err, ErrUnavailable) || got != nil {
			t.Errorf("%s: %x, %v", c, got, err)
		}
		if len(token.idle) != 0 {
			t.Error("the session went back to the pool")
		}
		f.garbleSignature = false
		if _, err := signer.Sign(t.Context(), digestFor(c)); err != nil {
			t.Errorf("%s: %v", c, err)
		}
	}
}

func TestWeakSignersAreRefusedAndDeleted(t *testing.T) {
	for name, change := range map[string]*p11.Attribute{
		"CKA_EXTRACTABLE must be false":  p11.NewAttribute(p11.CKA_EXTRACTABLE, true),
		"CKA_SENSITIVE must be true":     p11.NewAttribute(p11.CKA_SENSITIVE, false),
		"CKA_MODIFIABLE must be false":   p11.NewAttribute(p11.CKA_MODIFIABLE, true),
		"CKA_DERIVE must be false":       p11.NewAttribute(p11.CKA_DERIVE, true),
		"CKA_UNWRAP must be false":       p11.NewAttribute(p11.CKA_UNWRAP, true),
		"its curve must be p256, not p3": p11.NewAttribute(p11.CKA_EC_PARAMS, curves[P384].params),
	} {
		t.Run(name, func(t *testing.T) {
			f := &faulty{template: change}
			token, err := openFaulty(t, f, Options{Role: RoleSigner})
			if err != nil {
				t.Fatal(err)
			}
			_, err = token.GenerateSigner(t.Context(), P256, "key")
			if !errors.Is(err, ErrKey) {
				t.Errorf("got %v", err)
			}
			contains(t, err, name)
			f.template = nil
			if _, err := token.GenerateSigner(t.Context(), P256, "key"); err != nil {
				t.Errorf("its name is taken: %v", err)
			}
		})
	}
}
