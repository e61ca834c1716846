package org

import (
	"context"
	"crypto/ed25519"
	"errors"
	"sync"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	secpecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// Bounds of one request to a key group: every payload is a run of the protocol.
const (
	maxJointPayloads = 50
	signAtOnce       = 4
)

// checkJointSign refuses more payloads than a key group signs in one request.
func (g *KeyGroup) checkJointSign(in *signIntent) error {
	if g != nil && len(in.payloads) > maxJointPayloads {
		return bad("bad request body: parameters.payloads must hold 1 to %d payloads for a key group, not %d", maxJointPayloads, len(in.payloads))
	}
	return nil
}

// jointlySign signs each payload with a quorum of members.
func jointlySign(ctx context.Context, s *Service, t task, _ *signIntent, plan signPlan) (signatures, error) {
	out := signatures{Values: make([][]byte, len(plan.payloads))}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make([]error, len(plan.payloads))
	room := make(chan struct{}, signAtOnce)
	var all sync.WaitGroup
	for i := range plan.payloads {
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			if ctx.Err() != nil {
				return // another one has failed
			}
			t := t
			t.Operation, t.Index = opSign, i
			y, err := s.together(ctx, t)
			if err == nil {
				err = verifySignature(plan.key, plan.payloads[i], y.signature)
			}
			if err != nil {
				failed[i] = err
				cancel()
				return
			}
			out.Values[i] = y.signature
		})
	}
	all.Wait()
	var first error
	for i, err := range failed {
		if err != nil && (first == nil || errors.Is(first, context.Canceled)) {
			first = failed[i]
		}
	}
	return out, first
}

// verifySigned judges signatures under the public key.
func verifySigned(_ *organization, _ mpc.NodeID, _ *signIntent, plan signPlan, r signatures) error {
	if len(r.Values) != len(plan.payloads) {
		return bad("result: has %d signatures for %d payloads", len(r.Values), len(plan.payloads))
	}
	for i, sig := range r.Values {
		if err := verifySignature(plan.key, plan.payloads[i], sig); err != nil {
			return bad("result: signatures[%d]: %v", i, err)
		}
	}
	return nil
}

var errSignature = errors.New("does not verify under the public key")

// verifySignature judges r || s || v. ECDSA signatures must have a low s, and the
// recovery id of the key.
func verifySignature(k *privateKey, payload, sig []byte) error {
	if len(sig) != keys.SignatureSize {
		return errSignature
	}
	if k.curve == keys.Ed25519 {
		if sig[64] != 0 || !ed25519.Verify(k.public, payload, sig[:64]) {
			return errSignature
		}
		return nil
	}
	var r, s secp256k1.ModNScalar
	if k.curve != keys.Secp256k1 || r.SetByteSlice(sig[:32]) || s.SetByteSlice(sig[32:64]) || s.IsOverHalfOrder() || sig[64] > 3 {
		return errSignature
	}
	public, err := secp256k1.ParsePubKey(k.public)
	if err != nil || !secpecdsa.NewSignature(&r, &s).Verify(payload, public) {
		return errSignature
	}
	compact := append([]byte{27 + sig[64]}, sig[:64]...)
	recovered, _, err := secpecdsa.RecoverCompact(compact, payload)
	if err != nil || !recovered.IsEqual(public) {
		return errSignature
	}
	return nil
}
