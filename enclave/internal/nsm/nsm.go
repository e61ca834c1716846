// Package nsm speaks to the Nitro Security Module: /dev/nsm in an enclave, or
// anything else that answers the same CBOR messages.
//
// It trusts the module, whose answers come from the hypervisor, but believes no
// answer of another shape than the one that was asked for. It must not be
// called per request: the module is slow and strictly serial.
package nsm

import (
	"context"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/enclave/internal/platform"
)

// Limits of the module, in bytes.
const (
	// MaxRequest and MaxReply are those of the Linux driver, which truncates
	// silently what does not fit.
	MaxRequest = 4096
	MaxReply   = 12288
	// MaxUserData, MaxNonce and MaxPublicKey are the stricter of the two
	// statements of AWS.
	MaxUserData  = 512
	MaxNonce     = 512
	MaxPublicKey = 1024

	pcrSize  = 48
	pcrCount = 32
)

// ErrClosed is returned by every method after [NSM.Close].
var ErrClosed = errors.New("nsm: closed")

// Device carries one request to a module and its reply back. It is called by
// one goroutine at a time.
type Device interface {
	// Exchange sends the request and writes the reply into the buffer, which
	// has [MaxReply] bytes. It returns the length of the reply.
	Exchange(request, reply []byte) (int, error)
	Close() error
}

// NSM is one open module. It is safe for concurrent use; requests wait for each
// other. It implements [platform.Attester].
type NSM struct {
	turn chan struct{} // holds one token; whoever takes it has the fields below

	device Device // nil when closed
	reply  [MaxReply]byte
}

var _ platform.Attester = (*NSM)(nil)

// Over returns a module behind a device, without asking it anything.
func Over(d Device) *NSM {
	n := &NSM{turn: make(chan struct{}, 1), device: d}
	n.turn <- struct{}{}
	return n
}

// Open opens the device file of the Linux driver, usually /dev/nsm, and checks
// that a module answers there.
func Open(path string) (*NSM, error) {
	d, err := openDevice(path)
	if err != nil {
		return nil, fmt.Errorf("nsm: %w: is this a Nitro enclave?", err)
	}
	n := Over(d)
	about, err := n.Describe()
	if err == nil && (about.MaxPCRs != pcrCount || about.Digest != "SHA384") {
		err = fmt.Errorf("nsm: the module has %d registers of %q, want %d of SHA384", about.MaxPCRs, about.Digest, pcrCount)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", path, err), n.Close())
	}
	return n, nil
}

// Close closes the device after the request that is under way.
func (n *NSM) Close() error {
	<-n.turn
	defer func() { n.turn <- struct{}{} }()
	if n.device == nil {
		return ErrClosed
	}
	err := n.device.Close()
	n.device = nil
	return err
}

// Attest implements [platform.Attester]. Waiting for other requests ends with
// the context; a request that the module has begun does not.
func (n *NSM) Attest(ctx context.Context, userData, nonce, publicKey []byte) ([]byte, error) {
	for _, f := range []struct {
		name string
		size int
		most int
	}{
		{"user data", len(userData), MaxUserData},
		{"nonce", len(nonce), MaxNonce},
		{"public key", len(publicKey), MaxPublicKey},
	} {
		if f.size > f.most {
			return nil, fmt.Errorf("nsm: %s: must be at most %d bytes, has %d", f.name, f.most, f.size)
		}
	}
	var r attestationReply
	err := n.call(ctx, nameAttestation, attestationRequest{UserData: userData, Nonce: nonce, PublicKey: publicKey}, &r)
	if err != nil {
		return nil, err
	}
	if len(r.Document) == 0 {
		return nil, errors.New("nsm: Attestation: the reply has no document")
	}
	return r.Document, nil
}

// PCR implements [platform.Attester].
func (n *NSM) PCR(index int) ([]byte, error) {
	value, _, err := n.DescribePCR(index)
	return value, err
}

// DescribePCR returns a register and whether it is locked.
func (n *NSM) DescribePCR(index int) (value []byte, locked bool, err error) {
	if err := checkIndex(index); err != nil {
		return nil, false, err
	}
	var r describePCRReply
	if err := n.call(context.Background(), nameDescribePCR, indexRequest{Index: uint16(index)}, &r); err != nil {
		return nil, false, err
	}
	if len(r.Data) != pcrSize {
		return nil, false, fmt.Errorf("nsm: DescribePCR: the reply has %d bytes, want %d", len(r.Data), pcrSize)
	}
	return r.Data, r.Lock, nil
}

// ExtendPCR implements [platform.Attester].
func (n *NSM) ExtendPCR(index int, data []byte) error {
	if err := checkIndex(index); err != nil {
		return err
	}
	var r extendPCRReply
	if err := n.call(context.Background(), nameExtendPCR, extendRequest{Index: uint16(index), Data: data}, &r); err != nil {
		return err
	}
	if len(r.Data) != pcrSize {
		return fmt.Errorf("nsm: ExtendPCR: the reply has %d bytes, want %d", len(r.Data), pcrSize)
	}
	return nil
}

// LockPCRs implements [platform.Attester].
func (n *NSM) LockPCRs(limit int) error {
	if limit < 0 || limit > pcrCount {
		return fmt.Errorf("nsm: locking registers: the limit must be 0 to %d, is %d", pcrCount, limit)
	}
	return n.call(context.Background(), nameLockPCRs, rangeRequest{Range: uint16(limit)}, nil)
}

// LockPCR locks one register.
func (n *NSM) LockPCR(index int) error {
	if err := checkIndex(index); err != nil {
		return err
	}
	return n.call(context.Background(), nameLockPCR, indexRequest{Index: uint16(index)}, nil)
}

// Description is what a module says about itself.
type Description struct {
	ModuleID   string
	MaxPCRs    int
	LockedPCRs []int
	Digest     string
}

// Describe asks the module what it is.
func (n *NSM) Describe() (Description, error) {
	var r describeNSMReply
	if err := n.call(context.Background(), nameDescribeNSM, nil, &r); err != nil {
		return Description{}, err
	}
	d := Description{ModuleID: r.ModuleID, MaxPCRs: int(r.MaxPCRs), Digest: r.Digest}
	for _, index := range r.LockedPCRs {
		d.LockedPCRs = append(d.LockedPCRs, int(index))
	}
	return d, nil
}

// Read fills p with random bytes of the module, 256 at most per request.
func (n *NSM) Read(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		var r randomReply
		if err := n.call(context.Background(), nameGetRandom, nil, &r); err != nil {
			return done, err
		}
		if len(r.Random) == 0 {
			return done, errors.New("nsm: GetRandom: the reply is empty")
		}
		done += copy(p[done:], r.Random)
		clear(r.Random)
	}
	return done, nil
}

func checkIndex(index int) error {
	if index < 0 || index >= pcrCount {
		return fmt.Errorf("nsm: there is no register %d", index)
	}
	return nil
}

// call makes one exchange. The reply buffer is cleared behind it, because it may
// have held random bytes.
func (n *NSM) call(ctx context.Context, name string, parameters, into any) error {
	request, err := encodeRequest(name, parameters)
	if err != nil {
		return err
	}
	select {
	case <-n.turn:
		defer func() { n.turn <- struct{}{} }()
	case <-ctx.Done():
		return fmt.Errorf("nsm: %s: waiting for the module: %w", name, context.Cause(ctx))
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("nsm: %s: %w", name, context.Cause(ctx))
	}
	if n.device == nil {
		return ErrClosed
	}
	defer clear(n.reply[:])
	size, err := n.device.Exchange(request, n.reply[:])
	if err != nil {
		return fmt.Errorf("nsm: %s: %w", name, err)
	}
	if size < 0 || size > len(n.reply) {
		return fmt.Errorf("nsm: %s: the reply claims %d bytes", name, size)
	}
	return decodeReply(name, n.reply[:size], into)
}
