package attestation_test

import (
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/attestation"
)

// A client pins the image that it built itself, and hears a reason when a
// document is not from it.
func ExampleVerifyArchived() {
	var image attestation.Measurements // from your own build of the image
	image.PCR0[0], image.PCR1[0], image.PCR2[0] = 1, 2, 3

	trust, err := attestation.TrustAWS(image)
	if err != nil {
		fmt.Println(err)
		return
	}
	manifest := []byte("the bytes of the manifest that you follow")
	document := []byte("what the host sent")

	_, err = attestation.VerifyArchived(document, trust, attestation.Expect{
		Kind:         attestation.KindBoot,
		ManifestHash: attestation.Hash(manifest),
	})
	var refused *attestation.Error
	if errors.As(err, &refused) {
		fmt.Println(refused.Reason)
	}
	// Output: malformed
}

// Debug-mode enclaves are accepted by nothing, not even on request.
func ExampleTrustAWS() {
	_, err := attestation.TrustAWS(attestation.Measurements{})
	fmt.Println(err)
	// Output: attestation: accepted measurement 0 has an all-zero register, which is a debug-mode enclave
}
