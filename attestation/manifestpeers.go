package attestation

import (
	"bytes"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
)

// maxPeers bounds the peers of an appliance: a key has 16 parties at most.
const maxPeers = 15

// A Peer is another appliance with which this one holds MPC keys. Its enclave
// is accepted if it attests one of the measurements and knows the quorum key.
type Peer struct {
	// Name is 1 to 64 printable ASCII characters, for people.
	Name string
	// QuorumPublicKey is the peer's, 65 bytes, SEC 1 uncompressed P-256.
	QuorumPublicKey []byte
	// Measurements are the accepted images, as in [Manifest].
	Measurements []Measurements
	// AttestationRoot is the DER certificate under which the documents of a
	// local peer are verified; empty for Nitro.
	AttestationRoot []byte
}

// Trust returns what the peer's documents are verified under.
func (p *Peer) Trust() (Trust, error) {
	if len(p.AttestationRoot) == 0 {
		return TrustAWS(p.Measurements...)
	}
	root, err := x509.ParseCertificate(p.AttestationRoot)
	if err != nil {
		return Trust{}, refuse(ReasonManifest, "attestationRoot: is not a certificate")
	}
	return TrustLocal(root)
}

// KeyGroup says that the organizations of this appliance are those of all its
// peers too, and that their keys are MPC keys of which so many nodes sign. Once
// there is one, its members and its threshold stay.
type KeyGroup struct {
	Threshold int64 `json:"threshold" strict:"required"` // 2 to the number of members
}

// NodeAPI configures the node API; an appliance without it does not serve it.
type NodeAPI struct {
	// AdminTokenSHA256 is SHA-256 of the admin token, 32 bytes; empty: there is none.
	AdminTokenSHA256 []byte
	// AdminKeys stamp the admin's requests: P-256, SEC 1 compressed, 33 bytes.
	AdminKeys [][]byte
	// BearerMay lists the operations that a bearer credential alone may ask
	// for, sorted; see [BearerOperations]. The host sees bearer credentials.
	BearerMay []string
	// Backup: shares may be backed up, sealed.
	Backup bool
}

// BearerOperations are what [NodeAPI] BearerMay may list.
func BearerOperations() []string {
	return []string{"admin", "backup", "create", "delete", "export", "import", "keygen", "refresh", "reshare", "sign"}
}

type peerJSON struct {
	Name            string             `json:"name" strict:"required"`
	QuorumPublicKey string             `json:"quorumPublicKey" strict:"required"`
	Measurements    []measurementsJSON `json:"measurements" strict:"required"`
	AttestationRoot string             `json:"attestationRoot" strict:"required"`
}

type nodeAPIJSON struct {
	AdminTokenSHA256 string   `json:"adminTokenSha256" strict:"required"`
	AdminKeys        []string `json:"adminKeys" strict:"required"`
	BearerMay        []string `json:"bearerMay" strict:"required"`
	Backup           bool     `json:"backup" strict:"required"`
}

func (p *Peer) toJSON() peerJSON {
	j := peerJSON{
		Name: p.Name, QuorumPublicKey: hex.EncodeToString(p.QuorumPublicKey), Measurements: []measurementsJSON{},
		AttestationRoot: hex.EncodeToString(p.AttestationRoot),
	}
	for _, m := range p.Measurements {
		j.Measurements = append(j.Measurements, m.toJSON())
	}
	return j
}

func (j *peerJSON) peer() (Peer, error) {
	p := Peer{Name: j.Name}
	var err error
	if p.QuorumPublicKey, err = lowerHex(j.QuorumPublicKey, pointSize); err != nil {
		return p, fmt.Errorf("quorumPublicKey: %w", err)
	}
	if j.AttestationRoot != "" {
		if p.AttestationRoot, err = lowerHex(j.AttestationRoot, len(j.AttestationRoot)/2); err != nil {
			return p, fmt.Errorf("attestationRoot: %w", err)
		}
	}
	for i, m := range j.Measurements {
		measured, err := m.measurements()
		if err != nil {
			return p, fmt.Errorf("measurements[%d].%w", i, err)
		}
		p.Measurements = append(p.Measurements, measured)
	}
	return p, nil
}

func (n *NodeAPI) toJSON() *nodeAPIJSON {
	if n == nil {
		return nil
	}
	j := &nodeAPIJSON{
		AdminTokenSHA256: hex.EncodeToString(n.AdminTokenSHA256), AdminKeys: []string{}, BearerMay: append([]string{}, n.BearerMay...),
		Backup: n.Backup,
	}
	for _, k := range n.AdminKeys {
		j.AdminKeys = append(j.AdminKeys, hex.EncodeToString(k))
	}
	return j
}

func (j *nodeAPIJSON) nodeAPI() (*NodeAPI, error) {
	if j == nil {
		return nil, nil
	}
	n := &NodeAPI{BearerMay: j.BearerMay, Backup: j.Backup}
	var err error
	if j.AdminTokenSHA256 != "" {
		if n.AdminTokenSHA256, err = lowerHex(j.AdminTokenSHA256, sha256.Size); err != nil {
			return nil, fmt.Errorf("adminTokenSha256: %w", err)
		}
	}
	for i, text := range j.AdminKeys {
		k, err := lowerHex(text, compressedSize)
		if err != nil {
			return nil, fmt.Errorf("adminKeys[%d]: %w", i, err)
		}
		n.AdminKeys = append(n.AdminKeys, k)
	}
	return n, nil
}

const compressedSize = 33 // SEC 1 compressed P-256

func (m *Manifest) checkPeers() error {
	if len(m.Peers) > maxPeers {
		return fmt.Errorf("peers: at most %d", maxPeers)
	}
	seen := [][]byte{m.QuorumPublicKey}
	for i, p := range m.Peers {
		if err := m.checkPeer(&p); err != nil {
			return fmt.Errorf("peers[%d].%w", i, err)
		}
		if slices.ContainsFunc(seen, func(k []byte) bool { return bytes.Equal(k, p.QuorumPublicKey) }) {
			return fmt.Errorf("peers[%d].quorumPublicKey: is another appliance's", i)
		}
		seen = append(seen, p.QuorumPublicKey)
	}
	if g := m.KeyGroup; g != nil && (g.Threshold < 2 || g.Threshold > int64(len(m.Peers)+1)) {
		return fmt.Errorf("keyGroup.threshold: must be 2 to the number of members, %d", len(m.Peers)+1)
	}
	return m.checkNodeAPI()
}

func (m *Manifest) checkPeer(p *Peer) error {
	switch {
	case p.Name == "" || len(p.Name) > maxName || !printable(p.Name):
		return fmt.Errorf("name: must be 1 to %d printable ASCII characters", maxName)
	case !onP256(p.QuorumPublicKey):
		return errors.New("quorumPublicKey: must be an uncompressed point on the curve P-256")
	case (m.Assurance == AssuranceLocal) != (len(p.AttestationRoot) > 0):
		return errors.New("attestationRoot: must be there for peers of a local appliance, and only for those")
	}
	other := Manifest{Assurance: m.Assurance, Measurements: p.Measurements}
	if err := other.checkMeasurements(); err != nil {
		return err
	}
	_, err := p.Trust()
	return err
}

func (m *Manifest) checkNodeAPI() error {
	n := m.NodeAPI
	if n == nil {
		return nil
	}
	if len(n.AdminTokenSHA256) != 0 && len(n.AdminTokenSHA256) != sha256.Size {
		return fmt.Errorf("nodeApi.adminTokenSha256: must be %d bytes or empty", sha256.Size)
	}
	for i, k := range n.AdminKeys {
		if len(k) != compressedSize || !onP256Compressed(k) {
			return fmt.Errorf("nodeApi.adminKeys[%d]: must be a compressed point on the curve P-256", i)
		}
		if slices.ContainsFunc(n.AdminKeys[:i], func(other []byte) bool { return bytes.Equal(k, other) }) {
			return fmt.Errorf("nodeApi.adminKeys[%d]: is listed before", i)
		}
	}
	for i, op := range n.BearerMay {
		if !slices.Contains(BearerOperations(), op) {
			return fmt.Errorf("nodeApi.bearerMay[%d]: there is no operation %.32q", i, op)
		}
		if i > 0 && n.BearerMay[i-1] >= op {
			return errors.New("nodeApi.bearerMay: must be sorted, each once")
		}
	}
	return nil
}

func onP256Compressed(b []byte) bool {
	x, _ := elliptic.UnmarshalCompressed(elliptic.P256(), b)
	return x != nil
}
