package attestation

import (
	"bytes"
	"errors"
	"slices"
)

// Relaxations say, one sentence each, which promises of an appliance with
// peers or a node API do not hold under this manifest.
func (m *Manifest) Relaxations() (out []string) {
	if n := m.NodeAPI; n != nil {
		for _, op := range n.BearerMay {
			out = append(out, "the manifest lets a bearer credential, which the host sees, ask alone for "+op)
		}
		if m.Flags.PlaintextExport {
			out = append(out, "the manifest lets MPC keys leave in plaintext, which the host sees")
		}
	}
	return out
}

// Succeeds reports why next may not follow prev, both operating manifests of
// one appliance. While there are no operators who could sign a change, only a
// local appliance has successors.
func (m *Manifest) Succeeds(prev *Manifest) error {
	same := func(name string, a, b []byte) error {
		if !bytes.Equal(a, b) {
			return refuse(ReasonManifest, "manifest: %s: differs from that of the manifest before", name)
		}
		return nil
	}
	switch {
	case m.Assurance != AssuranceLocal || prev.Assurance != AssuranceLocal:
		return refuse(ReasonManifest, "manifest: an unsigned change is not accepted on Nitro")
	case m.Version != prev.Version+1 || prev.Version < 1:
		return refuse(ReasonManifest, "manifest: version: must be %d", prev.Version+1)
	case m.Epoch != prev.Epoch:
		return refuse(ReasonManifest, "manifest: epoch: must stay %d", prev.Epoch)
	}
	return errors.Join(
		same("appliance", m.Appliance, prev.Appliance), same("quorumPublicKey", m.QuorumPublicKey, prev.QuorumPublicKey),
		same("checkpointPublicKey", m.CheckpointPublicKey, prev.CheckpointPublicKey), same("genesis", m.Genesis, prev.Genesis),
		m.keepsGroup(prev),
	)
}

// keepsGroup reports why a key group would not go on: its members have agreed on
// everything under one threshold, and others would start from nothing.
func (m *Manifest) keepsGroup(prev *Manifest) error {
	switch {
	case prev.KeyGroup == nil:
		return nil
	case m.KeyGroup == nil || *m.KeyGroup != *prev.KeyGroup:
		return refuse(ReasonManifest, "manifest: keyGroup: differs from that of the manifest before")
	}
	keys := func(m *Manifest) (out []string) {
		for _, p := range m.Peers {
			out = append(out, string(p.QuorumPublicKey))
		}
		slices.Sort(out)
		return out
	}
	if !slices.Equal(keys(m), keys(prev)) {
		return refuse(ReasonManifest, "manifest: peers: the members of a key group stay the same")
	}
	return nil
}
