package main

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation"
	at "github.com/sallyport/sallyport/attestation/attestationtest"
)

// attestationRows are block E, against sallyport-verify as a process. The
// attacker holds a root that the verifier is told to trust, and so can have
// anything signed: what is refused here is refused for its form or content.
var attestationRows = []row{
	{id: "E0", what: "an honest document is verified, so that a refusal means something", run: honestDocument},
	{id: "E1", what: "root of the same name with another key", run: namesake},
	{id: "E1b", what: "own root put first into the bundle", run: ownRoot},
	{id: "E2", what: "leaf expired", run: document(certificate, at.Leaf(func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(time.Second) }))},
	{id: "E2b", what: "leaf not yet valid", run: document(certificate, at.Leaf(func(c *x509.Certificate) { c.NotBefore = c.NotBefore.Add(time.Hour) }))},
	{id: "E2c", what: "intermediate expired", run: document(certificate, at.Intermediate(func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(time.Hour) }))},
	{id: "E2d", what: "bundle in reverse order", run: document([]string{attestation.ReasonUntrustedRoot}, at.Bundle(func(b [][]byte) [][]byte { slices.Reverse(b); return b }))},
	{id: "E2e", what: "intermediate missing, given twice", run: bundles},
	{id: "E2f", what: "bundle of 12 certificates, of none", run: bundleSizes},
	{id: "E3", what: "leaf that is a CA", run: document(certificate, at.Leaf(func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }))},
	{id: "E3b", what: "leaf whose key usage does not allow signatures", run: document(certificate, at.Leaf(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }))},
	{id: "E3c", what: "intermediate that is no CA", run: document(certificate, at.Intermediate(func(c *x509.Certificate) { c.IsCA, c.MaxPathLen, c.MaxPathLenZero = false, 0, false }))},
	{id: "E3d", what: "one CA more than a path length allows", run: longChain},
	{id: "E3e", what: "leaf on P-521, on P-256", run: leafCurves},
	{id: "E4", what: "PCR0, 1 or 2 of another image", run: wrongPCRs},
	{id: "E4b", what: "register missing, of 32 bytes, of 64", run: pcrForms},
	{id: "E4c", what: "registers 16, 17, 18 that commit to something else", run: commitments},
	{id: "E5", what: "PCR0 to 2 all zero: a debug enclave", run: debugEnclave},
	{id: "E6", what: "nonce missing, wrong, shorter, of another session", run: documentNonces},
	{id: "E7", what: "document of an hour ago with its own nonce", run: oldDocument},
	{id: "E8", what: "algorithm ES256, ES512, none, twice, or in the unprotected header", run: algorithms},
	{id: "E9", what: "COSE tag 17, 61, tag in a tag", run: tags},
	{id: "E10", what: "signature of 95 and 97 bytes, DER, r = 0, s = 0, empty", run: signatures},
	{id: "E11", what: "document cut at every 64th byte", run: cutDocument},
	{id: "E12", what: "member twice, unknown, long integer, bytes behind, text for bytes", run: payloads},
	{id: "E12b", what: "array of 2^32 elements claimed, 100,000 nested", run: bombs},
	{id: "E13", what: "document of more than 16 KiB, user data of 513 bytes, register 32, 255", run: limits},
	{id: "E14", what: "digest SHA256, sha384, none", run: digests},
	{id: "E15", what: "public key missing, one key only, off the curve, a byte more", run: publicKeys},
	{id: "E16", what: "document bound to another manifest", run: otherManifest},
	{id: "E17", what: "local document given to a verifier that trusts AWS", run: localAtAWS},
	{id: "E17b", what: "local root and AWS measurements together; the marker values as measurements", run: mixedTrust},
	{id: "E18", what: "payload re-encoded with the same meaning", run: reencoded},
	{id: "E20", what: "module id empty, timestamp 0, timestamp missing", run: emptyFields},
	{id: "E21", what: "boot document where a challenge is expected, and the reverse", run: otherKind},
	{id: "E22", what: "the running appliance's own document with each 64th byte changed", run: changedDocument},
}

// quietTB lets the maker of documents, which is for tests, report to a row.
type quietTB struct{ testing.TB }

func (quietTB) Helper()                        {}
func (quietTB) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }

// forge is a root that verifiers are told to trust, and what its documents say.
type forge struct {
	pki      *at.PKI
	keys     []byte
	manifest []byte
	rootFile string
}

var theForge *forge

// forge makes the root once.
func (w *world) forge() *forge {
	if theForge != nil {
		return theForge
	}
	pki := at.New(quietTB{})
	f := &forge{pki: pki, keys: pki.BootKeys(), manifest: w.manifest, rootFile: filepath.Join(w.dir, "forged-root.pem")}
	if err := writePEM(f.rootFile, pki.Root); err != nil {
		panic(err.Error())
	}
	theForge = f
	return f
}

func writePEM(path string, c *x509.Certificate) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}), 0o600)
}

func (f *forge) boot() at.Payload { return at.Boot(f.keys, attestation.Hash(f.manifest)) }

// A verdict is the JSON of sallyport-verify.
type verdict struct {
	Verified bool   `json:"verified"`
	Reason   string `json:"reason"`
	Cause    string `json:"cause"`
	Message  string `json:"message"`
	exit     int
}

func (v verdict) String() string {
	if v.Cause != "" {
		return fmt.Sprintf("%s: %s: %s", v.Reason, v.Cause, v.Message)
	}
	return fmt.Sprintf("%s: %s", v.Reason, v.Message)
}

var inputs int

// verify runs sallyport-verify on some bytes.
func (w *world) verify(command string, input []byte, flags ...string) (*verdict, error) {
	inputs++
	file := filepath.Join(w.dir, fmt.Sprintf("input-%d", inputs))
	if err := os.WriteFile(file, input, 0o600); err != nil {
		return nil, err
	}
	defer os.Remove(file)
	cmd := exec.Command(filepath.Join(w.bin, "sallyport-verify"), append([]string{"--json", command, file}, flags...)...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, err
	}
	v := &verdict{exit: cmd.ProcessState.ExitCode()}
	if err := json.Unmarshal(out, v); err != nil {
		return nil, fmt.Errorf("sallyport-verify: %q, exit %d: %w", out, v.exit, err)
	}
	if v.Verified != (v.exit == 0) {
		return nil, fmt.Errorf("sallyport-verify says %v with exit status %d", v.Verified, v.exit)
	}
	return v, nil
}

// refusedBy wants exit status 1 and one of some reasons.
func (v *verdict) refusedBy(reasons ...string) (string, error) {
	if v.exit == 1 && (slices.Contains(reasons, v.Reason) || len(reasons) == 0 || slices.Contains(reasons, v.Cause)) {
		return v.String(), nil
	}
	if v.Verified {
		return "", errors.New("it was VERIFIED")
	}
	return "", fmt.Errorf("want %v, got exit %d, %s", reasons, v.exit, v)
}

// archived verifies a boot document under the forge's root.
func (w *world) archived(doc []byte) (*verdict, error) {
	f := w.forge()
	return w.verify("document", doc, "--kind", "boot", "--local-root", f.rootFile, "--manifest", filepath.Join(w.dir, "main", "manifest.json"))
}

// challenged verifies a challenge document for a nonce.
func (w *world) challenged(doc, nonce []byte) (*verdict, error) {
	f := w.forge()
	return w.verify("document", doc, "--kind", "challenge", "--nonce", hex.EncodeToString(nonce),
		"--local-root", f.rootFile, "--manifest", filepath.Join(w.dir, "main", "manifest.json"))
}

// Reasons that a refusal may have.
var (
	certificate = []string{attestation.ReasonCertificate, attestation.ReasonExpired, attestation.ReasonSignature}
	malformed   = []string{attestation.ReasonMalformed}
	kind        = []string{attestation.ReasonKind, attestation.ReasonMalformed}
	measured    = []string{attestation.ReasonMeasurements, attestation.ReasonMalformed}
)

// document is a row with one forged boot document.
func document(reasons []string, options ...at.Option) func(*world) (string, error) {
	return func(w *world) (string, error) { return w.forged(reasons, func(*at.Payload) {}, options...) }
}

func (w *world) forged(reasons []string, change func(*at.Payload), options ...at.Option) (string, error) {
	f := w.forge()
	p := f.boot()
	change(&p)
	v, err := w.archived(f.pki.Sign(p, options...))
	if err != nil {
		return "", err
	}
	return v.refusedBy(reasons...)
}

func honestDocument(w *world) (string, error) {
	f := w.forge()
	v, err := w.archived(f.pki.Sign(f.boot()))
	if err != nil || !v.Verified {
		return "", fmt.Errorf("a document of the forge: %+v, %w", v, err)
	}
	s, err := w.status()
	if err != nil {
		return "", err
	}
	v, err = w.verify("document", s.AttestationDocument, "--kind", "boot", "--local-root", w.root, "--manifest", filepath.Join(w.dir, "main", "manifest.json"))
	if err != nil || !v.Verified {
		return "", fmt.Errorf("the appliance's document: %+v, %w", v, err)
	}
	return "verified", nil
}

func namesake(w *world) (string, error) {
	f := w.forge()
	other := at.New(quietTB{}) // the same names, other keys
	v, err := w.archived(other.Sign(f.boot()))
	if err != nil {
		return "", err
	}
	return v.refusedBy(attestation.ReasonUntrustedRoot)
}

// ownRoot replaces only the first certificate of the bundle by the trusted one.
func ownRoot(w *world) (string, error) {
	f := w.forge()
	other := at.New(quietTB{})
	v, err := w.archived(other.Sign(f.boot(), at.Bundle(func(b [][]byte) [][]byte { return [][]byte{f.pki.Root.Raw, b[1]} })))
	if err != nil {
		return "", err
	}
	return v.refusedBy(certificate...)
}

func bundles(w *world) (string, error) {
	return each([]func([][]byte) [][]byte{
		func(b [][]byte) [][]byte { return b[:1] },
		func(b [][]byte) [][]byte { return [][]byte{b[0], b[1], b[1]} },
		func(b [][]byte) [][]byte { return [][]byte{b[0], b[0], b[1]} },
	}, func(edit func([][]byte) [][]byte) (string, error) {
		return w.forged(certificate, func(*at.Payload) {}, at.Bundle(edit))
	})
}

func bundleSizes(w *world) (string, error) {
	return each([]func([][]byte) [][]byte{
		func(b [][]byte) [][]byte { return append([][]byte{b[0]}, slices.Repeat([][]byte{b[1]}, 11)...) },
		func([][]byte) [][]byte { return nil },
		func(b [][]byte) [][]byte { return [][]byte{b[0], {}} },
		func(b [][]byte) [][]byte { return [][]byte{b[0], bytes.Repeat([]byte{0x30}, 1025)} },
	}, func(edit func([][]byte) [][]byte) (string, error) {
		return w.forged(append(malformed, certificate...), func(*at.Payload) {}, at.Bundle(edit))
	})
}

func longChain(w *world) (string, error) {
	f := w.forge()
	doc, _ := f.pki.LongChain(f.boot())
	v, err := w.archived(doc)
	if err != nil {
		return "", err
	}
	return v.refusedBy(certificate...)
}

func leafCurves(w *world) (string, error) {
	return each([]elliptic.Curve{elliptic.P521(), elliptic.P256(), elliptic.P224()}, func(c elliptic.Curve) (string, error) {
		return w.forged(append(malformed, certificate...), func(*at.Payload) {}, at.LeafCurve(c))
	})
}

func wrongPCRs(w *world) (string, error) {
	return each([]int{0, 1, 2}, func(i int) (string, error) {
		return w.forged(measured, func(p *at.Payload) { p.PCRs[i] = bytes.Repeat([]byte{7}, 48) })
	})
}

func pcrForms(w *world) (string, error) {
	return each([]func(map[int][]byte){
		func(m map[int][]byte) { delete(m, 0) }, func(m map[int][]byte) { delete(m, 2) }, func(m map[int][]byte) { delete(m, 31) },
		func(m map[int][]byte) { m[0] = m[0][:32] }, func(m map[int][]byte) { m[0] = append(m[0], make([]byte, 16)...) },
		func(m map[int][]byte) { m[5] = nil }, clearAll,
	}, func(change func(map[int][]byte)) (string, error) {
		return w.forged(measured, func(p *at.Payload) { change(p.PCRs) })
	})
}

func clearAll(m map[int][]byte) { clear(m) }

func commitments(w *world) (string, error) {
	return each([]int{attestation.PCRBootKey, attestation.PCRLive, attestation.PCRManifest}, func(i int) (string, error) {
		return w.forged(measured, func(p *at.Payload) { p.PCRs[i] = attestation.ExtendPCR(nil, []byte("other")) })
	})
}

func debugEnclave(w *world) (string, error) {
	return w.forged([]string{attestation.ReasonDebugEnclave}, func(p *at.Payload) {
		for i := range 3 {
			p.PCRs[i] = make([]byte, 48)
		}
	})
}

func documentNonces(w *world) (string, error) {
	f := w.forge()
	nonce := bytes.Repeat([]byte{9}, 32)
	root, _ := attestation.ChallengeTree([][]byte{nonce})
	good := f.pki.Sign(at.Challenge(f.keys, attestation.Hash(f.manifest), root))
	if v, err := w.challenged(good, nonce); err != nil || !v.Verified {
		return "", fmt.Errorf("the honest one: %+v, %w", v, err)
	}
	if v, err := w.challenged(good, flipped(nonce, 31)); err != nil || v.exit != 1 {
		return "", fmt.Errorf("another session's: %+v, %w", v, err)
	}
	if v, err := w.challenged(good, nonce[:16]); err != nil || v.exit != 1 {
		return "", fmt.Errorf("the first half: %+v, %w", v, err)
	}
	return each([][]byte{nil, {}, root[:16], root[:31], append(bytes.Clone(root), 0), flipped(root, 0)}, func(n []byte) (string, error) {
		v, err := w.challenged(f.pki.Sign(at.Challenge(f.keys, attestation.Hash(f.manifest), n)), nonce)
		if err != nil {
			return "", err
		}
		return v.refusedBy(attestation.ReasonNonce, attestation.ReasonKind)
	})
}

func oldDocument(w *world) (string, error) {
	f := w.forge()
	nonce := bytes.Repeat([]byte{8}, 32)
	root, _ := attestation.ChallengeTree([][]byte{nonce})
	return each([]time.Duration{-time.Hour, -6 * time.Minute, 6 * time.Minute}, func(d time.Duration) (string, error) {
		p := at.Challenge(f.keys, attestation.Hash(f.manifest), root)
		p.Timestamp = f.pki.Now.Add(d)
		doc := f.pki.Sign(p, at.Leaf(func(c *x509.Certificate) { c.NotBefore = c.NotBefore.Add(-2 * time.Hour) }))
		v, err := w.challenged(doc, nonce)
		if err != nil {
			return "", err
		}
		return v.refusedBy(attestation.ReasonStale)
	})
}

func algorithms(w *world) (string, error) {
	es384 := []byte{0xa1, 0x01, 0x38, 0x22}
	return each([]at.Option{
		at.Protected([]byte{0xa1, 0x01, 0x26}),                         // ES256
		at.Protected([]byte{0xa1, 0x01, 0x38, 0x23}),                   // ES512
		at.Protected([]byte{0xa0}),                                     // none
		at.Protected(nil),                                              // not even a map
		at.Protected([]byte{0xa2, 0x01, 0x38, 0x22, 0x01, 0x38, 0x22}), // twice
		at.Protected([]byte{0xa1, 0x01, 0x39, 0x00, 0x22}),             // not in its shortest form
		at.Protected([]byte{0xbf, 0x01, 0x38, 0x22, 0xff}),             // indefinite
		at.Protected([]byte{0xa1, 0x01, 0x65, 'E', 'S', '3', '8', '4'}),
		at.Unprotected(es384),
		at.Unprotected([]byte{0xa1, 0x04, 0x41, 0x31}), // a key id
	}, func(o at.Option) (string, error) { return w.forged(malformed, func(*at.Payload) {}, o) })
}

func tags(w *world) (string, error) {
	f := w.forge()
	if v, err := w.archived(f.pki.Sign(f.boot(), at.Prefix(0xd2))); err != nil || !v.Verified {
		return "", fmt.Errorf("tag 18: %+v, %w", v, err)
	}
	return each([][]byte{{0xd1}, {0xd8, 61}, {0xd2, 0xd2}, {0xd8, 18}, {0xd9, 0xd9, 0xf7}}, func(b []byte) (string, error) {
		return w.forged(malformed, func(*at.Payload) {}, at.Prefix(b...))
	})
}

func signatures(w *world) (string, error) {
	order := elliptic.P384().Params().N
	return each([]func([]byte) []byte{
		func(b []byte) []byte { return b[:95] }, func(b []byte) []byte { return append(b, 0) }, func([]byte) []byte { return nil },
		func(b []byte) []byte { return append(make([]byte, 48), b[48:]...) }, func(b []byte) []byte { return append(b[:48:48], make([]byte, 48)...) },
		func([]byte) []byte { return make([]byte, 96) }, func(b []byte) []byte { return append(b[48:96:96], b[:48]...) },
		func(b []byte) []byte { return flipped(b, 95) },
		func(b []byte) []byte { // s of n
			return append(b[:48:48], order.FillBytes(make([]byte, 48))...)
		},
		func(b []byte) []byte { // DER
			der := append([]byte{0x30, 0x64, 0x02, 0x30}, b[:48]...)
			return append(append(der, 0x02, 0x30), b[48:]...)
		},
	}, func(edit func([]byte) []byte) (string, error) {
		return w.forged([]string{attestation.ReasonSignature, attestation.ReasonMalformed}, func(*at.Payload) {}, at.Signature(edit))
	})
}

// inProcess verifies without a process, where there are many.
func (w *world) inProcess(doc []byte) error {
	f := w.forge()
	_, err := attestation.VerifyArchived(doc, f.pki.Trust(), attestation.Expect{Kind: attestation.KindBoot, ManifestHash: attestation.Hash(f.manifest)})
	return err
}

func cutDocument(w *world) (string, error) {
	f := w.forge()
	doc := f.pki.Sign(f.boot())
	for n := 0; n < len(doc); n += 64 {
		if w.inProcess(doc[:n]) == nil {
			return "", fmt.Errorf("%d of %d bytes were verified", n, len(doc))
		}
	}
	v, err := w.archived(doc[:len(doc)-1])
	if err != nil {
		return "", err
	}
	return v.refusedBy(malformed...)
}

func payloads(w *world) (string, error) {
	return each([]at.Option{
		at.ExtraMember("digest", at.Text("SHA384")), at.ExtraMember("user_data", at.Null), at.ExtraMember("extra", at.Uint(1)),
		at.ExtraMember("Nonce", at.Null), at.Member("timestamp", []byte{0x3b, 0, 0, 0, 0, 0, 0, 0, 1}), at.Member("timestamp", at.Text("1")),
		at.Member("module_id", at.Bytes([]byte("i-0"))), at.Member("user_data", at.Text("text")), at.Member("pcrs", at.Text("x")),
		at.RawPayload(func(b []byte) []byte { return append(b, 0) }), at.RawPayload(func([]byte) []byte { return nil }),
		at.RawPayload(func([]byte) []byte { return []byte{0x80} }), at.WithoutMember("cabundle"), at.WithoutMember("certificate"), at.WithoutMember("pcrs"),
	}, func(o at.Option) (string, error) {
		return w.forged(append(malformed, "kind"), func(*at.Payload) {}, o)
	})
}

func bombs(w *world) (string, error) {
	return each([][]byte{
		{0x9a, 0xff, 0xff, 0xff, 0xff},
		{0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		{0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		bytes.Repeat([]byte{0x81}, 100_000), bytes.Repeat([]byte{0x9f}, 16_000), bytes.Repeat([]byte{0xd2}, 16_000),
		{},
		{0xff},
		{0x84},
		{0xf6},
	}, func(b []byte) (string, error) {
		v, err := w.archived(b)
		if err != nil {
			return "", err
		}
		return v.refusedBy(malformed...)
	})
}

func limits(w *world) (string, error) {
	if seen, err := w.forged(malformed, func(p *at.Payload) { p.UserData = make([]byte, 513) }); err != nil {
		return seen, err
	}
	if seen, err := w.forged(malformed, func(*at.Payload) {}, at.Bundle(func(b [][]byte) [][]byte {
		return append(b, bytes.Repeat([]byte{1}, 16<<10))
	})); err != nil {
		return seen, err
	}
	return each([]int{32, 255}, func(i int) (string, error) {
		return w.forged(malformed, func(p *at.Payload) { p.PCRs[i] = make([]byte, 48) })
	})
}

func digests(w *world) (string, error) {
	return each([]at.Option{
		at.Member("digest", at.Text("SHA256")), at.Member("digest", at.Text("sha384")), at.Member("digest", at.Text("")), at.WithoutMember("digest"),
	}, func(o at.Option) (string, error) { return w.forged(malformed, func(*at.Payload) {}, o) })
}

func publicKeys(w *world) (string, error) {
	f := w.forge()
	return each([][]byte{
		nil, {}, f.keys[:65], f.keys[:129], append(bytes.Clone(f.keys), 0), flipped(f.keys, 64), flipped(f.keys, 129), make([]byte, 130), flipped(f.keys, 0),
	}, func(key []byte) (string, error) {
		return w.forged(kind, func(p *at.Payload) { p.PublicKey = key })
	})
}

func otherManifest(w *world) (string, error) {
	f := w.forge()
	v, err := w.archived(f.pki.Sign(at.Boot(f.keys, at.ManifestHash("another"))))
	if err != nil {
		return "", err
	}
	return v.refusedBy(attestation.ReasonManifest)
}

// awsMeasurements writes a list that no image has.
func (w *world) awsMeasurements(value string) (string, error) {
	file := filepath.Join(w.dir, "measurements.json")
	return file, os.WriteFile(file, toJSON([]object{{"pcr0": value, "pcr1": value, "pcr2": value}}), 0o600)
}

func localAtAWS(w *world) (string, error) {
	s, err := w.status()
	if err != nil {
		return "", err
	}
	file, err := w.awsMeasurements(hex.EncodeToString(bytes.Repeat([]byte{1}, 48)))
	if err != nil {
		return "", err
	}
	v, err := w.verify("document", s.AttestationDocument, "--kind", "boot", "--measurements", file, "--manifest", filepath.Join(w.dir, "main", "manifest.json"))
	if err != nil {
		return "", err
	}
	return v.refusedBy(attestation.ReasonLocalDocument)
}

func mixedTrust(w *world) (string, error) {
	s, err := w.status()
	if err != nil {
		return "", err
	}
	m := attestation.LocalMeasurements()
	marker := filepath.Join(w.dir, "marker.json")
	err = os.WriteFile(marker, toJSON([]object{{"pcr0": hex.EncodeToString(m.PCR0[:]), "pcr1": hex.EncodeToString(m.PCR1[:]), "pcr2": hex.EncodeToString(m.PCR2[:])}}), 0o600)
	if err != nil {
		return "", err
	}
	zero := filepath.Join(w.dir, "zero.json")
	none := hex.EncodeToString(make([]byte, 48))
	if err := os.WriteFile(zero, toJSON([]object{{"pcr0": none, "pcr1": none, "pcr2": none}}), 0o600); err != nil {
		return "", err
	}
	return each([][]string{{"--local-root", w.root, "--measurements", marker}, {"--measurements", marker}, {"--measurements", zero}}, func(flags []string) (string, error) {
		v, err := w.verify("document", s.AttestationDocument, append(flags, "--kind", "boot", "--manifest", filepath.Join(w.dir, "main", "manifest.json"))...)
		if err != nil {
			return "", err
		}
		if v.exit == 0 {
			return "", errors.New("it was VERIFIED")
		}
		return v.String(), nil
	})
}

// reencoded gives the payload of definite length in place of the one that was
// signed.
func reencoded(w *world) (string, error) {
	f := w.forge()
	doc := f.pki.Sign(f.boot(), at.Definite())
	// The payload's map head becomes one of a length in two bytes.
	i := bytes.Index(doc, append([]byte{0xa9}, at.Text("module_id")...))
	if i < 5 {
		return "", errors.New("the payload was not found")
	}
	size := int(doc[i-2])<<8 | int(doc[i-1])
	longer := append(append(append([]byte{}, doc[:i-2]...), byte((size+1)>>8), byte(size+1)), 0xb8, 9)
	longer = append(longer, doc[i+1:]...)
	v, err := w.archived(longer)
	if err != nil {
		return "", err
	}
	return v.refusedBy(attestation.ReasonSignature, attestation.ReasonMalformed)
}

func emptyFields(w *world) (string, error) {
	return each([]at.Option{
		at.Member("module_id", at.Text("")), at.Member("timestamp", at.Uint(0)), at.WithoutMember("timestamp"), at.WithoutMember("module_id"),
		at.Member("timestamp", at.Uint(1<<63)), at.Member("timestamp", at.Uint(1<<64-1)),
	}, func(o at.Option) (string, error) {
		return w.forged(append(malformed, certificate...), func(*at.Payload) {}, o)
	})
}

func otherKind(w *world) (string, error) {
	f := w.forge()
	nonce := bytes.Repeat([]byte{5}, 32)
	root, _ := attestation.ChallengeTree([][]byte{nonce})
	v, err := w.archived(f.pki.Sign(at.Challenge(f.keys, attestation.Hash(f.manifest), root)))
	if err != nil {
		return "", err
	}
	if _, err := v.refusedBy(attestation.ReasonKind); err != nil {
		return "", err
	}
	if v, err = w.challenged(f.pki.Sign(f.boot()), nonce); err != nil {
		return "", err
	}
	return v.refusedBy(attestation.ReasonKind)
}

func changedDocument(w *world) (string, error) {
	s, err := w.status()
	if err != nil {
		return "", err
	}
	trust, err := w.trust()
	if err != nil {
		return "", err
	}
	e := attestation.Expect{Kind: attestation.KindBoot, ManifestHash: attestation.Hash(w.manifest)}
	n := 0
	for i := 0; i < len(s.AttestationDocument); i += 64 {
		if _, err := attestation.VerifyArchived(flipped(s.AttestationDocument, i), trust, e); err == nil {
			return "", fmt.Errorf("byte %d changed, and it was verified", i)
		}
		n++
	}
	v, err := w.verify("document", []byte(base64.StdEncoding.EncodeToString(flipped(s.AttestationDocument, len(s.AttestationDocument)-1))),
		"--kind", "boot", "--local-root", w.root, "--manifest", filepath.Join(w.dir, "main", "manifest.json"))
	if err != nil {
		return "", err
	}
	seen, err := v.refusedBy(attestation.ReasonSignature)
	return fmt.Sprintf("%d changes, the last: %s", n, seen), err
}

func readTrust(path string) (attestation.Trust, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return attestation.Trust{}, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return attestation.Trust{}, fmt.Errorf("%s: no PEM", path)
	}
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return attestation.Trust{}, err
	}
	return attestation.TrustLocal(root)
}
