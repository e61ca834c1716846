package ceremony

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/proof"
	"github.com/sallyport/sallyport/attestation/sharing"
	"github.com/sallyport/sallyport/attestation/strictjson"
	"github.com/sallyport/sallyport/enclave/wire"
)

// Paths of a ceremony. Which of them there are depends on the phase and on the
// manifest of the boot.
const (
	ceremonyPrefix = "/sallyport/v1/ceremony/"

	genesisPath  = "/sallyport/v1/ceremony/genesis"
	receiverPath = "/sallyport/v1/ceremony/receiver"
	sharePath    = "/sallyport/v1/ceremony/share"
	spreadPath   = "/sallyport/v1/ceremony/spread"
)

// A ceremonyRoute answers one path of a ceremony.
type ceremonyRoute func(ctx context.Context, req *wire.Request) (any, error)

// await enters AwaitingRoot with the routes of a ceremony.
func (a *Appliance) await(routes map[string]ceremonyRoute, reason string) {
	a.mu.Lock()
	a.ceremony = routes
	a.mu.Unlock()
	a.enter(wire.PhaseAwaitingRoot, reason)
}

// serveCeremony answers the paths of a ceremony that there are now.
func (a *Appliance) serveCeremony(ctx context.Context, req *wire.Request) (*wire.Reply, error) {
	a.mu.RLock()
	route, phase := a.ceremony[req.Path], a.phase
	a.mu.RUnlock()
	if route == nil {
		return nil, wire.Errorf(wire.NotFound, "", "the enclave is %s and has no path %.64q", phase, req.Path)
	}
	answer, err := route(ctx, req)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	return &wire.Reply{Status: httpOK, Body: body}, nil
}

// fresh attests a client's nonce, if there is one.
func (a *Appliance) fresh(ctx context.Context, req *wire.Request) (*attestation.FreshAttestation, error) {
	if len(req.Nonce) == 0 {
		return nil, nil
	}
	return a.boot.Challenge(ctx, req.Nonce)
}

// A receiverReply names the key to seal shares to, and proves whose it is.
type receiverReply struct {
	Proof    proof.AppProof                `json:"proof"`
	Document []byte                        `json:"attestationDocument"`
	Manifest []byte                        `json:"manifest"` // signed
	Sharing  []byte                        `json:"sharing"`
	Received int                           `json:"received"` // holders that have given their shares
	Fresh    *attestation.FreshAttestation `json:"freshAttestation,omitempty"`
}

// A shareRequest is one holder's share.
type shareRequest struct {
	Holder      strictjson.Hex `json:"holder" strict:"required"`
	SealedShare strictjson.Hex `json:"sealedShare" strict:"required"`
}

type shareReply struct {
	Received  int   `json:"received"`
	Threshold int64 `json:"threshold"`
}

// collect waits until enough holders have given their shares.
func (a *Appliance) collect(ctx context.Context, m *attestation.Manifest) (*bequest, error) {
	blob, err := a.sharingOf(ctx, m)
	if err != nil {
		return nil, err
	}
	document, err := sharing.ParseOf(m, blob)
	if err != nil {
		return nil, err
	}
	r, err := newReceiver(m, a.boot.ManifestHash, document)
	if err != nil {
		return nil, err
	}
	defer r.close()
	defer a.endCeremony()
	a.await(map[string]ceremonyRoute{
		receiverPath: func(ctx context.Context, req *wire.Request) (any, error) { return a.receiver(ctx, req, r, blob) },
		sharePath:    func(_ context.Context, req *wire.Request) (any, error) { return a.share(req, r) },
		rootPath:     func(_ context.Context, req *wire.Request) (any, error) { return a.handed(req, r) },
	}, awaited(m.Root))
	if m.Root.KMS != nil {
		defer a.whileAwaiting(ctx, func(ctx context.Context) { a.askKMS(ctx, m, r) })()
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case b := <-r.root:
		return b, nil
	}
}

// endCeremony takes the routes away: there is nothing to give any more.
func (a *Appliance) endCeremony() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ceremony = nil
}

// sharingOf gets the document that a manifest names, and waits for a host that is away.
func (a *Appliance) sharingOf(ctx context.Context, m *attestation.Manifest) ([]byte, error) {
	for {
		blobs, err := a.platform.Host.GetBlobs(ctx, [][]byte{m.Root.Sharing})
		if err == nil && len(blobs) == 1 {
			return blobs[0], nil
		}
		if refusal, ok := errors.AsType[*wire.Error](err); ok && refusal.Code != wire.Unavailable || err == nil {
			return nil, errors.New("sharing: the host does not have the document that the manifest names")
		}
		if err := pause(ctx); err != nil {
			return nil, err
		}
	}
}

// whileAwaiting does something until end is called, which waits for it.
func (a *Appliance) whileAwaiting(ctx context.Context, do func(context.Context)) (end func()) {
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		do(ctx)
	}()
	return func() {
		stop()
		<-done
	}
}

// awaited says what has to come.
func awaited(plan *attestation.RootPlan) string {
	var parts []string
	if len(plan.Holders) > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d holders have to give their shares", plan.Threshold, len(plan.Holders)))
	}
	if plan.KMS != nil {
		parts = append(parts, "the key management service has to decrypt its half")
	}
	return strings.Join(parts, ", and ")
}

func (a *Appliance) receiver(ctx context.Context, req *wire.Request, r *receiver, document []byte) (any, error) {
	payload, err := proof.RootReceiverStatement{
		TimestampMs: a.platform.Now().UnixMilli(), Manifest: [32]byte(a.boot.ManifestHash), PublicKey: r.public,
	}.Encode()
	if err != nil {
		return nil, err
	}
	out := receiverReply{Document: a.boot.Document(), Manifest: a.signed.Encode(), Sharing: document}
	if out.Proof, err = a.boot.SignProof(payload); err != nil {
		return nil, err
	}
	r.mu.Lock()
	out.Received = len(r.shares)
	r.mu.Unlock()
	out.Fresh, err = a.fresh(ctx, req)
	return out, err
}

func (a *Appliance) share(req *wire.Request, r *receiver) (any, error) {
	var in shareRequest
	if err := strictjson.DecodeRequest(req.Body, &in); err != nil {
		return nil, wire.Errorf(wire.InvalidArgument, "", "%v", err)
	}
	count, err := r.post(in.Holder, in.SealedShare)
	if err != nil {
		return nil, err
	}
	a.log.Info("share received", "holder", r.manifest.Root.Holder(in.Holder).Name, "received", count, "threshold", r.document.Threshold)
	return shareReply{count, r.document.Threshold}, nil
}

func (a *Appliance) handed(req *wire.Request, r *receiver) (any, error) {
	var in rootRequest
	if err := strictjson.DecodeRequest(req.Body, &in); err != nil {
		return nil, wire.Errorf(wire.InvalidArgument, "", "%v", err)
	}
	return struct{}{}, r.takeRoot(in.SealedRoot)
}

// departure are the paths of an enclave that has its root.
func (a *Appliance) departure() map[string]ceremonyRoute {
	return map[string]ceremonyRoute{
		noncePath: func(context.Context, *wire.Request) (any, error) {
			return struct {
				Nonce strictjson.Hex `json:"nonce"`
			}{a.nonces.give(a.platform.Now())}, nil
		},
		handoverPath: a.handover,
		spreadPath:   a.respread,
	}
}

// founding is genesis by ceremony, once in a boot.
type founding struct {
	mu      sync.Mutex
	outcome *outcome
}

// found waits for genesis, and then for the end: under a genesis manifest the
// enclave never serves.
func (a *Appliance) found(ctx context.Context, m *attestation.Manifest) {
	var f founding
	a.await(map[string]ceremonyRoute{
		genesisPath: func(ctx context.Context, req *wire.Request) (any, error) { return a.genesis(ctx, req, m, &f) },
	}, "genesis has to be asked for")
	<-ctx.Done()
}
