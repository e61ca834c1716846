package attestation_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"os"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/attestation"
)

// double is twice the base point of P-256, SEC 1 uncompressed.
const double = "047cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978" +
	"07775510db8ed040293d9ac69f7430dbba7dade63ce982299e04b79d227873d1"

const nodeAPIGolden = `"nodeApi":{"adminTokenSha256":"` + `0303030303030303030303030303030303030303030303030303030303030303` +
	`","adminKeys":["036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"],"bearerMay":["create","sign"],"backup":true}`

// peersJSON is a manifest on Nitro with a peer, a key group and a node API.
func peersJSON() string {
	image := strings.Repeat("cd", 48)
	peer := `{"name":"other","quorumPublicKey":"` + double + `","measurements":[{"pcr0":"` + image + `","pcr1":"` + image + `","pcr2":"` + image +
		`"}],"attestationRoot":""}`
	text := strings.Replace(operatingJSON(), `"peers":[]`, `"peers":[`+peer+`]`, 1)
	return strings.TrimSuffix(text, "}") + `,"keyGroup":{"threshold":2},` + nodeAPIGolden + `}`
}

// localPeersJSON is a manifest of the local platform with a peer.
func localPeersJSON(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("bundle/testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct{ LocalRoot string }
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(v.LocalRoot))
	if block == nil {
		t.Fatal("no root among the vectors")
	}
	peer := `{"name":"other","quorumPublicKey":"` + double + `","measurements":[` + localTriple() + `],"attestationRoot":"` + hex.EncodeToString(block.Bytes) + `"}`
	return strings.Replace(genesisJSON(), `"peers":[]`, `"peers":[`+peer+`]`, 1)
}

// councilJSON is a manifest on Nitro with operators, and a root in two halves.
func councilJSON() string {
	const (
		ann = "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
		bob = "037cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978"
		// rsa is a public key of 2048 bits whose modulus is all ones, for its form alone.
		rsa = "30820122300d06092a864886f70d01010105000382010f003082010a0282010100"
	)
	modulus := strings.Repeat("ff", 256)
	text := strings.Replace(operatingJSON(), `"operators":[]`, `"operators":[{"name":"ann","publicKey":"`+ann+`"},{"name":"bob","publicKey":"`+bob+`"}]`, 1)
	text = strings.Replace(text, `"unsigned":true`, `"unsigned":false`, 1)
	return strings.TrimSuffix(text, "}") + `,"operatorThreshold":2,"root":{"set":1,"sharing":"` + strings.Repeat("03", 32) + `","holders":[{"name":"h1","publicKey":"` +
		double + `"},{"name":"h2","publicKey":"` + generator + `"}],"threshold":2,"kms":{"keyId":"arn:aws:kms:eu-west-1:111122223333:key/1","publicKey":"` +
		rsa + modulus + `0203010001"}}}`
}

func TestManifestsWithPeersKeepTheirBytes(t *testing.T) {
	for _, c := range []struct{ text, hash string }{
		{genesisJSON(), "11343b5b26102491943a691f2083e10bc1332c9b4b148aa53a6149dc73f165d9"},
		{operatingJSON(), "c1d0cadad486036aa2721045ac18c0ed4c3782cee0a04841f6d74b46d6f01d84"},
		{peersJSON(), "2e5d2bde838109ddcdae9fbd662743fb93c8404f407bd2115e4f4d76ebba3e97"},
		{councilJSON(), "fcaeeeb1410849baa753fd248da7d3b9827d662bf30403d17668b6d933451b68"},
		{localPeersJSON(t), "1ce640974deeab147bd460ace4f109bab5bdcaca2cae407afca5e050d97ecc81"},
	} {
		m, err := attestation.ParseManifest([]byte(c.text))
		if err != nil {
			t.Errorf("%v in %s", err, c.text)
			continue
		}
		sum := sha256.Sum256(m.Encode())
		if hex.EncodeToString(sum[:]) != c.hash || string(m.Encode()) != c.text {
			t.Errorf("the hash is %x, not %s: encoded as %s", sum, c.hash, m.Encode())
		}
	}
}

func TestLocalPeerIsVerifiedUnderItsOwnRoot(t *testing.T) {
	m, err := attestation.ParseManifest([]byte(localPeersJSON(t)))
	if err != nil {
		t.Fatal(err)
	}
	if trust, err := m.Peers[0].Trust(); err != nil || trust.Assurance() != attestation.AssuranceLocal {
		t.Errorf("%v, %v", trust.Assurance(), err)
	}
}

func TestPeersInAnotherSpellingAreRefused(t *testing.T) {
	local := localPeersJSON(t)
	for _, c := range []struct{ name, base, old, new, rule string }{
		{"null group", peersJSON(), `{"threshold":2}`, `null`, "canonical"},
		{"threshold as text", peersJSON(), `"threshold":2`, `"threshold":"2"`, "threshold"},
		{"group with more", peersJSON(), `"threshold":2`, `"threshold":2,"members":2`, "members"},
		{"group behind", peersJSON(), `"keyGroup":{"threshold":2},` + nodeAPIGolden, nodeAPIGolden + `,"keyGroup":{"threshold":2}`, "canonical"},
		{"null node API", peersJSON(), nodeAPIGolden, `"nodeApi":null`, "canonical"},
		{"no backup", peersJSON(), `,"backup":true`, ``, "backup"},
		{"null list", peersJSON(), `["create","sign"]`, `null`, "bearerMay"},
		{"upper case key", peersJSON(), `"adminKeys":["036b`, `"adminKeys":["036B`, "adminKeys[0]"},
		{"short key", peersJSON(), `"adminKeys":["036b`, `"adminKeys":["03`, "adminKeys[0]"},
		{"peer without a root", peersJSON(), `,"attestationRoot":""`, ``, "attestationRoot"},
		{"peer with more", peersJSON(), `"attestationRoot":""`, `"attestationRoot":"","url":""`, "url"},
		{"peer off the curve", peersJSON(), double, double[:129] + "2", "peers[0].quorumPublicKey"},
		{"local peer without a root", local, local[strings.Index(local, `"attestationRoot":"`):strings.Index(local, `"}],"appliance"`)], `"attestationRoot":"`, "peers[0].attestationRoot"},
		{"half a byte", local, `"attestationRoot":"30`, `"attestationRoot":"3`, "peers[0].attestationRoot"},
		{"root and more", local, `"}],"appliance"`, `00"}],"appliance"`, "attestationRoot"},
		{"root in upper case", local, `"attestationRoot":"3082`, `"attestationRoot":"3082ABCD`, "peers[0].attestationRoot"},
	} {
		text := strings.Replace(c.base, c.old, c.new, 1)
		if text == c.base {
			t.Fatalf("%s: the case changes nothing", c.name)
		}
		if _, err := attestation.ParseManifest([]byte(text)); err == nil || !strings.Contains(err.Error(), c.rule) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.rule)
		}
	}
}
