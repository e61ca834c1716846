package ceremony

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/proof"
	"github.com/sallyport/sallyport/attestation/strictjson"
	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/journal"
	"github.com/sallyport/sallyport/enclave/wire"
)

// entrySharing records that the root was spread anew.
const entrySharing journal.Kind = 5

type sharingEntry struct {
	Order   []byte `cbor:"1,keyasint"` // SHA-256 of the manifest that ordered it
	Sharing []byte `cbor:"2,keyasint"` // SHA-256 of the document
}

// A spreadRequest orders new shares of the root.
type spreadRequest struct {
	Order []byte `json:"order" strict:"required"` // signed
}

// respread makes new shares of the same root, for the holders and the service of an
// order that the operators have signed. The shares before still make the root.
func (a *Appliance) respread(ctx context.Context, req *wire.Request) (any, error) {
	var in spreadRequest
	if err := strictjson.DecodeRequest(req.Body, &in); err != nil {
		return nil, wire.Errorf(wire.InvalidArgument, "", "%v", err)
	}
	order, m, err := a.judgeOrder(in.Order)
	if err != nil {
		return nil, wire.Errorf(wire.PermissionDenied, reasonManifest, "order: %v", err)
	}
	a.leaving.Lock()
	defer a.leaving.Unlock()
	switch {
	case a.halves == nil:
		return nil, wire.Errorf(wire.Unavailable, "", "the root has left this enclave")
	case !a.halves.fits(m.Root):
		return nil, wire.Errorf(wire.PermissionDenied, reasonManifest, "order: root: holders, or the key management service, may not come or go without a new root")
	}
	out, err := a.carryOut(context.WithoutCancel(ctx), order, m)
	if err != nil {
		return nil, err
	}
	fresh, err := a.fresh(ctx, req)
	return outcomeReply{*out, a.boot.Document(), fresh}, err
}

// carryOut makes new shares, once for an order. The caller holds a.leaving.
func (a *Appliance) carryOut(ctx context.Context, order *attestation.Signed, m *attestation.Manifest) (*outcome, error) {
	id := sha256.Sum256(order.Manifest)
	if made := a.spread[id]; made != nil {
		return made, nil
	}
	document, err := a.halves.spread(m.Appliance, m.Root)
	if err != nil {
		return nil, err
	}
	sharing, err := document.Encode()
	if err != nil {
		return nil, err
	}
	plan := *m.Root
	plan.Sharing = attestation.Hash(sharing)
	m.Root = &plan
	if err := a.recordSharing(ctx, sharing, sharingEntry{id[:], plan.Sharing}); err != nil {
		return nil, err
	}
	out, err := a.attested(proof.TypeSharing, order.Manifest, m.Encode(), sharing)
	if err != nil {
		return nil, err
	}
	if a.spread == nil {
		a.spread = map[[32]byte]*outcome{}
	}
	a.spread[id] = out
	return out, nil
}

// judgeOrder wants a successor of the manifest in force that lacks nothing but a
// sharing of the same root.
func (a *Appliance) judgeOrder(raw []byte) (*attestation.Signed, *attestation.Manifest, error) {
	order, err := attestation.ParseSigned(raw)
	if err != nil {
		return nil, nil, err
	}
	if err := order.Succeeds(a.manifest); err != nil {
		return nil, nil, err
	}
	m, err := attestation.ParseManifest(order.Manifest)
	switch {
	case err != nil:
		return nil, nil, err
	case !m.IsOrder():
		return nil, nil, errors.New("root.sharing: must be empty in an order")
	case m.Root.Set != a.manifest.Root.Set:
		return nil, nil, fmt.Errorf("root.set: must stay %d; this release makes no other root", a.manifest.Root.Set)
	}
	return order, m, nil
}

// recordSharing makes the document durable before it is known to anybody.
func (a *Appliance) recordSharing(ctx context.Context, sharing []byte, e sharingEntry) error {
	if err := a.platform.Host.PutBlobs(ctx, [][]byte{sharing}); err != nil {
		return err
	}
	t, err := a.journal.Propose(entrySharing, func(uint64, int64) ([]byte, error) { return codec.Encode(e), nil })
	if err != nil {
		return err
	}
	return a.journal.Wait(ctx, t)
}
