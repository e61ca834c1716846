package ceremony

import (
	"context"
	"crypto/ecdh"
	"encoding/hex"
	"errors"
	"net/http"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/proof"
	"github.com/sallyport/sallyport/attestation/sharing"
)

// Progress is how far a provision is.
type Progress struct {
	Received  int   `json:"received"` // holders that have given their shares
	Threshold int64 `json:"threshold"`
}

type receiverAnswer struct {
	Proof   proof.AppProof                `json:"proof"`
	Sharing []byte                        `json:"sharing"`
	Fresh   *attestation.FreshAttestation `json:"freshAttestation"`
}

// Provision gives a holder's share to an enclave that booted under the caller's
// operating manifest and waits for its root. The share leaves only sealed to the key
// of that boot, and only after everything was verified. The holder's key may be in memory or in a token.
func (c *Client) Provision(ctx context.Context, holder ecdh.KeyExchanger) (*Progress, error) {
	m, err := c.own()
	if err != nil {
		return nil, err
	}
	if m.Version == 0 {
		return nil, errors.New("manifest: a genesis manifest has no root yet")
	}
	public := holder.PublicKey().Bytes()
	if m.Root.Holder(public) == nil {
		return nil, errors.New("holder key: the manifest names no holder with it")
	}
	var answer receiverAnswer
	nonce, err := c.call(ctx, http.MethodGet, "/sallyport/v1/ceremony/receiver", nil, &answer)
	if err != nil {
		return nil, err
	}
	receiver, err := c.receiver(nonce, &answer)
	if err != nil {
		return nil, err
	}
	d, err := sharing.ParseOf(m, answer.Sharing)
	if err != nil {
		return nil, verified(err)
	}
	share, err := d.Open(holder)
	if err != nil {
		return nil, err
	}
	defer clear(share)
	sealed, err := sharing.Post(share, attestation.Hash(c.Signed.Manifest), receiver, public)
	if err != nil {
		return nil, err
	}
	out := new(Progress)
	_, err = c.call(ctx, http.MethodPost, "/sallyport/v1/ceremony/share", struct {
		Holder      string `json:"holder"`
		SealedShare string `json:"sealedShare"`
	}{hex.EncodeToString(public), hex.EncodeToString(sealed)}, out)
	return out, err
}

// receiver is the proven key to seal a share to.
func (c *Client) receiver(nonce []byte, answer *receiverAnswer) ([]byte, error) {
	key, err := sharing.Witness{Fresh: answer.Fresh, Proof: answer.Proof}.Receiver(c.Trust, c.Signed.Manifest, nonce, c.now())
	return key, verified(err)
}
