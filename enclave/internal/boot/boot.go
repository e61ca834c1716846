// Package boot holds what lives for one boot: the HPKE key and the ephemeral
// signing key that the boot document attests, the documents themselves, and
// the proofs that the ephemeral key signs.
//
// The keys are committed to in PCR16 to PCR18 and all registers are locked
// before anything else happens, so a document of this boot can name no other
// keys and no other manifest.
package boot

import (
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/platform"
)

// pcrCount is the number of registers of the module; all get locked, so that
// every document lists them.
const pcrCount = 32

// Boot is one boot of an enclave. Its fields do not change.
type Boot struct {
	// Manifest is the manifest in force, its canonical bytes.
	Manifest []byte
	// ManifestHash is SHA-256 of Manifest, the user data of every document.
	ManifestHash []byte
	// PublicKey is the boot HPKE key and the ephemeral signing key, SEC 1
	// uncompressed, 65 bytes each.
	PublicKey []byte
	// QuorumPublic is the quorum key of the manifest, SEC 1 uncompressed, 65
	// bytes; empty under a genesis manifest.
	QuorumPublic []byte

	attester   platform.Attester
	hpke       *ecdh.PrivateKey
	ephemeral  *ecdsa.PrivateKey
	challenges *challenges

	mu       sync.RWMutex
	document []byte
}

// New makes the keys of this boot, commits to them and to the manifest, locks
// all registers and takes the first boot document.
func New(ctx context.Context, attester platform.Attester, manifest []byte, quorumPublic []byte) (*Boot, error) {
	b := &Boot{
		Manifest: manifest, ManifestHash: attestation.Hash(manifest), QuorumPublic: quorumPublic,
		attester: attester,
	}
	var err error
	if b.hpke, err = ecdh.P256().GenerateKey(rand.Reader); err != nil {
		return nil, err
	}
	if b.ephemeral, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	signing, err := b.ephemeral.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	b.PublicKey = append(b.hpke.PublicKey().Bytes(), signing...)
	if err := b.commit(); err != nil {
		return nil, fmt.Errorf("committing to the boot keys: %w", err)
	}
	b.challenges = newChallenges(b)
	return b, b.Renew(ctx)
}

// commit extends the registers that bind keys and manifest, and locks all.
func (b *Boot) commit() error {
	for index, data := range map[int][]byte{
		attestation.PCRBootKey:  attestation.BootKeyCommitment(b.hpke.PublicKey().Bytes(), b.ManifestHash),
		attestation.PCRLive:     attestation.LiveCommitment(b.PublicKey, b.ManifestHash),
		attestation.PCRManifest: b.ManifestHash,
	} {
		if err := b.attester.ExtendPCR(index, data); err != nil {
			return fmt.Errorf("PCR%d: %w", index, err)
		}
	}
	return b.attester.LockPCRs(pcrCount)
}

// Document returns the newest boot document.
func (b *Boot) Document() []byte {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.document
}

// Renew takes a new boot document. Keys and manifest stay; the certificate
// chain and the time are new.
func (b *Boot) Renew(ctx context.Context) error {
	doc, err := b.attester.Attest(ctx, b.ManifestHash, nil, b.PublicKey)
	if err != nil {
		return fmt.Errorf("boot document: %w", err)
	}
	b.mu.Lock()
	b.document = doc
	b.mu.Unlock()
	return nil
}

// renewEvery is how often the boot document is renewed. Its certificate lives
// three hours, but the module hands out cached ones that may have only
// minutes left.
const renewEvery = 10 * time.Minute

// KeepFresh renews the boot document until the context ends.
func (b *Boot) KeepFresh(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := b.Renew(ctx); err != nil {
				log.Error("renewing the boot document", "error", err)
			}
		}
	}
}
