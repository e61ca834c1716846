package ceremony

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/proof"
	"github.com/sallyport/sallyport/attestation/sharing"
	"github.com/sallyport/sallyport/attestation/strictjson"
	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/journal"
	"github.com/sallyport/sallyport/enclave/wire"
)

// Paths of a handover: two of the enclave that has the root, one of the enclave that
// awaits it.
const (
	noncePath    = "/sallyport/v1/ceremony/nonce"
	handoverPath = "/sallyport/v1/ceremony/handover"
	rootPath     = "/sallyport/v1/ceremony/root"
)

// entryHandover is the last entry that an enclave writes: the root has left it.
const entryHandover journal.Kind = 4

// A handoverEntry says to which boot the root went.
type handoverEntry struct {
	Manifest []byte `cbor:"1,keyasint"` // SHA-256 of the manifest that it booted under
	Receiver []byte `cbor:"2,keyasint"` // its root-receiving key
}

// Reasons of refused handovers.
const (
	reasonNonce    = "NONCE_UNKNOWN"
	reasonManifest = "MANIFEST_REFUSED"
	reasonAttested = "ATTESTATION_REFUSED"
	reasonOperator = "OPERATOR_REFUSED"
)

// A handoverRequest is what the enclave that awaits the root answered on its
// receiver path, to a nonce of this enclave.
type handoverRequest struct {
	Nonce    strictjson.Hex                `json:"nonce" strict:"required"`
	Proof    proof.AppProof                `json:"proof" strict:"required"`
	Manifest []byte                        `json:"manifest" strict:"required"` // signed
	Fresh    *attestation.FreshAttestation `json:"freshAttestation" strict:"required"`
	// Operator asks for it: see [attestation.Handover].
	Operator  strictjson.Hex `json:"operator" strict:"required"` // public key, 33 bytes
	Signature strictjson.Hex `json:"signature" strict:"required"`
}

type handoverReply struct {
	SealedRoot strictjson.Hex `json:"sealedRoot"`
}

// handover gives the root to another enclave and serves no more. What makes it
// lawful is the other's manifest: this one, or a successor that its operators have
// signed. That it happens now is for one operator to say: anybody can run the image
// under a manifest that is public, and could stop this enclave with it.
func (a *Appliance) handover(ctx context.Context, req *wire.Request) (any, error) {
	var in handoverRequest
	if err := strictjson.DecodeRequest(req.Body, &in); err != nil {
		return nil, wire.Errorf(wire.InvalidArgument, "", "%v", err)
	}
	next, err := a.judgeManifest(in.Manifest)
	if err != nil {
		return nil, wire.Errorf(wire.PermissionDenied, reasonManifest, "manifest: %v", err)
	}
	receiver, err := a.judgeReceiver(&in, next)
	if err != nil {
		return nil, err
	}
	asked := attestation.Handover{Nonce: in.Nonce, ManifestHash: attestation.Hash(next.Manifest), Receiver: receiver}
	if err := asked.Verify(a.manifest.Operators, attestation.OperatorSignature{PublicKey: in.Operator, Signature: in.Signature}); err != nil {
		return nil, wire.Errorf(wire.PermissionDenied, reasonOperator, "%v", err)
	}
	if err := a.canTake(ctx, next); err != nil {
		return nil, wire.Errorf(wire.PermissionDenied, reasonManifest, "manifest: %v", err)
	}
	a.leaving.Lock()
	defer a.leaving.Unlock()
	if a.halves == nil {
		return nil, wire.Errorf(wire.Unavailable, "", "the root has left this enclave")
	}
	// Once begun it is carried to its end, whoever hangs up.
	return a.leave(context.WithoutCancel(ctx), sha256.Sum256(req.Body), handoverEntry{asked.ManifestHash, receiver})
}

// canTake wants the root to be the one that the other manifest's sharing spreads, so
// that this enclave does not leave for one that could not go on.
func (a *Appliance) canTake(ctx context.Context, next *attestation.Signed) error {
	m, err := attestation.ParseManifest(next.Manifest)
	if err != nil {
		return err
	}
	blobs, err := a.platform.Host.GetBlobs(ctx, [][]byte{m.Root.Sharing})
	if err != nil || len(blobs) != 1 {
		return errors.New("root.sharing: the host does not have the document")
	}
	d, err := sharing.ParseOf(m, blobs[0])
	if err != nil {
		return err
	}
	a.leaving.Lock()
	defer a.leaving.Unlock()
	if a.halves == nil {
		return errors.New("the root has left this enclave")
	}
	root := a.halves.root(m.Appliance, m.Root.Set)
	defer clear(root)
	if !a.halves.fits(m.Root) || subtle.ConstantTimeCompare(sharing.RootCheck(d.Appliance, d.Set, root), d.RootCheck) != 1 {
		return errors.New("root.sharing: it is of another root")
	}
	return nil
}

// judgeManifest accepts the manifest in force, or a signed successor with the same root.
func (a *Appliance) judgeManifest(raw []byte) (*attestation.Signed, error) {
	next, err := attestation.ParseSigned(raw)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(next.Manifest, a.signed.Manifest) {
		return next, nil
	}
	if err := next.Succeeds(a.manifest); err != nil {
		return nil, err
	}
	m, err := attestation.ParseManifest(next.Manifest)
	if err == nil && m.IsOrder() {
		err = errors.New("root.sharing: is empty: it is an order, under which nothing runs")
	}
	if err == nil && m.Root.Set != a.manifest.Root.Set {
		err = errors.New("root.set: a handover keeps the root; another one is given by its holders")
	}
	return next, err
}

// judgeReceiver wants the other enclave to run now, on an image of its manifest,
// under it, and to have proven its root-receiving key.
func (a *Appliance) judgeReceiver(in *handoverRequest, next *attestation.Signed) ([]byte, error) {
	refused := func(err error) error {
		return wire.Errorf(wire.PermissionDenied, reasonAttested, "the other enclave: %v", err)
	}
	if !a.nonces.fresh(in.Nonce, a.platform.Now()) {
		return nil, wire.Errorf(wire.FailedPrecondition, reasonNonce, "nonce: must be one that this enclave has just given")
	}
	m, err := attestation.ParseManifest(next.Manifest)
	if err != nil {
		return nil, refused(err)
	}
	trust, err := a.platform.Trust(m)
	if err != nil {
		return nil, refused(err)
	}
	key, err := sharing.Witness{Fresh: in.Fresh, Proof: in.Proof}.Receiver(trust, next.Manifest, in.Nonce, a.platform.Now())
	if err != nil {
		return nil, refused(err)
	}
	return key, nil
}

// leave ends this enclave's service for good, and only then seals the root: at no time
// do two serve. The journal's end goes with it, so that the host cannot have the other
// enclave begin with an older one. The caller holds a.leaving.
func (a *Appliance) leave(ctx context.Context, request [32]byte, e handoverEntry) (any, error) {
	t, err := a.journal.Propose(entryHandover, func(uint64, int64) ([]byte, error) { return codec.Encode(e), nil })
	if err != nil {
		return nil, err
	}
	if err := a.journal.Wait(ctx, t); err != nil {
		return nil, err
	}
	a.enter(wire.PhaseStale, "the root was handed over to an enclave under the manifest "+hex.EncodeToString(e.Manifest))
	a.close() // what was under way is in the journal now, or ends without an answer
	b := bequest{halves: *a.halves}
	b.size, b.head = a.journal.Head()
	plain := b.encode()
	defer clear(plain)
	a.halves.erase()
	a.halves = nil
	info, aad := sharing.HandoverContext(e.Manifest, e.Receiver, a.manifest.Appliance, a.manifest.Root.Set)
	sealed, err := sealTo(e.Receiver, info, aad, plain)
	if err != nil {
		return nil, err
	}
	reply := handoverReply{sealed}
	a.mu.Lock()
	a.ceremony = map[string]ceremonyRoute{handoverPath: again(request, reply)}
	a.mu.Unlock()
	return reply, nil
}

// again gives the reply of a handover to who lost it: it opens for one enclave only.
func again(request [32]byte, reply handoverReply) ceremonyRoute {
	return func(_ context.Context, req *wire.Request) (any, error) {
		if sha256.Sum256(req.Body) != request {
			return nil, wire.Errorf(wire.Unavailable, "", "the root has left this enclave")
		}
		return reply, nil
	}
}

// A rootRequest brings the root from an enclave that had it.
type rootRequest struct {
	SealedRoot strictjson.Hex `json:"sealedRoot" strict:"required"`
}

// takeRoot takes the whole root. That it is the right one follows from the sharing
// document, which the manifest names.
func (r *receiver) takeRoot(sealed []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.key == nil {
		return errHasRoot
	}
	d := r.document
	info, aad := sharing.HandoverContext(r.manifestHash, r.public, d.Appliance, d.Set)
	plain, err := r.open(sealed, info, aad)
	defer clear(plain)
	var b *bequest
	if err == nil {
		b, err = decodeBequest(plain)
	}
	if err != nil {
		return wire.Errorf(wire.InvalidArgument, reasonSealed, "sealedRoot: it is not sealed to the root-receiving key of this boot, under this manifest")
	}
	if b.size == 0 || !b.fits(r.manifest.Root) || !r.handOn(b) {
		b.erase()
		return wire.Errorf(wire.FailedPrecondition, reasonRoot, "sealedRoot: it is not the root of this manifest")
	}
	r.forget()
	return nil
}
