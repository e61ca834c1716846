package enclavetest

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/kms"
	"github.com/sallyport/sallyport/enclave/internal/simulator"
)

// A KMSModule is the simulated module of an enclave that runs under a manifest: its
// register 18 commits to it, and all registers are locked.
type KMSModule struct {
	Trust  attestation.Trust // accepts this module's documents
	module *simulator.Simulator
}

// A KMSRequest is what an enclave asks of KMS once.
type KMSRequest interface {
	// Document is the attestation document.
	Document() []byte
	// Open decrypts the answer to a secret of 32 bytes.
	Open(ciphertextForRecipient []byte) ([]byte, error)
}

// NewKMSModule makes a module with a root of its own. The hash of the manifest has
// 32 bytes; a nil clock is time.Now.
func NewKMSModule(t testing.TB, manifestHash []byte, now func() time.Time) *KMSModule {
	t.Helper()
	if now == nil {
		now = time.Now
	}
	module, err := simulator.New(simulator.WithClock(now))
	if err == nil {
		err = module.ExtendPCR(attestation.PCRManifest, manifestHash)
	}
	if err == nil {
		err = module.LockPCRs(attestation.PCRCount)
	}
	k := &KMSModule{module: module}
	if err == nil {
		k.Trust, err = attestation.TrustLocal(module.Root())
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Request makes a request whose document has a binding of 32 bytes.
func (k *KMSModule) Request(t testing.TB, binding []byte) KMSRequest {
	t.Helper()
	r, err := kms.NewRequest(t.Context(), k.module, binding)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// EncryptToKMS encrypts a secret of 32 bytes to a KMS key, as genesis does.
func EncryptToKMS(t testing.TB, kmsPublic, secret []byte) []byte {
	t.Helper()
	ciphertext, err := kms.Encrypt(kmsPublic, secret)
	if err != nil {
		t.Fatal(err)
	}
	return ciphertext
}
