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

// Outcome is what a genesis made, verified.
type Outcome struct {
	// Manifest is the first operating manifest, for the operators to sign.
	Manifest *attestation.Manifest
	// Sharing has the holders' sealed shares; the manifest names it.
	Sharing []byte
	// Document is the enclave's, at genesis.
	Document []byte
}

type genesisAnswer struct {
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
	var answer genesisAnswer
	nonce, err := c.call(ctx, http.MethodPost, "/sallyport/v1/ceremony/genesis", struct{}{}, &answer)
	if err != nil {
		return nil, err
	}
	if err := c.present(first, nonce, answer.Fresh, answer.Proof); err != nil {
		return nil, err
	}
	statement, err := proof.ParseGenesisStatement([]byte(answer.Proof.ProofPayload))
	if err != nil {
		return nil, unverified("the enclave's proof: %v", err)
	}
	if !bytes.Equal(statement.GenesisManifest[:], attestation.Hash(c.Signed.Manifest)) || statement.Manifest != sha256.Sum256(answer.Manifest) ||
		statement.Sharing != sha256.Sum256(answer.Sharing) {
		return nil, unverified("the enclave's proof is of another genesis")
	}
	m, err := outcomeOf(first, answer.Manifest, answer.Sharing)
	if err != nil {
		return nil, err
	}
	return &Outcome{Manifest: m, Sharing: answer.Sharing, Document: answer.Fresh.Document}, nil
}

// outcomeOf wants an operating manifest to be the genesis manifest with what genesis
// adds, and the sharing to be the one that it names.
func outcomeOf(first *attestation.Manifest, raw, document []byte) (*attestation.Manifest, error) {
	m, err := attestation.ParseManifest(raw)
	if err != nil {
		return nil, err
	}
	if err := m.Follows(first); err != nil {
		return nil, err
	}
	same, plan := *m, *m.Root
	plan.Sharing = nil
	same.Version, same.Root = 0, &plan
	same.Appliance, same.QuorumPublicKey, same.CheckpointPublicKey, same.Genesis = nil, nil, nil, nil
	if !bytes.Equal(same.Encode(), first.Encode()) {
		return nil, unverified("the operating manifest differs from the genesis manifest in more than genesis makes")
	}
	_, err = checkSharing(m, document)
	return m, err
}

func checkSharing(m *attestation.Manifest, raw []byte) (*sharing.Document, error) {
	if !bytes.Equal(attestation.Hash(raw), m.Root.Sharing) {
		return nil, unverified("the sharing is not the one that the manifest names")
	}
	d, err := sharing.Parse(raw)
	if err != nil {
		return nil, unverified("%v", err)
	}
	if !bytes.Equal(d.Appliance, m.Appliance) || d.Set != m.Root.Set || d.Threshold != m.Root.Threshold || len(d.Shares) != len(m.Root.Holders) {
		return nil, unverified("the sharing is of another root than the manifest's")
	}
	for _, h := range m.Root.Holders {
		if d.Of(h.PublicKey) == nil {
			return nil, unverified("the sharing has no share of %s", h.Name)
		}
	}
	return d, nil
}
