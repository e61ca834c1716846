package kms

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/sallyport/sallyport/enclave/internal/platform"
)

const (
	bindingSize = 32 // user_data of a kms document
	requestBits = 2048
	wrappedSize = requestBits / 8
)

// ErrAnswer is every failure of [Request.Open].
var ErrAnswer = errors.New("kms: the answer does not open")

// Request is one request to KMS Decrypt: an attestation document, and the key
// that opens the answer to it once. It is safe for concurrent use.
type Request struct {
	document []byte
	key      atomic.Pointer[rsa.PrivateKey] // nil once it was used
}

// NewRequest makes an RSA key of 2048 bits and has the attester sign for it: a
// document of kind kms, whose public_key is the key as DER SubjectPublicKeyInfo
// and whose user_data is the binding of 32 bytes. KMS sees the binding and does
// not judge it; it judges registers, and only those that are locked are in a
// document, so lock them first.
//
// It costs one RSA key (tenths of a second, and it varies) and one signature of
// the attester.
func NewRequest(ctx context.Context, attester platform.Attester, binding []byte) (*Request, error) {
	if len(binding) != bindingSize {
		return nil, fmt.Errorf("kms: binding must have %d bytes", bindingSize)
	}
	key, err := rsa.GenerateKey(rand.Reader, requestBits)
	if err != nil {
		return nil, fmt.Errorf("kms: making the key of a request: %v", err)
	}
	r := new(Request)
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err == nil {
		r.document, err = attester.Attest(ctx, binding, nil, public)
	}
	if err != nil {
		wipe(key)
		return nil, fmt.Errorf("kms: attesting the key of a request: %w", err)
	}
	r.key.Store(key)
	return r, nil
}

// Document returns the attestation document, for the AttestationDocument of
// KMS's Recipient. The caller must not change it.
func (r *Request) Document() []byte { return r.document }

// Format keeps the key out of every way to print a Request.
func (r *Request) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "kms.Request(hidden)") }

// Open decrypts KMS's CiphertextForRecipient to a secret of 32 bytes. There is
// one error, [ErrAnswer], whatever is wrong, and it comes after the same work as
// a secret. The first call uses the key up; every later one fails at once.
func (r *Request) Open(ciphertextForRecipient []byte) ([]byte, error) {
	key := r.key.Swap(nil)
	if key == nil {
		return nil, ErrAnswer
	}
	defer wipe(key)
	return open(key, ciphertextForRecipient)
}

// Forget wipes the key of a request that is not going to be answered.
func (r *Request) Forget() {
	if key := r.key.Swap(nil); key != nil {
		wipe(key)
	}
}

// open goes on after every failure with random bytes in the place of what is
// missing (implicit rejection). Neither the error nor the time tells a caller
// whether the form, the wrapped key, or the padding was wrong: each alone would
// be an oracle for the answers of KMS.
func open(key *rsa.PrivateKey, answer []byte) ([]byte, error) {
	e, good := parse(answer)
	if good == 0 {
		e = randomEnvelope()
	}
	contentKey, unwrapped := unwrap(key, e.wrapped[:])
	defer clear(contentKey[:])
	block, err := aes.NewCipher(contentKey[:])
	if err != nil {
		return nil, ErrAnswer
	}
	var plaintext [contentSize]byte
	defer clear(plaintext[:])
	cipher.NewCBCDecrypter(block, e.iv[:]).CryptBlocks(plaintext[:], e.content[:])

	good &= unwrapped & subtle.ConstantTimeCompare(plaintext[SecretSize:], padding[:])
	if good != 1 {
		return nil, ErrAnswer
	}
	return append([]byte(nil), plaintext[:SecretSize]...), nil
}

// unwrap decrypts the AES-256 key of an envelope, or returns a random one and 0.
func unwrap(key *rsa.PrivateKey, wrapped []byte) (contentKey [contentKeySize]byte, good int) {
	fill(contentKey[:])
	decrypted, err := rsa.DecryptOAEP(sha256.New(), nil, key, wrapped, nil)
	defer clear(decrypted)
	var sized [contentKeySize]byte
	defer clear(sized[:])
	copy(sized[:], decrypted)
	if err == nil && len(decrypted) == contentKeySize {
		good = 1
	}
	subtle.ConstantTimeCopy(good, contentKey[:], sized[:])
	return contentKey, good
}

// randomEnvelope takes the place of one that could not be read.
func randomEnvelope() *envelope {
	e := new(envelope)
	fill(e.wrapped[:])
	e.wrapped[0] &= 0x7f // below every modulus, so that it is decrypted
	fill(e.iv[:])
	fill(e.content[:])
	return e
}

// fill never fails: crypto/rand ends the program where there is no randomness.
func fill(b []byte) { _, _ = rand.Read(b) }

// wipe clears what can be reached of a key. The standard library keeps a second
// form of it that cannot; that one is garbage from here on.
func wipe(key *rsa.PrivateKey) {
	clear(key.D.Bits())
	for _, p := range key.Primes {
		clear(p.Bits())
	}
	clear(key.Precomputed.Dp.Bits())
	clear(key.Precomputed.Dq.Bits())
	clear(key.Precomputed.Qinv.Bits())
	*key = rsa.PrivateKey{}
}
