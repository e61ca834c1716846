package attestation

import (
	"crypto/sha512"
	"encoding/hex"
)

// The registers that an enclave extends once, from zero, before it opens any
// route and locks all of them.
const (
	// PCRBootKey commits to the boot HPKE key under a manifest.
	PCRBootKey = 16
	// PCRLive commits to both keys of this boot under a manifest.
	PCRLive = 17
	// PCRManifest commits to the manifest alone, so that the policy of a key
	// management service can name it.
	PCRManifest = 18
)

// BootKeyCommitment returns the 48 bytes that are extended into [PCRBootKey]:
// the SHA-384 of a JSON text with the 65-byte boot HPKE key and the 32-byte
// hash of the manifest in lower-case hex.
func BootKeyCommitment(bootPublic, manifestHash []byte) []byte {
	sum := sha512.Sum384([]byte(`{"domain":"sallyport-boot-key-pcr-commitment-v1","bootPublicKey":"` +
		hex.EncodeToString(bootPublic) + `","manifestHash":"` + hex.EncodeToString(manifestHash) + `"}`))
	return sum[:]
}

// LiveCommitment returns the 48 bytes that are extended into [PCRLive]: the
// SHA-384 of a JSON text with the whole 130-byte public_key of the document and
// the 32-byte hash of the manifest in lower-case hex. The text is that of QOS,
// whose verifiers know it.
func LiveCommitment(publicKey, manifestHash []byte) []byte {
	sum := sha512.Sum384([]byte(`{"domain":"qos-live-manifest-pcr-commitment-v1","ephemeralPublicKey":"` +
		hex.EncodeToString(publicKey) + `","manifestHash":"` + hex.EncodeToString(manifestHash) + `"}`))
	return sum[:]
}

// ExtendPCR returns what a register holds after one extension:
// SHA-384(old || data). A nil old is a register that was never extended.
func ExtendPCR(old, data []byte) []byte {
	if old == nil {
		old = make([]byte, PCRSize)
	}
	h := sha512.New384()
	h.Write(old)
	h.Write(data)
	return h.Sum(nil)
}
