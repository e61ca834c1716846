package bundle_test

import (
	"crypto/ecdsa"
	"encoding/asn1"
	"math/big"
	"testing"
)

// twin returns the other valid signature, (r, n-s).
func twin(t testing.TB, key *ecdsa.PrivateKey, der []byte) []byte {
	t.Helper()
	var sig struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &sig); err != nil {
		t.Fatal(err)
	}
	sig.S.Sub(key.Curve.Params().N, sig.S)
	return must(asn1.Marshal(sig))(t)
}
