// Package simulator is a Nitro Security Module in software: 32 registers, the
// module's own protocol, and attestation documents in the form of today's
// hardware, signed under a root certificate of its own. It protects nothing:
// whoever can read its key file can say anything.
//
// One emulator serves the local platform, the tests, and later a device of a
// virtual machine: everything goes through [Simulator.Handle]. Its documents
// carry measurements that say what they are worth, and a production verifier
// accepts neither those nor the root.
package simulator

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/nsm"
	"github.com/sallyport/sallyport/enclave/internal/platform"
)

const (
	pcrCount = attestation.PCRCount
	pcrSize  = attestation.PCRSize
	// firstOpen is the first register that belongs to the enclave. Those below
	// are the hypervisor's and locked from the start.
	firstOpen = 16
)

// Simulator is one simulated module. Its methods as a [platform.Attester] are
// those of a client that speaks to it in its own protocol. It is safe for
// concurrent use and, like the device, serves one request at a time.
type Simulator struct {
	*nsm.NSM

	root     *x509.Certificate
	rootKey  *ecdsa.PrivateKey
	moduleID string
	now      func() time.Time
	leafLife time.Duration // 0: three hours, renewed in time

	mu     sync.Mutex // guards all below
	pcrs   [pcrCount][pcrSize]byte
	locked [pcrCount]bool
	chain  *chain
}

var _ platform.Attester = (*Simulator)(nil)

// Option changes a simulator, for tests.
type Option func(*Simulator)

// WithClock sets the clock of the module. The default is [time.Now].
func WithClock(now func() time.Time) Option { return func(s *Simulator) { s.now = now } }

// WithClockSkew sets the clock wrong by some time.
func WithClockSkew(d time.Duration) Option {
	return func(s *Simulator) {
		now := s.now
		s.now = func() time.Time { return now().Add(d) }
	}
}

// WithMeasurements sets PCR0, 1 and 2, for an image that was really measured.
func WithMeasurements(m attestation.Measurements) Option {
	return func(s *Simulator) { s.pcrs[0], s.pcrs[1], s.pcrs[2] = m.PCR0, m.PCR1, m.PCR2 }
}

// WithZeroPCRs makes PCR0, 1 and 2 all zero, as a debug-mode enclave has them.
func WithZeroPCRs() Option { return WithMeasurements(attestation.Measurements{}) }

// WithLeafLife makes leaf certificates that expire after some time and are used
// to their end, as hardware does with a certificate that it has cached.
func WithLeafLife(d time.Duration) Option { return func(s *Simulator) { s.leafLife = d } }

// New makes a module under a root of its own that is kept nowhere.
func New(options ...Option) (*Simulator, error) {
	key, err := newRootKey()
	if err != nil {
		return nil, err
	}
	root, err := newRoot(key, time.Now())
	if err != nil {
		return nil, err
	}
	return newSimulator(root, key, options)
}

func newSimulator(root *x509.Certificate, key *ecdsa.PrivateKey, options []Option) (*Simulator, error) {
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("simulator: naming the module: %w", err)
	}
	instance := "local-" + hex.EncodeToString(id[:8])
	s := &Simulator{
		root:     root,
		rootKey:  key,
		moduleID: instance + "-enc" + hex.EncodeToString(id[8:]),
		now:      time.Now,
	}
	m := attestation.LocalMeasurements()
	s.pcrs[0], s.pcrs[1], s.pcrs[2] = m.PCR0, m.PCR1, m.PCR2
	s.pcrs[4] = extend(s.pcrs[4], []byte(instance)) // hardware always sets it
	for i := range firstOpen {
		s.locked[i] = true
	}
	for _, o := range options {
		o(s)
	}
	s.NSM = nsm.Over((*loop)(s))
	return s, nil
}

// Root returns the root certificate, which verifiers of its documents trust.
func (s *Simulator) Root() *x509.Certificate { return s.root }

// loop is the simulator as the device that its own client speaks to.
type loop Simulator

// Exchange implements [nsm.Device].
func (l *loop) Exchange(request, reply []byte) (int, error) {
	answer := (*Simulator)(l).Handle(request)
	if len(answer) > len(reply) {
		return 0, errors.New("simulator: the reply does not fit")
	}
	defer clear(answer)
	return copy(reply, answer), nil
}

// Close implements [nsm.Device].
func (l *loop) Close() error { return nil }

// extend is what hardware does to a register: SHA-384(old || data).
func extend(old [pcrSize]byte, data []byte) [pcrSize]byte {
	return sha512.Sum384(append(old[:], data...))
}
