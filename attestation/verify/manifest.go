package main

import (
	"bytes"
	"crypto/sha256"
	"strings"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/strictjson"
)

type manifestFields struct {
	Hash              strictjson.Hex        `json:"sha256"`
	Name              string                `json:"name"`
	Version           int64                 `json:"version"`
	Epoch             int64                 `json:"epoch"`
	Flags             attestation.Flags     `json:"flags"`
	Operators         []personFields        `json:"operators,omitempty"`
	OperatorThreshold int64                 `json:"operatorThreshold,omitempty"`
	Root              *rootFields           `json:"root,omitempty"`
	Peers             []peerFields          `json:"peers,omitempty"`
	KeyGroup          *attestation.KeyGroup `json:"keyGroup,omitempty"`
	NodeAPI           *nodeAPIFields        `json:"nodeApi,omitempty"`
}

// personFields are an operator or a holder.
type personFields struct {
	Name      string         `json:"name"`
	PublicKey strictjson.Hex `json:"publicKey"`
}

// rootFields say who gives the enclave its root.
type rootFields struct {
	Set       int64          `json:"set"`
	Threshold int64          `json:"threshold"`
	Holders   []personFields `json:"holders"`
	KMSKey    string         `json:"kmsKey,omitempty"`
}

// peerFields are another appliance that holds shares of the same keys.
type peerFields struct {
	Name            string                     `json:"name"`
	QuorumPublicKey strictjson.Hex             `json:"quorumPublicKey"`
	Measurements    []attestation.Measurements `json:"measurements"`
	AttestationRoot strictjson.Hex             `json:"attestationRootSha256,omitempty"`
}

type nodeAPIFields struct {
	AdminToken bool             `json:"adminToken"` // there is one
	AdminKeys  []strictjson.Hex `json:"adminKeys"`
	BearerMay  []string         `json:"bearerMay"`
	Backup     bool             `json:"backup"`
}

func describeManifest(m *attestation.Manifest, hash []byte) *manifestFields {
	f := &manifestFields{Hash: hash, Name: m.Name, Version: m.Version, Epoch: m.Epoch, Flags: m.Flags, KeyGroup: m.KeyGroup}
	f.OperatorThreshold = m.OperatorThreshold
	for _, o := range m.Operators {
		f.Operators = append(f.Operators, personFields{o.Name, o.PublicKey})
	}
	f.Root = describeRoot(m.Root)
	for _, p := range m.Peers {
		peer := peerFields{Name: p.Name, QuorumPublicKey: p.QuorumPublicKey, Measurements: p.Measurements}
		if len(p.AttestationRoot) > 0 {
			sum := sha256.Sum256(p.AttestationRoot)
			peer.AttestationRoot = sum[:]
		}
		f.Peers = append(f.Peers, peer)
	}
	if n := m.NodeAPI; n != nil {
		f.NodeAPI = &nodeAPIFields{
			AdminToken: len(n.AdminTokenSHA256) > 0, AdminKeys: []strictjson.Hex{}, BearerMay: append([]string{}, n.BearerMay...), Backup: n.Backup,
		}
		for _, k := range n.AdminKeys {
			f.NodeAPI.AdminKeys = append(f.NodeAPI.AdminKeys, k)
		}
	}
	return f
}

func describeRoot(r *attestation.RootPlan) *rootFields {
	if r == nil {
		return nil
	}
	f := &rootFields{Set: r.Set, Threshold: r.Threshold, Holders: []personFields{}}
	for _, h := range r.Holders {
		f.Holders = append(f.Holders, personFields{h.Name, h.PublicKey})
	}
	if r.KMS != nil {
		f.KMSKey = r.KMS.KeyID
	}
	return f
}

// addManifest shows a manifest and warns of every promise that it relaxes.
func (r *report) addManifest(m *attestation.Manifest, hash []byte) {
	r.Manifest = describeManifest(m, hash)
	for _, f := range []struct {
		set  bool
		text string
	}{
		{m.Version == 0, "genesis manifest: the appliance has no keys yet"},
		{m.Flags.Unsigned, "manifest flag unsigned: no operator has signed the manifest"},
		{m.Flags.OpenOrganizations, "manifest flag openOrganizations: anybody may create an organization"},
		{m.Flags.SingleCustodian, "manifest flag singleCustodian: one person alone, or the key management service alone, can give the enclave its root or change what runs"},
		{m.Flags.PlaintextExport, "manifest flag plaintextExport: keys may leave without being sealed"},
	} {
		if f.set {
			r.Warnings = append(r.Warnings, f.text)
		}
	}
	r.Warnings = append(r.Warnings, m.Relaxations()...)
}

func (m *manifestFields) text(b *bytes.Buffer) {
	b.WriteString("\nmanifest\n")
	line(b, "name", "%s", m.Name)
	line(b, "version", "%d, epoch %d", m.Version, m.Epoch)
	line(b, "sha256", "%s", m.Hash)
	if len(m.Operators) > 0 {
		line(b, "operators", "%d of %d sign", m.OperatorThreshold, len(m.Operators))
		people(b, m.Operators)
	}
	if r := m.Root; r != nil {
		line(b, "root", "set %d: %d of %d holders give it", r.Set, r.Threshold, len(r.Holders))
		people(b, r.Holders)
		if r.KMSKey != "" {
			line(b, "", "and the KMS key %s", r.KMSKey)
		}
	}
	if m.KeyGroup != nil {
		line(b, "key group", "%d of %d members sign", m.KeyGroup.Threshold, len(m.Peers)+1)
	}
	if m.NodeAPI != nil {
		m.NodeAPI.text(b)
	}
	for _, p := range m.Peers {
		p.text(b)
	}
}

func people(b *bytes.Buffer, list []personFields) {
	for _, p := range list {
		line(b, "", "%s %s", p.Name, p.PublicKey)
	}
}

func (n *nodeAPIFields) text(b *bytes.Buffer) {
	var admins []string
	if n.AdminToken {
		admins = append(admins, "whoever has the admin token")
	}
	for _, k := range n.AdminKeys {
		admins = append(admins, "the key "+k.String())
	}
	line(b, "node API", "admins: %s", orNone(admins))
	line(b, "", "a bearer credential alone may ask for: %s", orNone(n.BearerMay))
	if n.Backup {
		line(b, "", "shares may be backed up, sealed")
	}
}

func (p *peerFields) text(b *bytes.Buffer) {
	line(b, "peer", "%s", p.Name)
	line(b, "", "quorum key %s", p.QuorumPublicKey)
	for _, m := range p.Measurements {
		line(b, "", "image PCR0 %x", m.PCR0)
	}
	if len(p.AttestationRoot) > 0 {
		line(b, "", "attestation root, SHA-256 %s", p.AttestationRoot)
	}
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}
