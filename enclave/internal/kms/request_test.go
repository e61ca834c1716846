package kms

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/platform"
	"github.com/sallyport/sallyport/enclave/internal/simulator"
)

func sha256New() hash.Hash { return sha256.New() }

func newKey(tb testing.TB) *rsa.PrivateKey {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

var sharedKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// testKey is one key for all tests that do not use it up.
func testKey(tb testing.TB) *rsa.PrivateKey {
	tb.Helper()
	key, err := sharedKey()
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func publishedAnswer(tb testing.TB) []byte {
	tb.Helper()
	text, err := os.ReadFile("testdata/answer.b64")
	if err != nil {
		tb.Fatal(err)
	}
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func newModule(tb testing.TB) *simulator.Simulator {
	tb.Helper()
	s, err := simulator.New()
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func newRequest(tb testing.TB, module platform.Attester) *Request {
	tb.Helper()
	r, err := NewRequest(tb.Context(), module, make([]byte, 32))
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// publicOf verifies a request's document as KMS would, and returns its key.
func publicOf(t *testing.T, module *simulator.Simulator, r *Request, binding []byte) *rsa.PublicKey {
	t.Helper()
	trust, err := attestation.TrustLocal(module.Root())
	if err != nil {
		t.Fatal(err)
	}
	doc, err := attestation.VerifyArchived(r.Document(), trust,
		attestation.Expect{Kind: attestation.KindKMS, ManifestHash: binding})
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.ParsePKIXPublicKey(doc.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return key.(*rsa.PublicKey)
}

func TestRequestOpensOneAnswer(t *testing.T) {
	module := newModule(t)
	binding := bytes.Repeat([]byte{7}, 32)
	r, err := NewRequest(t.Context(), module, binding)
	if err != nil {
		t.Fatal(err)
	}
	public := publicOf(t, module, r, binding)
	if public.N.BitLen() != 2048 {
		t.Errorf("the key has %d bits", public.N.BitLen())
	}
	answer := newAnswer(t, public, padded(testSecret)).bytes()
	if got, err := r.Open(answer); err != nil || !bytes.Equal(got, testSecret) {
		t.Fatalf("got %x, %v", got, err)
	}
	if got, err := r.Open(answer); err != ErrAnswer || got != nil { //nolint:errorlint // it must be the very value
		t.Errorf("a second time: got %x, %v", got, err)
	}
}

func TestWrongAnswerUsesTheKeyUp(t *testing.T) {
	module := newModule(t)
	for name, use := range map[string]func(*Request){
		"a wrong answer": func(r *Request) { _, _ = r.Open([]byte("wrong")) },
		"forgetting":     (*Request).Forget,
	} {
		r := newRequest(t, module)
		public := publicOf(t, module, r, make([]byte, 32))
		key := r.key.Load()
		words := key.D.Bits()
		use(r)
		if _, err := r.Open(newAnswer(t, public, padded(testSecret)).bytes()); !errors.Is(err, ErrAnswer) {
			t.Errorf("%s: the key was not used up: %v", name, err)
		}
		for _, w := range words {
			if w != 0 {
				t.Errorf("%s: the private exponent is still there", name)
				break
			}
		}
		if key.D != nil {
			t.Errorf("%s: the key is still there", name)
		}
	}
}

func TestManyOpenersShareOneKey(t *testing.T) {
	module := newModule(t)
	r := newRequest(t, module)
	answer := newAnswer(t, publicOf(t, module, r, make([]byte, 32)), padded(testSecret)).bytes()
	var opened atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := r.Open(answer); err == nil {
				opened.Add(1)
			}
		})
	}
	all.Wait()
	if n := opened.Load(); n != 1 {
		t.Errorf("%d callers got the secret", n)
	}
}

type brokenModule struct{ platform.Attester }

var errModule = errors.New("the module is gone")

func (brokenModule) Attest(context.Context, []byte, []byte, []byte) ([]byte, error) {
	return nil, errModule
}

func TestNewRequestRefuses(t *testing.T) {
	for _, n := range []int{0, 31, 33} {
		if _, err := NewRequest(t.Context(), newModule(t), make([]byte, n)); err == nil || !strings.Contains(err.Error(), "binding") {
			t.Errorf("binding of %d bytes: %v", n, err)
		}
	}
	if _, err := NewRequest(t.Context(), brokenModule{}, make([]byte, 32)); !errors.Is(err, errModule) {
		t.Errorf("got %v", err)
	}
}

func TestRequestDoesNotPrintItsKey(t *testing.T) {
	r := newRequest(t, newModule(t))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if got := fmt.Sprintf(verb, r); got != "kms.Request(hidden)" {
			t.Errorf("%s: %s", verb, got)
		}
	}
}

func TestEncryptIsWhatKMSDecrypts(t *testing.T) {
	for _, bits := range []int{2048, 3072, 4096} {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		ciphertext, err := Encrypt(spki(t, &key.PublicKey), testSecret)
		if err != nil {
			t.Fatal(err)
		}
		got, err := rsa.DecryptOAEP(sha256.New(), nil, key, ciphertext, nil)
		if err != nil || !bytes.Equal(got, testSecret) || len(ciphertext) != bits/8 {
			t.Errorf("%d bits: got %x, %v", bits, got, err)
		}
	}
}

func spki(tb testing.TB, public any) []byte {
	tb.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

func TestEncryptRefuses(t *testing.T) {
	good := spki(t, &testKey(t).PublicKey)
	odd := testKey(t).PublicKey
	odd.E = 3
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	between, err := rsa.GenerateKey(rand.Reader, 2056)
	if err != nil {
		t.Fatal(err)
	}
	ec := newModule(t).Root().PublicKey
	for _, c := range []struct {
		name        string
		key, secret []byte
		want        string
	}{
		{"short secret", good, testSecret[:31], "secret"},
		{"long secret", good, append(testSecret, 0), "secret"},
		{"no key", nil, testSecret, "SubjectPublicKeyInfo"},
		{"trailing byte", append(bytes.Clone(good), 0), testSecret, "SubjectPublicKeyInfo"},
		{"PKCS #1 key", x509.MarshalPKCS1PublicKey(&testKey(t).PublicKey), testSecret, "SubjectPublicKeyInfo"},
		{"EC key", spki(t, ec), testSecret, "RSA"},
		{"1024 bits", spki(t, &short.PublicKey), testSecret, "bits"},
		{"2056 bits", spki(t, &between.PublicKey), testSecret, "bits"},
		{"exponent 3", spki(t, &odd), testSecret, "exponent"},
	} {
		if _, err := Encrypt(c.key, c.secret); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
