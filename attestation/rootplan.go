package attestation

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// RootPlan says how an enclave gets its root secret back after a restart: from a
// quorum of holders, from a key management service, or from both, of which then
// neither alone is of any use. A manifest without one is of a local platform,
// which keeps its root in a file or a token.
type RootPlan struct {
	// Set numbers the root secrets of an appliance, from 1. A rotation makes the next.
	Set int64
	// Sharing is the SHA-256 of the sharing document in force, 32 bytes: the holders'
	// sealed shares, and what the key management service decrypts. Empty at version 0,
	// and in an order, by which operators ask a running enclave for a new sharing.
	Sharing []byte
	// Holders, of whom Threshold give the quorum's half; none, and 0, without a quorum.
	Holders   []Holder
	Threshold int64
	// KMS is nil without a key management service.
	KMS *KMSPlan
}

// A Holder is a person who holds a share of a root secret.
type Holder struct {
	Name string // as of an [Operator]
	// PublicKey is what shares are sealed to: P-256, SEC 1 uncompressed, 65 bytes.
	PublicKey []byte
}

// KMSPlan is the key of a key management service.
type KMSPlan struct {
	// KeyID is the ARN of an asymmetric RSA key.
	KeyID string
	// PublicKey is that key's, DER SubjectPublicKeyInfo. The enclave encrypts to it
	// itself: an answer of Encrypt would come through the host.
	PublicKey []byte
}

type rootPlanJSON struct {
	Set       int64        `json:"set" strict:"required"`
	Sharing   string       `json:"sharing" strict:"required"`
	Holders   []personJSON `json:"holders" strict:"required"`
	Threshold int64        `json:"threshold" strict:"required"`
	KMS       *kmsPlanJSON `json:"kms,omitempty"`
}

type kmsPlanJSON struct {
	KeyID     string `json:"keyId" strict:"required"`
	PublicKey string `json:"publicKey" strict:"required"`
}

func (r *RootPlan) toJSON() *rootPlanJSON {
	if r == nil {
		return nil
	}
	j := &rootPlanJSON{Set: r.Set, Sharing: hex.EncodeToString(r.Sharing), Holders: []personJSON{}, Threshold: r.Threshold}
	for _, h := range r.Holders {
		j.Holders = append(j.Holders, personJSON{h.Name, hex.EncodeToString(h.PublicKey)})
	}
	if r.KMS != nil {
		j.KMS = &kmsPlanJSON{r.KMS.KeyID, hex.EncodeToString(r.KMS.PublicKey)}
	}
	return j
}

func (j *rootPlanJSON) rootPlan() (*RootPlan, error) {
	if j == nil {
		return nil, nil
	}
	r := &RootPlan{Set: j.Set, Threshold: j.Threshold}
	var err error
	if j.Sharing != "" {
		if r.Sharing, err = lowerHex(j.Sharing, GenesisSize); err != nil {
			return nil, fmt.Errorf("sharing: %w", err)
		}
	}
	for i := range j.Holders {
		key, err := j.Holders[i].decode(pointSize)
		if err != nil {
			return nil, fmt.Errorf("holders[%d].%w", i, err)
		}
		r.Holders = append(r.Holders, Holder{j.Holders[i].Name, key})
	}
	if j.KMS != nil {
		r.KMS = &KMSPlan{KeyID: j.KMS.KeyID}
		if r.KMS.PublicKey, err = lowerHex(j.KMS.PublicKey, len(j.KMS.PublicKey)/2); err != nil {
			return nil, fmt.Errorf("kms.publicKey: %w", err)
		}
	}
	return r, nil
}

func (m *Manifest) checkRoot() error {
	r := m.Root
	if r == nil {
		if m.Assurance == AssuranceNitro && len(m.Operators) > 0 {
			return errors.New("root: must be there when assurance is nitro")
		}
		return nil
	}
	if len(m.Operators) == 0 {
		return errors.New("root: needs operators, who sign for it")
	}
	if err := r.check(m.Version); err != nil {
		return fmt.Errorf("root.%w", err)
	}
	if alone := r.oneCustodian() || m.OperatorThreshold == 1; alone != m.Flags.SingleCustodian {
		return errors.New("flags.singleCustodian: must be true exactly when one operator, one holder or a key management service alone is enough")
	}
	return nil
}

// oneCustodian tells whether one person, or whoever administers the key
// management service, can have the root.
func (r *RootPlan) oneCustodian() bool { return r.Threshold <= 1 }

func (r *RootPlan) check(version int64) error {
	switch n := int64(len(r.Holders)); {
	case r.Set < 1:
		return errors.New("set: must be at least 1")
	case version == 0 && len(r.Sharing) > 0:
		return errors.New("sharing: must be empty in a genesis manifest")
	case len(r.Sharing) != 0 && len(r.Sharing) != GenesisSize:
		return fmt.Errorf("sharing: must be %d bytes, or empty in an order", GenesisSize)
	case n == 0 && r.KMS == nil:
		return errors.New("holders: must not be empty without kms")
	case n > maxOperators:
		return fmt.Errorf("holders: must be at most %d", maxOperators)
	case n == 0 && r.Threshold != 0:
		return errors.New("threshold: must be 0 without holders")
	case n > 0 && (r.Threshold < 1 || r.Threshold > n):
		return errors.New("threshold: must be 1 to the number of holders")
	}
	seen := people{}
	for i, h := range r.Holders {
		if !onP256(h.PublicKey) {
			return fmt.Errorf("holders[%d].publicKey: must be an uncompressed point on the curve P-256", i)
		}
		if err := seen.add(h.Name, h.PublicKey); err != nil {
			return fmt.Errorf("holders[%d].%w", i, err)
		}
	}
	if r.KMS != nil {
		return r.KMS.check()
	}
	return nil
}

// maxRSA is the longest key that the service has.
const maxRSA = 4096

func (k *KMSPlan) check() error {
	if !strings.HasPrefix(k.KeyID, "arn:") || len(k.KeyID) > 256 || !printable(k.KeyID) {
		return errors.New("kms.keyId: must be the ARN of a key")
	}
	parsed, err := x509.ParsePKIXPublicKey(k.PublicKey)
	key, ok := parsed.(*rsa.PublicKey)
	if err != nil || !ok || key.N.BitLen() < minRSA || key.N.BitLen() > maxRSA {
		return fmt.Errorf("kms.publicKey: must be an RSA key of %d to %d bits as DER SubjectPublicKeyInfo", minRSA, maxRSA)
	}
	return nil
}

// follows reports why a plan may not come after another. The same root secret in
// other hands has another sharing document; another secret has the next number.
func (r *RootPlan) follows(prev *RootPlan) error {
	switch {
	case prev == nil && r == nil:
		return nil
	case prev == nil || r == nil:
		return refuse(ReasonManifest, "manifest: root: the manifest before has none, or this one")
	case r.Set != prev.Set && r.Set != prev.Set+1:
		return refuse(ReasonManifest, "manifest: root.set: must be %d, or %d after a rotation", prev.Set, prev.Set+1)
	}
	if r.Set == prev.Set && bytes.Equal(r.Sharing, prev.Sharing) && !r.sameHands(prev) {
		return refuse(ReasonManifest, "manifest: root: holders, threshold or kms differ, but the sharing is that of the manifest before")
	}
	return nil
}

// sameHands tells whether two plans name the same holders and service.
func (r *RootPlan) sameHands(o *RootPlan) bool {
	sameKMS := (r.KMS == nil) == (o.KMS == nil)
	if sameKMS && r.KMS != nil {
		sameKMS = r.KMS.KeyID == o.KMS.KeyID && bytes.Equal(r.KMS.PublicKey, o.KMS.PublicKey)
	}
	return sameKMS && r.Threshold == o.Threshold && slices.EqualFunc(r.Holders, o.Holders, func(a, b Holder) bool {
		return a.Name == b.Name && bytes.Equal(a.PublicKey, b.PublicKey)
	})
}

// IsOrder reports whether a manifest asks a running enclave for a new sharing. Nothing
// boots under one.
func (m *Manifest) IsOrder() bool { return m.Version > 0 && m.Root != nil && len(m.Root.Sharing) == 0 }

// Holder finds a holder by public key, or returns nil.
func (r *RootPlan) Holder(publicKey []byte) *Holder {
	for i := range r.Holders {
		if bytes.Equal(r.Holders[i].PublicKey, publicKey) {
			return &r.Holders[i]
		}
	}
	return nil
}
