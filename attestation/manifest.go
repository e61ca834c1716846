package attestation

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/attestation/strictjson"
)

// ManifestFormat is the format of the manifests that this package reads.
const ManifestFormat = "sallyport-manifest-v1"

// The sizes of a manifest's values in bytes.
const (
	ApplianceSize = 16
	GenesisSize   = sha256.Size
	maxName       = 64
	// maxManifest bounds the bytes of a manifest: 15 local peers with their roots.
	maxManifest = 48 << 10
)

// Manifest says what an appliance is: the images that may run it, and the keys
// by which it is known. Its hash stands in every boot document. Version 0 is
// the genesis manifest, under which the keys are made; every later version is
// an operating manifest and names them.
type Manifest struct {
	// Name is 1 to 64 printable ASCII characters, for people.
	Name string
	// Version counts from 0; Epoch grows when a recovery replaces a history.
	Version, Epoch int64
	// Assurance is "nitro" or "local".
	Assurance string
	// Measurements are the accepted images, at least one. A local manifest has
	// exactly [LocalMeasurements].
	Measurements []Measurements
	Flags        Flags

	// Operators sign manifests, OperatorThreshold of them each.
	Operators         []Operator
	OperatorThreshold int64
	// Root is how the root secret comes back after a restart; nil on a local
	// platform that keeps it in a file or a token.
	Root *RootPlan

	// Peers are the appliances with which this one holds MPC keys.
	Peers []Peer
	// KeyGroup is nil for an appliance whose organizations are its own.
	KeyGroup *KeyGroup
	// NodeAPI is nil for an appliance without the node API.
	NodeAPI *NodeAPI

	// Appliance (16 bytes), QuorumPublicKey and CheckpointPublicKey (65 bytes,
	// SEC 1 uncompressed P-256) and Genesis (32 bytes, the hash of the genesis
	// outcome) are all nil at version 0, and all set later.
	Appliance           []byte
	QuorumPublicKey     []byte
	CheckpointPublicKey []byte
	Genesis             []byte
}

// Flags relax promises of the appliance. Every verifier shows them.
type Flags struct {
	// Unsigned: no operators have signed the manifest. It is set exactly while
	// there are none.
	Unsigned bool `json:"unsigned" strict:"required"`
	// OpenOrganizations: organizations are created without an operator.
	OpenOrganizations bool `json:"openOrganizations" strict:"required"`
	// SingleCustodian: one person, or a key management service alone, can
	// give the enclave its root.
	SingleCustodian bool `json:"singleCustodian" strict:"required"`
	// PlaintextExport: keys may leave without a target key to seal them to.
	PlaintextExport bool `json:"plaintextExport" strict:"required"`
}

// manifestJSON is the canonical form: these members in this order, no space.
// Witnesses are reserved and empty; the last four members are left out where there
// is nothing to say.
type manifestJSON struct {
	Format              string             `json:"format" strict:"required"`
	Name                string             `json:"name" strict:"required"`
	Version             int64              `json:"version" strict:"required"`
	Epoch               int64              `json:"epoch" strict:"required"`
	Assurance           string             `json:"assurance" strict:"required"`
	Measurements        []measurementsJSON `json:"measurements" strict:"required"`
	Flags               Flags              `json:"flags" strict:"required"`
	Operators           []personJSON       `json:"operators" strict:"required"`
	Witnesses           []struct{}         `json:"witnesses" strict:"required"`
	Peers               []peerJSON         `json:"peers" strict:"required"`
	Appliance           string             `json:"appliance" strict:"required"`
	QuorumPublicKey     string             `json:"quorumPublicKey" strict:"required"`
	CheckpointPublicKey string             `json:"checkpointPublicKey" strict:"required"`
	Genesis             string             `json:"genesis" strict:"required"`
	KeyGroup            *KeyGroup          `json:"keyGroup,omitempty"`
	NodeAPI             *nodeAPIJSON       `json:"nodeApi,omitempty"`
	OperatorThreshold   int64              `json:"operatorThreshold,omitempty"`
	Root                *rootPlanJSON      `json:"root,omitempty"`
}

// Hash returns the SHA-256 of the exact bytes of a manifest.
func Hash(manifest []byte) []byte {
	sum := sha256.Sum256(manifest)
	return sum[:]
}

// ParseManifest reads the canonical bytes of a manifest and checks every rule
// of the format. Bytes that do not encode again identically are refused, so a
// manifest has one hash. Errors are of type [*Error].
func ParseManifest(b []byte) (*Manifest, error) {
	if len(b) > maxManifest {
		return nil, refuse(ReasonManifest, "manifest: has %d bytes, more than %d", len(b), maxManifest)
	}
	var j manifestJSON
	if err := strictjson.Decode(b, &j); err != nil {
		return nil, refuse(ReasonManifest, "manifest: %v", err)
	}
	m, err := j.manifest()
	if err != nil {
		return nil, refuse(ReasonManifest, "manifest: %v", err)
	}
	if !bytes.Equal(m.Encode(), b) {
		return nil, refuse(ReasonManifest, "manifest: is not in its canonical form")
	}
	return m, nil
}

// Encode returns the canonical bytes. They parse only if the manifest obeys the
// rules of the format; see [Manifest.Check].
func (m *Manifest) Encode() []byte {
	j := manifestJSON{
		Format:              ManifestFormat,
		Name:                m.Name,
		Version:             m.Version,
		Epoch:               m.Epoch,
		Assurance:           m.Assurance,
		Measurements:        []measurementsJSON{},
		Flags:               m.Flags,
		Operators:           m.operatorsJSON(),
		Witnesses:           []struct{}{},
		Peers:               []peerJSON{},
		Appliance:           hex.EncodeToString(m.Appliance),
		QuorumPublicKey:     hex.EncodeToString(m.QuorumPublicKey),
		CheckpointPublicKey: hex.EncodeToString(m.CheckpointPublicKey),
		Genesis:             hex.EncodeToString(m.Genesis),
		KeyGroup:            m.KeyGroup,
		NodeAPI:             m.NodeAPI.toJSON(),
		OperatorThreshold:   m.OperatorThreshold,
		Root:                m.Root.toJSON(),
	}
	for i := range m.Peers {
		j.Peers = append(j.Peers, m.Peers[i].toJSON())
	}
	for _, t := range m.Measurements {
		j.Measurements = append(j.Measurements, t.toJSON())
	}
	b, err := strictjson.Marshal(j)
	if err != nil {
		panic("internal error: a manifest of strings and numbers does not encode")
	}
	return b
}

// Check applies the rules of the format to a manifest that was made in memory.
func (m *Manifest) Check() error {
	if err := m.check(); err != nil {
		return refuse(ReasonManifest, "manifest: %v", err)
	}
	return nil
}

// Accepts reports whether the manifest lists an image.
func (m *Manifest) Accepts(measured Measurements) bool {
	for _, t := range m.Measurements {
		if t == measured {
			return true
		}
	}
	return false
}

func (j *manifestJSON) manifest() (*Manifest, error) {
	if j.Format != ManifestFormat {
		return nil, errors.New("format: must be " + ManifestFormat)
	}
	if len(j.Witnesses) != 0 {
		return nil, errors.New("witnesses: must be empty in this version")
	}
	m := &Manifest{
		Name: j.Name, Version: j.Version, Epoch: j.Epoch, Assurance: j.Assurance, Flags: j.Flags, KeyGroup: j.KeyGroup,
		OperatorThreshold: j.OperatorThreshold,
	}
	var err error
	if m.Operators, err = parseOperators(j.Operators); err != nil {
		return nil, err
	}
	if m.Root, err = j.Root.rootPlan(); err != nil {
		return nil, fmt.Errorf("root.%w", err)
	}
	if m.NodeAPI, err = j.NodeAPI.nodeAPI(); err != nil {
		return nil, fmt.Errorf("nodeApi.%w", err)
	}
	for i := range j.Peers {
		p, err := j.Peers[i].peer()
		if err != nil {
			return nil, fmt.Errorf("peers[%d].%w", i, err)
		}
		m.Peers = append(m.Peers, p)
	}
	for i, t := range j.Measurements {
		measured, err := t.measurements()
		if err != nil {
			return nil, fmt.Errorf("measurements[%d].%w", i, err)
		}
		m.Measurements = append(m.Measurements, measured)
	}
	for _, f := range []struct {
		name string
		text string
		size int
		to   *[]byte
	}{
		{"appliance", j.Appliance, ApplianceSize, &m.Appliance},
		{"quorumPublicKey", j.QuorumPublicKey, pointSize, &m.QuorumPublicKey},
		{"checkpointPublicKey", j.CheckpointPublicKey, pointSize, &m.CheckpointPublicKey},
		{"genesis", j.Genesis, GenesisSize, &m.Genesis},
	} {
		if f.text == "" {
			continue
		}
		b, err := lowerHex(f.text, f.size)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		*f.to = b
	}
	return m, m.check()
}
