package ceremony

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"sync"

	"github.com/cloudflare/circl/hpke"
	"github.com/cloudflare/circl/kem"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/sharing"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/wire"
)

// A receiver collects the holders' shares of one boot, sealed to a key that lives no
// longer than that. It counts people: a share that is posted again counts once.
type receiver struct {
	manifest     *attestation.Manifest
	manifestHash []byte
	document     *sharing.Document
	public       []byte // SEC 1 uncompressed, 65 bytes

	mu     sync.Mutex
	key    kem.PrivateKey // nil once there is a root
	shares map[string]keys.Share
	kms    *keys.Secret  // the service's half, once it has come
	root   chan *bequest // its journal has no end where the holders gave the root
}

func newReceiver(m *attestation.Manifest, manifestHash []byte, document *sharing.Document) (*receiver, error) {
	public, key, err := hpke.KEM_P256_HKDF_SHA256.Scheme().GenerateKeyPair()
	if err != nil {
		return nil, err
	}
	r := &receiver{
		manifest: m, manifestHash: manifestHash, document: document, key: key, shares: map[string]keys.Share{}, root: make(chan *bequest, 1),
	}
	r.public, err = public.MarshalBinary()
	return r, err
}

var errHasRoot = wire.Errorf(wire.FailedPrecondition, "", "the enclave has its root")

// Reasons of refused shares.
const (
	reasonHolder = "HOLDER_UNKNOWN"
	reasonSealed = "SHARE_NOT_FOR_THIS_BOOT"
	reasonShare  = "SHARE_WRONG"
	reasonRoot   = "ROOT_WRONG"
)

// post takes a sealed share of a holder and returns how many holders have given
// theirs. With the last one needed the root is handed on.
func (r *receiver) post(holder, sealed []byte) (count int, err error) {
	h := r.manifest.Root.Holder(holder)
	if h == nil {
		return 0, wire.Errorf(wire.PermissionDenied, reasonHolder, "holder: the manifest names no holder with this key")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.key == nil {
		return 0, errHasRoot
	}
	info, aad := sharing.PostedContext(r.manifestHash, r.public, holder)
	share, err := r.open(sealed, info, aad)
	if err != nil || len(share) != sharing.ShareSize {
		return 0, wire.Errorf(wire.InvalidArgument, reasonSealed, "sealedShare: it is not sealed to the root-receiving key of this boot, by this holder, under this manifest")
	}
	defer clear(share)
	if subtle.ConstantTimeCompare(sharing.Hash(r.document.Appliance, r.document.Set, holder, share), r.document.Of(holder).Hash) != 1 {
		return 0, wire.Errorf(wire.InvalidArgument, reasonShare, "sealedShare: it is not the share of %s in this root's sharing", h.Name)
	}
	if _, ok := r.shares[string(holder)]; !ok {
		r.shares[string(holder)] = keys.Share{Index: share[0], Value: keys.NewSecret(share[1:])}
	}
	count = len(r.shares)
	return count, r.combine()
}

// takeKMS takes the half of the key management service, which a host may have made up.
func (r *receiver) takeKMS(half []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.document
	if subtle.ConstantTimeCompare(sharing.KMSHash(d.Appliance, d.Set, half), d.KMS.Hash) != 1 {
		return errors.New("it is not the half of this root's sharing")
	}
	r.kms = keys.NewSecret(half)
	return r.combine()
}

// open opens what was sealed to the key of this boot. The caller holds the lock.
func (r *receiver) open(sealed, info, aad []byte) ([]byte, error) {
	if len(sealed) <= len(r.public) {
		return nil, errors.New("length")
	}
	recipient, err := ceremonySuite.NewReceiver(r.key, info)
	if err != nil {
		return nil, err
	}
	opener, err := recipient.Setup(sealed[:len(r.public)])
	if err != nil {
		return nil, err
	}
	return opener.Open(sealed[len(r.public):], aad)
}

// combine hands the root on once all there has to be is there. When it is not the root
// of the manifest, all shares are forgotten. The caller holds the lock.
func (r *receiver) combine() error {
	d := r.document
	if r.key == nil || int64(len(r.shares)) < d.Threshold || (d.KMS != nil && r.kms == nil) {
		return nil
	}
	quorum, err := r.quorumHalf()
	if err != nil {
		return err
	}
	if !r.handOn(&bequest{halves: halves{quorum, r.kms}}) {
		quorum.Erase()
		return wire.Errorf(wire.FailedPrecondition, reasonRoot, "the shares do not make the root of this manifest; all of them are forgotten")
	}
	r.kms = nil // it has been handed on
	return nil
}

// handOn ends the wait with the halves of the manifest's root. The caller holds the lock.
func (r *receiver) handOn(b *bequest) bool {
	d := r.document
	root := b.root(d.Appliance, d.Set)
	defer clear(root)
	if subtle.ConstantTimeCompare(sharing.RootCheck(d.Appliance, d.Set, root), d.RootCheck) != 1 {
		return false
	}
	r.key = nil // what was sealed to it opens no more
	r.root <- b
	return true
}

// quorumHalf combines the shares and forgets them; nil without holders.
func (r *receiver) quorumHalf() (*keys.Secret, error) {
	if r.document.Threshold == 0 {
		return nil, nil
	}
	var list []keys.Share
	for _, s := range r.shares {
		if int64(len(list)) < r.document.Threshold { // more may have come while the service was asked
			list = append(list, s)
		}
	}
	half, err := keys.CombineUnchecked(keys.Ed25519, list)
	r.forget()
	if err != nil {
		return nil, fmt.Errorf("internal error: combining shares: %w", err)
	}
	return half, nil
}

func (r *receiver) forget() {
	for holder, s := range r.shares {
		s.Value.Erase()
		delete(r.shares, holder)
	}
}

// close forgets the key and the shares.
func (r *receiver) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.key = nil
	r.forget()
	r.kms.Erase()
	select {
	case h := <-r.root:
		h.erase()
	default:
	}
}

// random fills a new slice; it never fails.
func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
