package bundle

import (
	"crypto/sha256"
	"fmt"
)

// NodeOrganization returns what bundles of the node API have in the place of an
// organization: a UUIDv8 (RFC 9562, section 5.8) of SHA-256 over the label
// "sallyport node api v1", a zero byte and the quorum key, uncompressed.
func NodeOrganization(quorumPublicKey []byte) string {
	sum := sha256.Sum256(append([]byte("sallyport node api v1\x00"), quorumPublicKey...))
	u := sum[:16]
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
