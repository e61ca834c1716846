package client

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"github.com/sallyport/sallyport/attestation/bundle"
	"github.com/sallyport/sallyport/attestation/strictjson"
)

const typeExport = "ACTIVITY_TYPE_EXPORT_PRIVATE_KEY"

// Export is an opened export.
type Export struct {
	ActivityID string
	Key        PrivateKey
	// Secret is the private key, which is that of Key.PublicKey.
	Secret Secret
	// Bundle is what was opened, as anybody else may verify it.
	Bundle []byte
	// Verified is what the bundle says.
	Verified *bundle.Verified
}

type exportParameters struct {
	PrivateKeyID    string `json:"privateKeyId" strict:"required"`
	TargetPublicKey string `json:"targetPublicKey" strict:"required"`
}

type exportResult struct {
	PrivateKeyID string `json:"privateKeyId"`
	ExportBundle string `json:"exportBundle"`
}

// ExportPrivateKey takes a key out of the appliance: sealed to the target key,
// verified, and only then opened. With a nil target it makes one.
//
// When more approvals are needed the error is a [*PendingError] that holds the
// target key. Keep it, in a file that only its owner reads, and collect with
// [Client.CollectExport]. A program that may die between the request and its
// reply makes the target key itself and keeps it first.
func (c *Client) ExportPrivateKey(ctx context.Context, privateKeyID string, target *TargetKey) (*Export, error) {
	key, err := c.GetPrivateKey(ctx, privateKeyID)
	if err != nil {
		return nil, err
	}
	if target == nil {
		if target, err = NewTargetKey(); err != nil {
			return nil, err
		}
	}
	var result exportResult
	s, err := c.run(ctx, "export_private_key", typeExport,
		exportParameters{privateKeyID, target.PublicHex()}, "exportPrivateKeyResult", &result)
	if err != nil {
		var pending *PendingError
		if errors.As(err, &pending) {
			pending.Target = target
		}
		return nil, err
	}
	return c.open(s.answer, s.activity, key, target, result)
}

// CollectExport opens the export of an activity that had to wait for
// approvals. While it still waits the error is a [*PendingError].
func (c *Client) CollectExport(ctx context.Context, activityID string, target *TargetKey) (*Export, error) {
	a, from, err := c.getActivity(ctx, activityID)
	if err != nil {
		return nil, err
	}
	r, err := c.Review(a)
	if err != nil {
		return nil, err
	}
	if r.Type != typeExport {
		return nil, fmt.Errorf("activity %s is not an export but %.64q", activityID, r.Type)
	}
	var asked exportParameters
	if err := strictjson.DecodeRequest(r.Parameters, &asked); err != nil {
		return nil, &ReviewError{ReviewBody, "parameters." + err.Error()}
	}
	if asked.TargetPublicKey != target.PublicHex() {
		return nil, errors.New("target key: is not the one that the export was asked for")
	}
	var result exportResult
	if err := a.conclude("exportPrivateKeyResult", &result); err != nil {
		var pending *PendingError
		if errors.As(err, &pending) {
			pending.Target = target
		}
		return nil, err
	}
	key, err := c.GetPrivateKey(ctx, asked.PrivateKeyID)
	if err != nil {
		return nil, err
	}
	return c.open(from, a, key, target, result)
}

// open verifies and opens the bundle of a completed export. Its fingerprint is
// that of the submitter's body, which the caller has recomputed.
func (c *Client) open(from *answer, a *Activity, key *PrivateKey, target *TargetKey, result exportResult) (*Export, error) {
	text := []byte(result.ExportBundle)
	e := bundle.Expect{
		Trust: c.trust, QuorumPublicKey: c.quorum, OrganizationID: c.organization,
		PrivateKeyID: key.PrivateKeyID, PublicKey: key.PublicKey, Fingerprint: a.Fingerprint,
	}
	// An enclave attests anew only for bundles that it made in this boot. An
	// older one is no less proven: the reply that brought it has a proof.
	o, err := bundle.Parse(text)
	if err != nil {
		return nil, err
	}
	if o.AttestationProof.PublicKey == hex.EncodeToString(from.signer) {
		e.Nonce, e.Now = from.nonce, c.now()
	}
	secret, v, err := bundle.Open(text, target.private, e)
	if err != nil {
		return nil, err
	}
	if err := matches(secret, key); err != nil {
		clear(secret)
		return nil, err
	}
	return &Export{ActivityID: a.ID, Key: *key, Secret: secret, Bundle: text, Verified: v}, nil
}

// matches compares a private key with the public key that it must have.
func matches(secret []byte, key *PrivateKey) error {
	refused := &bundle.Error{Reason: bundle.ReasonKey, Message: "the sealed private key must be that of the public key"}
	if len(secret) != 32 {
		return refused
	}
	var public []byte
	switch key.Curve {
	case KeyCurveSecp256k1:
		var scalar secp256k1.ModNScalar
		if overflow := scalar.SetByteSlice(secret); overflow {
			return refused
		}
		k := secp256k1.NewPrivateKey(&scalar)
		scalar.Zero()
		public = k.PubKey().SerializeCompressed()
		k.Zero()
	case KeyCurveP256:
		k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), secret)
		if err != nil {
			return refused
		}
		point, err := k.PublicKey.Bytes()
		if err != nil {
			return refused
		}
		public = append([]byte{2 | point[64]&1}, point[1:33]...)
	case KeyCurveEd25519:
		public = ed25519.NewKeyFromSeed(secret)[32:]
	default:
		return fmt.Errorf("curve: %.64q is not one that this client knows", key.Curve)
	}
	if want, err := hex.DecodeString(key.PublicKey); err != nil || !bytes.Equal(public, want) {
		return refused
	}
	return nil
}
