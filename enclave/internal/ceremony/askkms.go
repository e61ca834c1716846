package ceremony

import (
	"context"
	"errors"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/kms"
	"github.com/sallyport/sallyport/enclave/wire"
)

// The service is asked again after a second, and after longer the longer it refuses: an
// operator may be changing its policy.
const (
	firstKMSWait = time.Second
	maxKMSWait   = 30 * time.Second
)

// askKMS asks the key management service for its half until it comes. Each question
// has a document and a key of its own.
func (a *Appliance) askKMS(ctx context.Context, m *attestation.Manifest, r *receiver) {
	if a.platform.KeyService == nil {
		a.log.Error("this platform has no way to a key management service")
		return
	}
	for wait := firstKMSWait; ; wait = min(2*wait, maxKMSWait) {
		err := a.askKMSOnce(ctx, m, r)
		if err == nil || ctx.Err() != nil {
			return
		}
		a.log.Warn("asking the key management service", "key", m.Root.KMS.KeyID, "error", err.Error())
		a.enter(wire.PhaseAwaitingRoot, awaited(m.Root)+"; it was asked in vain: "+reasonOf(err))
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (a *Appliance) askKMSOnce(ctx context.Context, m *attestation.Manifest, r *receiver) error {
	req, err := kms.NewRequest(ctx, a.platform.Attester, a.boot.ManifestHash)
	if err != nil {
		return err
	}
	defer req.Forget()
	answer, err := a.platform.KeyService.DecryptByKMS(ctx, &wire.KMSQuestion{
		KeyID: m.Root.KMS.KeyID, Ciphertext: r.document.KMS.Ciphertext, Document: req.Document(),
	})
	if err != nil {
		return err
	}
	half, err := req.Open(answer.CiphertextForRecipient)
	if err != nil {
		return err
	}
	defer clear(half)
	return r.takeKMS(half)
}

// reasonOf is what of an error the host may show: it knows it already.
func reasonOf(err error) string {
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return e.Message
	}
	return err.Error()
}
