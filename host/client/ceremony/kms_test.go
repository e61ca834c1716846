package ceremony_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/internal/kms"
	double "github.com/sallyport/sallyport/tests/kms"
)

// A keyService is a host that asks KMS, honestly unless a test has it ask something else.
type keyService struct {
	client *kms.Client
	change atomic.Pointer[func(q *wire.KMSQuestion)]
}

func (k *keyService) DecryptByKMS(ctx context.Context, q *wire.KMSQuestion) (*wire.KMSAnswer, error) {
	if change := k.change.Load(); change != nil {
		(*change)(q)
	}
	b, err := k.client.Decrypt(ctx, q.KeyID, q.Ciphertext, q.Document)
	if err != nil {
		return nil, wire.Errorf(wire.PermissionDenied, "", "%v", err)
	}
	return &wire.KMSAnswer{CiphertextForRecipient: b}, nil
}

// withKMS is a world whose root needs KMS, beside or instead of holders.
func withKMS(t *testing.T, holders bool) (*world, *double.Server, *keyService) {
	t.Helper()
	none := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": double.AccessKeyID, "AWS_SECRET_ACCESS_KEY": "example", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	w, service := newWorld(t), &keyService{}
	w.enclave = enclavetest.Unfounded(t, enclavetest.Options{Host: w.host, Log: w.log, KeyService: service}, []byte("none yet"))
	key := double.New(t, double.Options{Trust: w.enclave.Trust})
	var err error
	if service.client, err = kms.New(t.Context(), kms.Options{Endpoint: key.URL, Attempts: 1}); err != nil {
		t.Fatal(err)
	}
	w.genesis.Root.KMS = &attestation.KMSPlan{KeyID: double.ARN, PublicKey: key.PublicKey()}
	if !holders {
		w.genesis.Root.Holders, w.genesis.Root.Threshold, w.genesis.Flags.SingleCustodian = nil, 0, true
	}
	w.boot(w.sign(w.genesis, 0, 1))
	return w, key, service
}

// rsaKey is a public key as KMS has them.
func rsaKey(t *testing.T) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// allow has KMS answer to enclaves under a manifest.
func allow(t *testing.T, key *double.Server, manifest []byte) {
	t.Helper()
	policy, err := kms.Policy(double.Account, double.Role, double.ARN, []attestation.Measurements{attestation.LocalMeasurements()}, attestation.Hash(manifest))
	if err == nil {
		err = key.SetPolicy(policy)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// reason waits until an enclave that awaits its root says why.
func (w *world) reason(want string) {
	w.Helper()
	waitFor(w.T, "the reason "+want, func() bool { return strings.Contains(w.phase(wire.PhaseAwaitingRoot).Reason, want) })
}

func TestBothHalvesMakeTheRoot(t *testing.T) {
	w, key, _ := withKMS(t, true)
	allow(t, key, []byte("another manifest"))
	w.found()
	w.reason("asked in vain") // the policy names another manifest
	w.give(0, 1, 2)
	w.reason("asked in vain") // the holders alone are not enough
	allow(t, key, w.signed.Manifest)
	w.phase(wire.PhaseReady)

	before := key.Requests()
	w.boot(w.signed)
	waitFor(t, "a question to KMS", func() bool { return key.Requests() > before })
	w.reason("3 of 5 holders") // nor is KMS
	w.give(4, 3, 0)
	w.phase(wire.PhaseReady)

	key.Disable()
	w.boot(w.signed)
	w.give(1, 2, 3)
	w.reason("asked in vain")
}

func TestKMSAloneIsOneCustodian(t *testing.T) {
	w, key, _ := withKMS(t, false)
	w.found()
	allow(t, key, w.signed.Manifest)
	w.phase(wire.PhaseReady)
}

func TestHostCannotBringAHalfOfItsOwn(t *testing.T) {
	w, key, service := withKMS(t, true)
	w.found()
	allow(t, key, w.signed.Manifest)
	foreign := enclavetest.EncryptToKMS(t, key.PublicKey(), bytes.Repeat([]byte{7}, 32))
	swap := func(q *wire.KMSQuestion) { q.Ciphertext = foreign }
	service.change.Store(&swap)
	w.boot(w.signed)
	w.give(0, 1, 2)
	w.reason("not the half of this root's sharing")
	service.change.Store(nil)
	w.phase(wire.PhaseReady) // the holders' shares were kept
}

func TestKMSAnswersNoEnclaveUnderTheHostsManifest(t *testing.T) {
	w, key, _ := withKMS(t, false)
	w.found()
	allow(t, key, w.signed.Manifest)
	w.phase(wire.PhaseReady)
	// The same image, on the same machine, under a manifest that is signed by others.
	other := newWorld(t)
	m, err := attestation.ParseManifest(w.signed.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	m.Operators = other.genesis.Operators
	o := *w
	o.enclave = w.enclave.Beside(t, other.sign(m, 0, 1).Encode())
	o.reason("asked in vain")
}
