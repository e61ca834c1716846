package attestation

import (
	"crypto/x509"
	"testing"
	"time"
)

func TestEmbeddedRootIsAWSRootG1(t *testing.T) {
	root, err := awsRoot()
	if err != nil {
		t.Fatal(err)
	}
	if got := fingerprint(root); got != "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b" {
		t.Errorf("the embedded root has fingerprint %s", got)
	}
	if got := root.Subject.CommonName; got != "aws.nitro-enclaves" {
		t.Errorf("the embedded root is called %q", got)
	}
}

func TestRememberedChainsAreBounded(t *testing.T) {
	var m chainMemory
	now := time.Now()
	leaf := &x509.Certificate{Raw: []byte{1}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	for i := range 10 * maxChains {
		m.remember(&chain{leaf: leaf, id: [32]byte{byte(i), byte(i >> 8)}})
		if len(m.chains) > maxChains {
			t.Fatalf("%d chains are remembered", len(m.chains))
		}
	}
}
