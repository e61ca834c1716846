// Package kms is a double of AWS KMS for tests: one asymmetric RSA key behind the
// JSON 1.1 protocol, with a key policy that it obeys and attestation documents
// that it verifies. It answers Decrypt, GetPublicKey and DescribeKey.
//
// It is made from what AWS documents: API reference 2014-11-01, the chapters on key
// policies, key states and condition keys for Nitro Enclaves of the developer
// guide, and IAM's rules of evaluation. Where it is not KMS:
//
//   - Signatures of requests are not verified; the access key says who calls.
//   - It has no IAM policies and no grants. A statement for a whole account lets in
//     every caller of the account, as if IAM allowed each of them everything.
//   - A document must be one of kind kms as package attestation has it; KMS knows no
//     kinds. Which error KMS gives for a document that it does not believe is not
//     documented: here it is ValidationException.
//   - Documents of enclaves in debug mode are refused; KMS compares their zeros.
package kms

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation"
)

// Who and where the double is.
const (
	Region  = "eu-central-1"
	Account = "111122223333"
	keyID   = "1234abcd-12ab-34cd-56ef-1234567890ab"
	// ARN names the key.
	ARN = "arn:aws:kms:" + Region + ":" + Account + ":key/" + keyID
	// Role is that of the instance whose host calls with AccessKeyID.
	Role        = "sallyport-host"
	AccessKeyID = "AKIAIOSFODNN7EXAMPLE"
	// Admin is the access key of the account's root user.
	Admin = "AKIAI44QH8DHBEXAMPLE"

	root = "arn:aws:iam::" + Account + ":root"
)

// Options vary the double.
type Options struct {
	// Trust says which attestation documents it believes.
	Trust attestation.Trust
	// Bits is the size of the key; 0 is 2048.
	Bits int
	// Policy is the key policy; nil is the one that KMS gives a new key, which
	// allows its account everything.
	Policy []byte
	// Now is its clock; nil is time.Now.
	Now func() time.Time
}

// Server is the double. Its methods change the key as its administrator would,
// and are safe at any time.
type Server struct {
	URL string

	trust attestation.Trust
	now   func() time.Time
	key   *rsa.PrivateKey

	mu      sync.Mutex // guards all below
	policy  *policy
	state   string            // as DescribeKey says it
	callers map[string]string // ARN by access key
	broken  int               // HTTP status of every answer, when not 0
	answers int
	seen    int
}

// States of a key.
const (
	enabled         = "Enabled"
	disabled        = "Disabled"
	pendingDeletion = "PendingDeletion"
)

// New starts a double with a new key. It ends with the test.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Bits == 0 {
		o.Bits = 2048
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Policy == nil {
		o.Policy = []byte(defaultPolicy)
	}
	key, err := rsa.GenerateKey(rand.Reader, o.Bits)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{trust: o.Trust, now: o.Now, key: key, state: enabled, callers: map[string]string{
		AccessKeyID: "arn:aws:sts::" + Account + ":assumed-role/" + Role + "/i-0123456789abcdef0",
		Admin:       root,
	}}
	if err := s.SetPolicy(o.Policy); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	s.URL = web.URL
	return s
}

// PublicKey returns the public key as DER SubjectPublicKeyInfo.
func (s *Server) PublicKey() []byte {
	der, err := x509.MarshalPKIXPublicKey(&s.key.PublicKey)
	if err != nil {
		panic(err) // every RSA key has this form
	}
	return der
}

// SetPolicy is PutKeyPolicy by the account's root user. A policy that KMS would
// not take is an error, and leaves the old one.
func (s *Server) SetPolicy(document []byte) error {
	p, err := parsePolicy(document)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.policy = p
	return nil
}

// AddCaller gives an access key to a principal.
func (s *Server) AddCaller(accessKeyID, arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.callers[accessKeyID] = arn
}

// Disable is DisableKey.
func (s *Server) Disable() { s.setState(disabled) }

// Enable is EnableKey.
func (s *Server) Enable() { s.setState(enabled) }

// ScheduleDeletion is ScheduleKeyDeletion.
func (s *Server) ScheduleDeletion() { s.setState(pendingDeletion) }

func (s *Server) setState(state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = state
}

// Break answers every request with an HTTP status and no reason, until it is
// called with 0.
func (s *Server) Break(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = status
}

// Requests returns how many requests came.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}
