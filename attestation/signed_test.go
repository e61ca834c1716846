package attestation_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/attestation"
)

// A council is operators, holders and a genesis manifest that names them.
type council struct {
	keys    []*ecdsa.PrivateKey
	genesis attestation.Manifest
}

func newCouncil(t *testing.T) *council {
	t.Helper()
	c := &council{genesis: attestation.Manifest{
		Name: "vault", Assurance: "local", Measurements: []attestation.Measurements{attestation.LocalMeasurements()},
		OperatorThreshold: 2, Root: &attestation.RootPlan{Set: 1, Threshold: 2},
	}}
	for i := range 3 {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := key.PublicKey.Bytes()
		c.keys = append(c.keys, key)
		name := string(rune('a' + i))
		c.genesis.Operators = append(c.genesis.Operators, attestation.Operator{Name: name, PublicKey: append([]byte{2 | b[64]&1}, b[1:33]...)})
		c.genesis.Root.Holders = append(c.genesis.Root.Holders, attestation.Holder{Name: name, PublicKey: point(t)})
	}
	return c
}

// operating is what genesis could have made of the genesis manifest.
func (c *council) operating(t *testing.T) *attestation.Manifest {
	m := c.genesis
	root := *m.Root
	root.Sharing = bytes.Repeat([]byte{3}, 32)
	m.Version, m.Root = 1, &root
	m.Appliance, m.Genesis, m.QuorumPublicKey, m.CheckpointPublicKey = make([]byte, 16), make([]byte, 32), point(t), point(t)
	return &m
}

func (c *council) sign(t *testing.T, m *attestation.Manifest, by ...int) *attestation.Signed {
	t.Helper()
	s := &attestation.Signed{Manifest: m.Encode()}
	for _, i := range by {
		if err := s.Sign(c.keys[i]); err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := attestation.ParseSigned(s.Encode())
	if err != nil || !bytes.Equal(parsed.Encode(), s.Encode()) {
		t.Fatalf("it does not come back: %v", err)
	}
	return parsed
}

func wantRefusal(t *testing.T, name string, err error, want string) {
	t.Helper()
	if (want == "" && err != nil) || (want != "" && (err == nil || !strings.Contains(err.Error(), want))) {
		t.Errorf("%s: got %v, want %q", name, err, want)
	}
}

func TestEnoughOperatorsSign(t *testing.T) {
	c, stranger := newCouncil(t), newCouncil(t)
	for name, test := range map[string]struct {
		by   []int
		spot func(*attestation.Signed)
		want string
	}{
		"two":               {[]int{0, 2}, nil, ""},
		"all, out of order": {[]int{2, 0, 1}, nil, ""},
		"one twice":         {[]int{1, 1}, nil, "1 operators have signed"},
		"none":              {nil, nil, "0 operators have signed"},
		"a stranger":        {[]int{0}, func(s *attestation.Signed) { _ = s.Sign(stranger.keys[0]) }, "1 operators have signed"},
		"a stranger beside": {[]int{0, 1}, func(s *attestation.Signed) { _ = s.Sign(stranger.keys[0]) }, ""},
		"a bad one beside":  {[]int{0, 1, 2}, func(s *attestation.Signed) { s.Signatures[0].Signature[9] ^= 1 }, "does not verify"},
		"of other bytes":    {[]int{0, 1}, func(s *attestation.Signed) { s.Manifest = c.operating(t).Encode() }, "does not verify"},
	} {
		s := c.sign(t, &c.genesis, test.by...)
		if test.spot != nil {
			test.spot(s)
		}
		_, err := s.Verify()
		wantRefusal(t, name, err, test.want)
	}
}

func TestSignedManifestsAreReadStrictly(t *testing.T) {
	c := newCouncil(t)
	good := string(c.sign(t, &c.genesis, 0, 1).Encode())
	for name, text := range map[string]string{
		"another format": strings.Replace(good, "signed-manifest-v1", "signed-manifest-v2", 1),
		"a member more":  strings.Replace(good, `{"format"`, `{"extra":1,"format"`, 1),
		"a member twice": strings.Replace(good, `{"format"`, `{"format":"sallyport-signed-manifest-v1","format"`, 1),
		"no list":        strings.Replace(good, `"signatures":[`, `"signatures":[[],`, 1),
		"too long":       good + strings.Repeat(" ", 100<<10),
		"nothing":        "",
	} {
		if _, err := attestation.ParseSigned([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	swapped := c.sign(t, &c.genesis, 0, 1)
	swapped.Signatures[0], swapped.Signatures[1] = swapped.Signatures[1], swapped.Signatures[0]
	_, err := attestation.ParseSigned(swapped.Encode())
	wantRefusal(t, "not sorted", err, "sorted")
	if _, err := attestation.ParseSigned([]byte(good + "\n")); err != nil { // as files end
		t.Errorf("with a newline: %v", err)
	}
	bare := c.genesis.Encode()
	if _, err := attestation.ParseSigned(append(bytes.Clone(bare), '\n')); err == nil {
		t.Error("a bare manifest has one spelling, without a newline")
	}
	if s, err := attestation.ParseSigned(bare); err != nil || len(s.Signatures) > 0 || !bytes.Equal(s.Manifest, bare) {
		t.Errorf("a bare manifest: %v", err)
	}
}

func TestOperatorsAndRootHaveRules(t *testing.T) {
	for name, test := range map[string]struct {
		change func(m *attestation.Manifest)
		want   string
	}{
		"as it is":             {func(*attestation.Manifest) {}, ""},
		"unsigned":             {func(m *attestation.Manifest) { m.Flags.Unsigned = true }, "flags.unsigned"},
		"no operators":         {func(m *attestation.Manifest) { m.Operators = nil }, "flags.unsigned"},
		"threshold 0":          {func(m *attestation.Manifest) { m.OperatorThreshold = 0 }, "operatorThreshold"},
		"threshold 4":          {func(m *attestation.Manifest) { m.OperatorThreshold = 4 }, "operatorThreshold"},
		"one operator decides": {func(m *attestation.Manifest) { m.OperatorThreshold = 1 }, "flags.singleCustodian"},
		"an operator twice":    {func(m *attestation.Manifest) { m.Operators[1].PublicKey = m.Operators[0].PublicKey }, "operators[1].publicKey"},
		"a name twice":         {func(m *attestation.Manifest) { m.Operators[1].Name = "a" }, "operators[1].name"},
		"a key of no curve":    {func(m *attestation.Manifest) { m.Operators[2].PublicKey = make([]byte, 33) }, "operators[2].publicKey"},
		"set 0":                {func(m *attestation.Manifest) { m.Root.Set = 0 }, "root.set"},
		"one holder decides":   {func(m *attestation.Manifest) { m.Root.Threshold = 1 }, "flags.singleCustodian"},
		"holders 0 of 3":       {func(m *attestation.Manifest) { m.Root.Threshold = 0 }, "root.threshold"},
		"nobody":               {func(m *attestation.Manifest) { m.Root.Holders, m.Root.Threshold = nil, 0 }, "root.holders"},
		"a holder twice":       {func(m *attestation.Manifest) { m.Root.Holders[2] = m.Root.Holders[0] }, "root.holders[2].name"},
		"a sharing before":     {func(m *attestation.Manifest) { m.Root.Sharing = make([]byte, 32) }, "root.sharing"},
		"a short sharing":      {func(m *attestation.Manifest) { *m = *newCouncil(t).operating(t); m.Root.Sharing = []byte{1} }, "root.sharing"},
		"an order":             {func(m *attestation.Manifest) { *m = *newCouncil(t).operating(t); m.Root.Sharing = nil }, ""},
		"kms without a key":    {func(m *attestation.Manifest) { m.Root.KMS = &attestation.KMSPlan{KeyID: "arn:x"} }, "root.kms.publicKey"},
		"kms without an arn":   {func(m *attestation.Manifest) { m.Root.KMS = &attestation.KMSPlan{KeyID: "alias/x"} }, "root.kms.keyId"},
		"nitro without a root": {func(m *attestation.Manifest) {
			m.Assurance, m.Measurements, m.Root = "nitro", []attestation.Measurements{{PCR0: [48]byte{1}, PCR1: [48]byte{1}, PCR2: [48]byte{1}}}, nil
		}, "root"},
	} {
		m := newCouncil(t).genesis
		test.change(&m)
		wantRefusal(t, name, m.Check(), test.want)
		if test.want == "" {
			if _, err := attestation.ParseManifest(m.Encode()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestSuccessorsAreSignedByThoseBefore(t *testing.T) {
	c, others := newCouncil(t), newCouncil(t)
	first := c.operating(t)
	if err := c.sign(t, first, 0, 1).Succeeds(&c.genesis); err != nil {
		t.Errorf("the first operating manifest: %v", err)
	}
	order, plan := *first, *first.Root
	plan.Sharing, order.Root = nil, &plan
	wantRefusal(t, "an order in place of the first", c.sign(t, &order, 0, 1).Succeeds(&c.genesis), "root")
	wantRefusal(t, "signed by one", c.sign(t, first, 0).Succeeds(&c.genesis), "signed")
	for name, test := range map[string]struct {
		change func(m *attestation.Manifest)
		want   string
	}{
		"a successor":      {func(*attestation.Manifest) {}, ""},
		"the same version": {func(m *attestation.Manifest) { m.Version = 1 }, "version"},
		"another root set": {func(m *attestation.Manifest) { m.Root.Set, m.Root.Sharing = 2, make([]byte, 32) }, ""},
		"two sets further": {func(m *attestation.Manifest) { m.Root.Set = 3 }, "root.set"},
		"other holders":    {func(m *attestation.Manifest) { m.Root.Holders = others.genesis.Root.Holders }, "sharing"},
		"new shares of it": {func(m *attestation.Manifest) {
			m.Root.Holders, m.Root.Sharing = others.genesis.Root.Holders, make([]byte, 32)
		}, ""},
		"other identity": {func(m *attestation.Manifest) { m.QuorumPublicKey = point(t) }, "quorumPublicKey"},
		"operators leave": {func(m *attestation.Manifest) {
			m.Operators, m.OperatorThreshold, m.Flags.Unsigned, m.Root = nil, 0, true, nil
		}, "operators"},
		"other operators":     {func(m *attestation.Manifest) { m.Operators = others.genesis.Operators }, "0 operators have signed"},
		"no root any more":    {func(m *attestation.Manifest) { m.Root = nil }, "root"},
		"a lower threshold":   {func(m *attestation.Manifest) { m.OperatorThreshold, m.Flags.SingleCustodian = 1, true }, ""},
		"another measurement": {func(m *attestation.Manifest) { m.Assurance = "nitro" }, "measurements"},
	} {
		m := *first
		root := *m.Root
		m.Version, m.Root = 2, &root
		test.change(&m)
		wantRefusal(t, name, c.sign(t, &m, 0, 1).Succeeds(first), test.want)
	}
	// Who comes new signs too, beside those who were there.
	m := *first
	m.Version, m.Operators = 2, others.genesis.Operators
	s := c.sign(t, &m, 0, 1)
	for _, k := range others.keys[:2] {
		if err := s.Sign(k); err != nil {
			t.Fatal(err)
		}
	}
	wantRefusal(t, "handed on", s.Succeeds(first), "")
}

func FuzzParseSigned(f *testing.F) {
	f.Add([]byte(`{"format":"sallyport-signed-manifest-v1","manifest":"e30=","signatures":[]}`))
	f.Add([]byte(`{"format":"sallyport-manifest-v1"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := attestation.ParseSigned(b)
		if err != nil {
			return
		}
		again, err := attestation.ParseSigned(s.Encode())
		if err != nil || !bytes.Equal(again.Manifest, s.Manifest) || len(again.Signatures) != len(s.Signatures) {
			t.Errorf("it does not come back: %v", err)
		}
		_, _ = s.Verify()
	})
}
