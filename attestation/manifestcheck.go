package attestation

import (
	"errors"
	"fmt"
)

func (m *Manifest) check() error {
	switch {
	case m.Name == "" || len(m.Name) > maxName || !printable(m.Name):
		return fmt.Errorf("name: must be 1 to %d printable ASCII characters", maxName)
	case m.Version < 0:
		return errors.New("version: must not be negative")
	case m.Epoch < 0:
		return errors.New("epoch: must not be negative")
	}
	if err := m.checkOperators(); err != nil {
		return err
	}
	if err := m.checkMeasurements(); err != nil {
		return err
	}
	if err := m.checkPeers(); err != nil {
		return err
	}
	if err := m.checkRoot(); err != nil {
		return err
	}
	return m.checkIdentity()
}

func (m *Manifest) checkMeasurements() error {
	if m.Assurance != AssuranceNitro && m.Assurance != AssuranceLocal {
		return fmt.Errorf("assurance: must be %s or %s", AssuranceNitro, AssuranceLocal)
	}
	if len(m.Measurements) == 0 {
		return errors.New("measurements: must not be empty")
	}
	if m.Assurance == AssuranceLocal {
		if len(m.Measurements) != 1 || m.Measurements[0] != LocalMeasurements() {
			return errors.New("measurements: must be exactly the markers of the local platform when assurance is local")
		}
		return nil
	}
	for i, t := range m.Measurements {
		if t.anyLocal() {
			return fmt.Errorf("measurements[%d]: is a marker of the local platform, but assurance is nitro", i)
		}
		if t.anyZero() {
			return fmt.Errorf("measurements[%d]: has an all-zero register, which is a debug-mode enclave", i)
		}
	}
	return nil
}

func (m *Manifest) checkIdentity() error {
	for _, f := range []struct {
		name  string
		value []byte
		size  int
		key   bool
	}{
		{"appliance", m.Appliance, ApplianceSize, false},
		{"quorumPublicKey", m.QuorumPublicKey, pointSize, true},
		{"checkpointPublicKey", m.CheckpointPublicKey, pointSize, true},
		{"genesis", m.Genesis, GenesisSize, false},
	} {
		switch {
		case m.Version == 0 && len(f.value) != 0:
			return fmt.Errorf("%s: must be empty in a genesis manifest", f.name)
		case m.Version > 0 && len(f.value) != f.size:
			return fmt.Errorf("%s: must be %d bytes in an operating manifest", f.name, f.size)
		case m.Version > 0 && f.key && !onP256(f.value):
			return fmt.Errorf("%s: must be an uncompressed point on the curve P-256", f.name)
		}
	}
	return nil
}
