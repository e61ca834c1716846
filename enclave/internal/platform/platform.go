// Package platform is everything that trusted code needs from the machine it
// runs on, on one page. There are two platforms: a Nitro enclave, and the
// local one that simulates it and protects nothing. Which one a binary has is
// decided once, by build tag, in the main package of the enclave.
package platform

import (
	"context"
	"io"
	"net"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// Assurance says what stands behind an attestation document.
type Assurance string

const (
	// Nitro documents are signed by AWS hardware.
	Nitro Assurance = "nitro"
	// Local documents are signed by a key on the same machine. They prove nothing.
	Local Assurance = "local"
)

// Attester is the Nitro Security Module, or what simulates it.
//
// The device is slow and serial: callers ask it at boot, at renewal and for
// client nonces, never once per request. Implementations are safe for
// concurrent use.
type Attester interface {
	// Attest returns a COSE_Sign1 attestation document. userData and nonce
	// hold at most 512 bytes, publicKey at most 1024; nil leaves a field out.
	Attest(ctx context.Context, userData, nonce, publicKey []byte) ([]byte, error)
	// PCR returns the 48 bytes of a platform configuration register.
	PCR(index int) ([]byte, error)
	// ExtendPCR sets register index (16 to 31) to SHA-384(old || data).
	ExtendPCR(index int, data []byte) error
	// LockPCRs locks registers 0 to limit-1 against any further change.
	LockPCRs(limit int) error
	// Random reads from the device's own generator.
	io.Reader
}

// Root keeps the root secret over restarts. The root secret is 32 bytes made
// inside the enclave at genesis; every object key derives from it.
type Root interface {
	// Create keeps a new root secret. It fails when one is kept already.
	Create(ctx context.Context, secret []byte) error
	// Secret returns the root secret, or [ErrNoRoot] when none was created.
	Secret(ctx context.Context) ([]byte, error)
	// Describe names the root for people: "file, protects nothing".
	Describe() string
}

// Platform is one machine.
type Platform struct {
	Assurance Assurance
	Attester  Attester
	Root      Root
	// Listen opens the enclave's side of the door.
	Listen func() (net.Listener, error)
	// Host reaches the host's side of the door.
	Host wire.Host
	// Network reaches relays and rule servers through the host; nil: there are
	// none, and no MPC keys.
	Network wire.Network
	// KeyService asks a key management service through the host; nil: there is none.
	KeyService wire.KeyService
	// EnginePath is the program that computes MPC protocols.
	EnginePath string
	// Engine and PreParams take the place of that program and of the pool of
	// parameters, in tests.
	Engine    mpc.Engine
	PreParams mpc.PreParams
	// Trust is under what the documents of another enclave of this appliance are
	// verified, whose manifest is given.
	Trust func(*attestation.Manifest) (attestation.Trust, error)
	// Now is trusted time: the attester's, carried by the monotonic clock.
	Now func() time.Time
}
