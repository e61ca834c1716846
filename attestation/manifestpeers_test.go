package attestation_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/attestation"
)

func point(t *testing.T) []byte {
	t.Helper()
	k, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k.PublicKey().Bytes()
}

// grouped is an operating manifest on Nitro with two peers and a node API.
func grouped(t *testing.T) *attestation.Manifest {
	t.Helper()
	m := &attestation.Manifest{
		Name: "a", Version: 1, Assurance: "nitro", Measurements: []attestation.Measurements{image(0xab)},
		Flags: attestation.Flags{Unsigned: true}, KeyGroup: &attestation.KeyGroup{Threshold: 2},
		NodeAPI: &attestation.NodeAPI{
			AdminTokenSHA256: bytes.Repeat([]byte{3}, 32), AdminKeys: [][]byte{append([]byte{2}, point(t)[1:33]...)},
			BearerMay: []string{"create", "sign"}, Backup: true,
		},
		Appliance: bytes.Repeat([]byte{1}, 16), QuorumPublicKey: point(t), CheckpointPublicKey: point(t), Genesis: bytes.Repeat([]byte{2}, 32),
	}
	for _, name := range []string{"b", "c"} {
		m.Peers = append(m.Peers, attestation.Peer{Name: name, QuorumPublicKey: point(t), Measurements: []attestation.Measurements{image(0xcd)}})
	}
	return m
}

func TestManifestWithPeersIsReadAndWrittenIdentically(t *testing.T) {
	m := grouped(t)
	got, err := attestation.ParseManifest(m.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, got); diff != "" {
		t.Error(diff)
	}
	if n := len(got.Relaxations()); n != 2 {
		t.Errorf("%d relaxations", n)
	}
	if trust, err := got.Peers[0].Trust(); err != nil || trust.Assurance() != "nitro" {
		t.Errorf("%v, %v", trust, err)
	}
}

func TestPeersOutsideTheFormatAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*attestation.Manifest)
		want   string
	}{
		"no name":             {func(m *attestation.Manifest) { m.Peers[0].Name = "" }, "peers[0].name"},
		"no key":              {func(m *attestation.Manifest) { m.Peers[1].QuorumPublicKey = nil }, "peers[1].quorumPublicKey"},
		"own key":             {func(m *attestation.Manifest) { m.Peers[0].QuorumPublicKey = m.QuorumPublicKey }, "peers[0].quorumPublicKey"},
		"a key twice":         {func(m *attestation.Manifest) { m.Peers[1].QuorumPublicKey = m.Peers[0].QuorumPublicKey }, "peers[1].quorumPublicKey"},
		"no image":            {func(m *attestation.Manifest) { m.Peers[0].Measurements = nil }, "peers[0].measurements"},
		"debug image":         {func(m *attestation.Manifest) { m.Peers[0].Measurements[0].PCR0 = [48]byte{} }, "peers[0].measurements[0]"},
		"local root on Nitro": {func(m *attestation.Manifest) { m.Peers[0].AttestationRoot = []byte{1} }, "peers[0].attestationRoot"},
		"threshold 1":         {func(m *attestation.Manifest) { m.KeyGroup.Threshold = 1 }, "keyGroup.threshold"},
		"threshold too high":  {func(m *attestation.Manifest) { m.KeyGroup.Threshold = 4 }, "keyGroup.threshold"},
		"unknown operation":   {func(m *attestation.Manifest) { m.NodeAPI.BearerMay = []string{"everything"} }, "nodeApi.bearerMay[0]"},
		"unsorted":            {func(m *attestation.Manifest) { m.NodeAPI.BearerMay = []string{"sign", "create"} }, "nodeApi.bearerMay"},
		"admin off the curve": {func(m *attestation.Manifest) {
			m.NodeAPI.AdminKeys[0] = append([]byte{2}, bytes.Repeat([]byte{0xff}, 32)...)
		}, "nodeApi.adminKeys[0]"},
		"an admin twice": {func(m *attestation.Manifest) {
			m.NodeAPI.AdminKeys = append(m.NodeAPI.AdminKeys, m.NodeAPI.AdminKeys[0])
		}, "nodeApi.adminKeys[1]"},
		"short token hash":   {func(m *attestation.Manifest) { m.NodeAPI.AdminTokenSHA256 = []byte{1} }, "nodeApi.adminTokenSha256"},
		"an operation twice": {func(m *attestation.Manifest) { m.NodeAPI.BearerMay = []string{"sign", "sign"} }, "nodeApi.bearerMay"},
		"too many peers":     {func(m *attestation.Manifest) { m.Peers = make([]attestation.Peer, 16) }, "peers: at most 15"},
		"local peer image": {func(m *attestation.Manifest) {
			m.Peers[1].Measurements = []attestation.Measurements{attestation.LocalMeasurements()}
		}, "peers[1].measurements[0]"},
		"uncompressed admin": {func(m *attestation.Manifest) { m.NodeAPI.AdminKeys[0] = m.QuorumPublicKey }, "nodeApi.adminKeys[0]"},
	} {
		m := grouped(t)
		test.change(m)
		if err := m.Check(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

func TestOnlyALocalSuccessorIsAccepted(t *testing.T) {
	nitro := grouped(t)
	next := grouped(t)
	if err := next.Follows(nitro); err == nil || !strings.Contains(err.Error(), "Nitro") {
		t.Errorf("got %v", err)
	}
	prev := &attestation.Manifest{
		Name: "a", Version: 1, Assurance: "local", Appliance: bytes.Repeat([]byte{1}, 16), QuorumPublicKey: point(t),
		CheckpointPublicKey: point(t), Genesis: bytes.Repeat([]byte{2}, 32),
	}
	for name, test := range map[string]struct {
		change func(*attestation.Manifest)
		want   string
	}{
		"a successor":       {func(*attestation.Manifest) {}, ""},
		"the same version":  {func(m *attestation.Manifest) { m.Version = 1 }, "version"},
		"a version skipped": {func(m *attestation.Manifest) { m.Version = 3 }, "version"},
		"another epoch":     {func(m *attestation.Manifest) { m.Epoch = 1 }, "epoch"},
		"another key":       {func(m *attestation.Manifest) { m.QuorumPublicKey = point(t) }, "quorumPublicKey"},
		"another appliance": {func(m *attestation.Manifest) { m.Appliance = make([]byte, 16) }, "appliance"},
	} {
		m := *prev
		m.Version = 2
		test.change(&m)
		err := m.Follows(prev)
		if (test.want == "" && err != nil) || (test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want))) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

// What the members of a key group have agreed on has no meaning for others.
func TestKeyGroupStays(t *testing.T) {
	local := func() *attestation.Manifest {
		m := &attestation.Manifest{
			Name: "a", Version: 2, Assurance: "local", Measurements: []attestation.Measurements{attestation.LocalMeasurements()},
			Flags: attestation.Flags{Unsigned: true}, Appliance: bytes.Repeat([]byte{1}, 16), Genesis: bytes.Repeat([]byte{2}, 32),
			KeyGroup: &attestation.KeyGroup{Threshold: 2},
		}
		m.Peers = append(m.Peers, attestation.Peer{Name: "b", QuorumPublicKey: point(t)}, attestation.Peer{Name: "c", QuorumPublicKey: point(t)})
		return m
	}
	prev := local()
	for name, test := range map[string]struct {
		change func(*attestation.Manifest)
		want   string
	}{
		"the same":          {func(*attestation.Manifest) {}, ""},
		"another order":     {func(m *attestation.Manifest) { m.Peers[0], m.Peers[1] = m.Peers[1], m.Peers[0] }, ""},
		"another threshold": {func(m *attestation.Manifest) { m.KeyGroup = &attestation.KeyGroup{Threshold: 3} }, "keyGroup"},
		"none":              {func(m *attestation.Manifest) { m.KeyGroup = nil }, "keyGroup"},
		"a member less":     {func(m *attestation.Manifest) { m.Peers = m.Peers[:1] }, "members"},
		"another member":    {func(m *attestation.Manifest) { m.Peers[1].QuorumPublicKey = point(t) }, "members"},
	} {
		m := local()
		m.Version, m.Peers = 3, append([]attestation.Peer(nil), prev.Peers...)
		test.change(m)
		err := m.Follows(prev)
		if (test.want == "" && err != nil) || (test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want))) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
	prev.KeyGroup = nil
	if err := next(prev).Follows(prev); err != nil {
		t.Errorf("a first key group: %v", err)
	}
}

func next(prev *attestation.Manifest) *attestation.Manifest {
	m := *prev
	m.Version++
	m.KeyGroup = &attestation.KeyGroup{Threshold: 3}
	return &m
}
