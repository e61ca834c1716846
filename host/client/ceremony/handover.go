package ceremony

import (
	"context"
	"crypto"
	"errors"
	"net/http"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/proof"
	"github.com/sallyport/sallyport/attestation/strictjson"
)

// Handover has a running enclave give its root to another one, which awaits it under
// the same manifest or under a successor, and serve no more. The enclaves judge each
// other; what is verified here is for whoever asked. When it fails after the first
// enclave has stopped, the holders can always give the root again. One operator has
// to ask for it, since it stops the first enclave.
func Handover(ctx context.Context, from, to *Client, operator crypto.Signer) error {
	m, err := to.own()
	if err != nil {
		return err
	}
	if m.Version == 0 {
		return errors.New("manifest: a genesis manifest has no root yet")
	}
	var given struct {
		Nonce strictjson.Hex `json:"nonce"`
	}
	if _, err := from.call(ctx, http.MethodPost, "/sallyport/v1/ceremony/nonce", struct{}{}, &given); err != nil {
		return err
	}
	var answer receiverAnswer
	if err := to.callWith(ctx, given.Nonce, http.MethodGet, "/sallyport/v1/ceremony/receiver", nil, &answer); err != nil {
		return err
	}
	receiver, err := to.receiver(given.Nonce, &answer)
	if err != nil {
		return err
	}
	asked, err := attestation.Handover{Nonce: given.Nonce, ManifestHash: attestation.Hash(to.Signed.Manifest), Receiver: receiver}.Sign(operator)
	if err != nil {
		return err
	}
	var sealed struct {
		SealedRoot strictjson.Hex `json:"sealedRoot"`
	}
	if err := from.insist(ctx, http.MethodPost, "/sallyport/v1/ceremony/handover", struct {
		Nonce     strictjson.Hex                `json:"nonce"`
		Proof     proof.AppProof                `json:"proof"`
		Manifest  []byte                        `json:"manifest"`
		Fresh     *attestation.FreshAttestation `json:"freshAttestation"`
		Operator  strictjson.Hex                `json:"operator"`
		Signature strictjson.Hex                `json:"signature"`
	}{given.Nonce, answer.Proof, to.Signed.Encode(), answer.Fresh, asked.PublicKey, asked.Signature}, &sealed); err != nil {
		return err
	}
	return to.insist(ctx, http.MethodPost, "/sallyport/v1/ceremony/root", struct {
		SealedRoot strictjson.Hex `json:"sealedRoot"`
	}{sealed.SealedRoot}, new(struct{}))
}
