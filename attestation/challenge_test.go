package attestation_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/attestation"
)

func nonces(n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
		out[i] = sum[:16+i%17]
	}
	return out
}

// naiveRoot is the definition of the tree hash, RFC 9162 section 2.1.1.
func naiveRoot(nonces [][]byte) [32]byte {
	if len(nonces) == 1 {
		text := "\x00sallyport challenge nonce v1\x00\x00\x00" + string([]byte{byte(len(nonces[0]))}) + string(nonces[0])
		return sha256.Sum256([]byte(text))
	}
	k := 1
	for k < len(nonces) {
		k *= 2
	}
	k /= 2
	left, right := naiveRoot(nonces[:k]), naiveRoot(nonces[k:])
	return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
}

func TestEveryClientFindsThePathToTheRoot(t *testing.T) {
	for n := 1; n <= 70; n++ {
		all := nonces(n)
		root, paths := attestation.ChallengeTree(all)
		if want := naiveRoot(all); !bytes.Equal(root, want[:]) {
			t.Fatalf("%d nonces: the root is not that of the definition", n)
		}
		for i, path := range paths {
			if got, err := path.Root(all[i]); err != nil || !bytes.Equal(got, root) {
				t.Fatalf("nonce %d of %d: got %x, %v", i, n, got, err)
			}
			if got, err := path.Root(all[(i+1)%n]); n > 1 && (err != nil || bytes.Equal(got, root)) {
				t.Fatalf("nonce %d of %d: another client's nonce leads to the root: %v", i, n, err)
			}
		}
	}
}

func TestTreeOfNoNoncesHasNoRoot(t *testing.T) {
	if root, paths := attestation.ChallengeTree(nil); root != nil || paths != nil {
		t.Errorf("got %x, %v", root, paths)
	}
}

func TestHostilePathIsRefused(t *testing.T) {
	all := nonces(5)
	_, paths := attestation.ChallengeTree(all)
	edit := func(f func(*attestation.ChallengePath)) attestation.ChallengePath {
		p := paths[2]
		p.Hashes = slices.Clone(p.Hashes)
		f(&p)
		return p
	}
	for name, path := range map[string]attestation.ChallengePath{
		"zero value":        {},
		"negative index":    edit(func(p *attestation.ChallengePath) { p.Index = -1 }),
		"index is the size": edit(func(p *attestation.ChallengePath) { p.Index = 5 }),
		"negative size":     edit(func(p *attestation.ChallengePath) { p.Size = -1 }),
		"size of 2^62":      edit(func(p *attestation.ChallengePath) { p.Size = 1 << 62 }),
		"hash missing":      edit(func(p *attestation.ChallengePath) { p.Hashes = p.Hashes[1:] }),
		"hash too many":     edit(func(p *attestation.ChallengePath) { p.Hashes = append(p.Hashes, p.Hashes[0]) }),
		"hash in upper case": edit(func(p *attestation.ChallengePath) {
			p.Hashes[0] = strings.ToUpper(p.Hashes[0])
		}),
		"hash of 31 bytes": edit(func(p *attestation.ChallengePath) { p.Hashes[0] = p.Hashes[0][2:] }),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := path.Root(all[2])
			wantReason(t, nil, err, attestation.ReasonNonce)
		})
	}
}

func TestPathOfAnotherPlaceDoesNotLeadToTheRoot(t *testing.T) {
	all := nonces(7)
	root, paths := attestation.ChallengeTree(all)
	p := paths[3]
	for index := range int64(7) {
		p.Index = index
		got, err := p.Root(all[3])
		if (err == nil && bytes.Equal(got, root)) != (index == 3) {
			t.Errorf("index %d: got %x, %v", index, got, err)
		}
	}
}

// A node of the tree cannot be passed off as a client's nonce, whatever the
// nonce: leaves and nodes are hashed apart.
func TestNodeIsNoLeaf(t *testing.T) {
	all := nonces(4)
	root, paths := attestation.ChallengeTree(all)
	node, err := hex.DecodeString(paths[0].Hashes[1])
	if err != nil {
		t.Fatal(err)
	}
	short := attestation.ChallengePath{Index: 1, Size: 2, Hashes: []string{paths[2].Hashes[1]}}
	if got, err := short.Root(node); err != nil || bytes.Equal(got, root) {
		t.Errorf("got %x, %v", got, err)
	}
}

func TestFreshAttestationIsVerifiedByEachClient(t *testing.T) {
	s := newScene(t)
	all := nonces(6)
	root, paths := attestation.ChallengeTree(all)
	s.nonce = root
	doc := s.Sign(s.challenge())
	verify := func(path attestation.ChallengePath, e attestation.Expect, nonce []byte) (*attestation.Document, error) {
		return attestation.VerifyChallenge(attestation.FreshAttestation{Document: doc, Path: path}, s.trust, e, nonce, s.Now)
	}
	e := s.expect(attestation.KindChallenge)
	for i, nonce := range all {
		if _, err := verify(paths[i], e, nonce); err != nil {
			t.Errorf("client %d: %v", i, err)
		}
	}
	for _, c := range []struct {
		name   string
		path   attestation.ChallengePath
		expect attestation.Expect
		nonce  []byte
		reason string
	}{
		{"another client's path", paths[1], e, all[0], attestation.ReasonNonce},
		{"nonce that nobody sent", paths[0], e, bytes.Repeat([]byte{1}, 16), attestation.ReasonNonce},
		{"nonce of 15 bytes", paths[0], e, all[0][:15], attestation.ReasonUsage},
		{"no nonce", paths[0], e, nil, attestation.ReasonUsage},
		{"nonce of 513 bytes", paths[0], e, make([]byte, 513), attestation.ReasonUsage},
		{"kind boot", paths[0], s.expect(attestation.KindBoot), all[0], attestation.ReasonUsage},
		{"kind channel", paths[0], attestation.Expect{Kind: attestation.KindChannel}, all[0], attestation.ReasonUsage},
		{"no path", attestation.ChallengePath{}, e, all[0], attestation.ReasonNonce},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := verify(c.path, c.expect, c.nonce)
			wantReason(t, d, err, c.reason)
		})
	}
}

func TestFreshAttestationInJSON(t *testing.T) {
	_, paths := attestation.ChallengeTree([][]byte{make([]byte, 16)})
	got, err := json.Marshal(attestation.FreshAttestation{Document: []byte{0x84, 0x44}, Path: paths[0]})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"document":"hEQ=","path":{"index":0,"size":1,"hashes":[]}}`; string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
