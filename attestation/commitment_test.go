package attestation_test

import (
	"crypto/sha512"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/attestation"
)

func TestCommitmentsAreOverExactTexts(t *testing.T) {
	key, manifest := make([]byte, 130), make([]byte, 32)
	for i := range key {
		key[i] = byte(i)
	}
	live := sha512.Sum384([]byte(`{"domain":"qos-live-manifest-pcr-commitment-v1","ephemeralPublicKey":"` +
		hex.EncodeToString(key) + `","manifestHash":"` + strings.Repeat("00", 32) + `"}`))
	if got := attestation.LiveCommitment(key, manifest); string(got) != string(live[:]) {
		t.Errorf("live: got %x", got)
	}
	boot := sha512.Sum384([]byte(`{"domain":"sallyport-boot-key-pcr-commitment-v1","bootPublicKey":"` +
		hex.EncodeToString(key[:65]) + `","manifestHash":"` + strings.Repeat("00", 32) + `"}`))
	if got := attestation.BootKeyCommitment(key[:65], manifest); string(got) != string(boot[:]) {
		t.Errorf("boot key: got %x", got)
	}
}

// The register of an image with one ramdisk is known from public images: the
// hash of nothing, extended into zero.
func TestExtendIsThatOfHardware(t *testing.T) {
	nothing := sha512.Sum384(nil)
	const want = "21b9efbc184807662e966d34f390821309eeac6802309798826296bf3e8bec7c10edb30948c90ba67310f7b964fc500a"
	if got := hex.EncodeToString(attestation.ExtendPCR(nil, nothing[:])); got != want {
		t.Errorf("got %s", got)
	}
}
