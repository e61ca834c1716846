package ceremony

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"net/http"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/proof"
	"github.com/sallyport/sallyport/attestation/sharing"
)

// Outcome is what a genesis, or a new sharing, made; verified.
type Outcome struct {
	// Manifest is an operating manifest, for the operators to sign.
	Manifest *attestation.Manifest
	// Sharing has the holders' sealed shares; the manifest names it.
	Sharing []byte
	// Document is the enclave's, then.
	Document []byte
}

type outcomeAnswer struct {
	Manifest []byte                        `json:"manifest"`
	Sharing  []byte                        `json:"sharing"`
	Proof    proof.AppProof                `json:"proof"`
	Fresh    *attestation.FreshAttestation `json:"freshAttestation"`
}

// Genesis has an enclave that booted under the caller's genesis manifest make the
// appliance's keys, and verifies what came of it. Asked again in the same boot it
// gives the same outcome.
func (c *Client) Genesis(ctx context.Context) (*Outcome, error) {
	first, err := c.own()
	if err != nil {
		return nil, err
	}
	if first.Version != 0 {
		return nil, errors.New("manifest: genesis needs one of version 0")
	}
	var answer outcomeAnswer
	nonce, err := c.call(ctx, http.MethodPost, "/sallyport/v1/ceremony/genesis", struct{}{}, &answer)
	if err != nil {
		return nil, err
	}
	return c.outcome(proof.TypeGenesis, first, c.Signed, nonce, &answer)
}

// outcome verifies what an enclave under one manifest made of what was asked.
func (c *Client) outcome(kind string, asked *attestation.Manifest, order *attestation.Signed, nonce []byte, answer *outcomeAnswer) (*Outcome, error) {
	witness := sharing.Witness{Fresh: answer.Fresh, Proof: answer.Proof}
	if err := witness.Verify(c.Trust, c.Signed.Manifest, nonce, c.now()); err != nil {
		return nil, verified(err)
	}
	statement, err := proof.ParseOutcomeStatement(kind, []byte(answer.Proof.ProofPayload))
	if err != nil {
		return nil, unverified("the enclave's proof: %v", err)
	}
	if statement.Asked != sha256.Sum256(order.Manifest) || statement.Manifest != sha256.Sum256(answer.Manifest) || statement.Sharing != sha256.Sum256(answer.Sharing) {
		return nil, unverified("the enclave's proof is of something else")
	}
	m, err := attestation.ParseManifest(answer.Manifest)
	if err == nil {
		err = adds(m, asked)
	}
	if err != nil {
		return nil, err
	}
	if _, err = sharing.ParseOf(m, answer.Sharing); err != nil {
		return nil, verified(err)
	}
	return &Outcome{Manifest: m, Sharing: answer.Sharing, Document: answer.Fresh.Document}, nil
}

// adds wants a manifest to be what was asked for, with what a ceremony adds.
func adds(m, asked *attestation.Manifest) error {
	if m.Root == nil || m.IsOrder() {
		return unverified("the manifest names no sharing")
	}
	same, plan := *m, *m.Root
	plan.Sharing = nil
	same.Root = &plan
	if asked.Version == 0 {
		if err := m.Follows(asked); err != nil {
			return err
		}
		same.Version = 0
		same.Appliance, same.QuorumPublicKey, same.CheckpointPublicKey, same.Genesis = nil, nil, nil, nil
	}
	if !bytes.Equal(same.Encode(), asked.Encode()) {
		return unverified("the manifest differs from what was asked for in more than the ceremony makes")
	}
	return nil
}

// Resplit has a running enclave make new shares of its root, for the holders of an
// order that the operators have signed. What it returns is for the operators to sign;
// until an enclave has booted under it nothing changes. The shares before still make
// the same root, for ever: only another root takes that from them.
func (c *Client) Resplit(ctx context.Context, order *attestation.Signed) (*Outcome, error) {
	under, err := c.own()
	if err != nil {
		return nil, err
	}
	if err := order.Succeeds(under); err != nil {
		return nil, err
	}
	asked, err := attestation.ParseManifest(order.Manifest)
	if err != nil {
		return nil, err
	}
	if !asked.IsOrder() {
		return nil, errors.New("order: root.sharing: must be empty")
	}
	var answer outcomeAnswer
	nonce, err := c.call(ctx, http.MethodPost, "/sallyport/v1/ceremony/spread", struct {
		Order []byte `json:"order"`
	}{order.Encode()}, &answer)
	if err != nil {
		return nil, err
	}
	return c.outcome(proof.TypeSharing, asked, order, nonce, &answer)
}
