package attestation

import "fmt"

// The reasons an [Error] may carry. They are stable: callers may compare and
// store them.
const (
	// ReasonMalformed: the bytes are not an attestation document in the form
	// that the Nitro Security Module writes, or they break one of its limits.
	ReasonMalformed = "malformed"
	// ReasonSignature: the document is not signed by its leaf certificate, or
	// a certificate not by the next one.
	ReasonSignature = "signature"
	// ReasonCertificate: a certificate has a shape that may not sign
	// documents: wrong curve, a CA as leaf, wrong key usage, wrong order.
	ReasonCertificate = "certificate"
	// ReasonExpired: a certificate is not valid at the time that counts.
	ReasonExpired = "expired"
	// ReasonUntrustedRoot: the chain does not end in the trusted root.
	ReasonUntrustedRoot = "untrusted_root"
	// ReasonLocalDocument: a document of the local platform, which protects
	// nothing, was given to a verifier that trusts AWS.
	ReasonLocalDocument = "local_document"
	// ReasonDebugEnclave: PCR0 is all zero. AWS signs such documents for
	// enclaves in debug mode, whose memory the host can read.
	ReasonDebugEnclave = "debug_enclave"
	// ReasonMeasurements: PCR0, 1 and 2 are not an accepted triple, or another
	// register does not hold what was expected.
	ReasonMeasurements = "measurements"
	// ReasonKind: the document does not have the form of the expected kind.
	ReasonKind = "kind"
	// ReasonManifest: the document is bound to another manifest.
	ReasonManifest = "manifest"
	// ReasonPublicKey: the document carries another public key.
	ReasonPublicKey = "public_key"
	// ReasonNonce: the nonce is not the verifier's, or its inclusion path does
	// not lead to the document's.
	ReasonNonce = "nonce"
	// ReasonStale: the document's own time is too far from now.
	ReasonStale = "stale"
	// ReasonUsage: the caller asked for something that cannot be checked, such
	// as a boot document without the hash of a manifest.
	ReasonUsage = "usage"
)

// Error says why a document, or a manifest, was refused. Every error of this
// package is one.
type Error struct {
	// Reason is one of the Reason constants.
	Reason string
	// Message is for people. It never holds more than short, printable parts
	// of the document.
	Message string
}

// Error returns the message.
func (e *Error) Error() string { return "attestation: " + e.Message }

func refuse(reason, format string, args ...any) *Error {
	return &Error{Reason: reason, Message: fmt.Sprintf(format, args...)}
}
