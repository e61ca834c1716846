package attestation

import (
	"bytes"
	"errors"
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
	)
}
