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

// Succeeds reports why this manifest may not follow prev in one appliance, and
// verifies the signatures of prev's operators. What only the enclave can know, such
// as that the genesis outcome and the sharing are its own, is not judged here.
func (s *Signed) Succeeds(prev *Manifest) error {
	m, err := s.Verify()
	if err != nil {
		return err
	}
	if err := s.VerifyBy(prev.Operators, prev.OperatorThreshold); err != nil {
		return err
	}
	return m.Follows(prev)
}

// Follows is Succeeds without the signatures.
func (m *Manifest) Follows(prev *Manifest) error {
	switch {
	case m.Assurance != prev.Assurance:
		return refuse(ReasonManifest, "manifest: assurance: must stay %s", prev.Assurance)
	case m.Assurance == AssuranceNitro && len(prev.Operators) == 0:
		return refuse(ReasonManifest, "manifest: an unsigned change is not accepted on Nitro")
	case len(prev.Operators) > 0 && len(m.Operators) == 0:
		return refuse(ReasonManifest, "manifest: operators: must not all leave")
	case m.Version != prev.Version+1:
		return refuse(ReasonManifest, "manifest: version: must be %d", prev.Version+1)
	case m.Epoch != prev.Epoch:
		return refuse(ReasonManifest, "manifest: epoch: must stay %d", prev.Epoch)
	}
	if prev.Version == 0 {
		return m.followsGenesis(prev)
	}
	return errors.Join(m.keepsIdentity(prev), m.keepsGroup(prev), m.Root.follows(prev.Root))
}

// followsGenesis: the first operating manifest has what genesis was asked for.
func (m *Manifest) followsGenesis(prev *Manifest) error {
	if m.Root == nil || prev.Root == nil || m.IsOrder() || m.Root.Set != prev.Root.Set || !m.Root.sameHands(prev.Root) {
		return refuse(ReasonManifest, "manifest: root: must be as in the genesis manifest, with a sharing")
	}
	return nil
}

func (m *Manifest) keepsIdentity(prev *Manifest) error {
	for _, f := range []struct {
		name      string
		now, then []byte
	}{
		{"appliance", m.Appliance, prev.Appliance},
		{"quorumPublicKey", m.QuorumPublicKey, prev.QuorumPublicKey},
		{"checkpointPublicKey", m.CheckpointPublicKey, prev.CheckpointPublicKey},
		{"genesis", m.Genesis, prev.Genesis},
	} {
		if !bytes.Equal(f.now, f.then) {
			return refuse(ReasonManifest, "manifest: %s: differs from that of the manifest before", f.name)
		}
	}
	return nil
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
