package bundle

import "fmt"

// The reasons for which a bundle is refused. They are stable: programs may
// branch on them.
const (
	// ReasonUsage: the caller's own expectations are incomplete.
	ReasonUsage = "usage"
	// ReasonMalformed: the bytes are not a bundle in the one form it may have.
	ReasonMalformed = "malformed"
	// ReasonVersion: a version that this package does not know.
	ReasonVersion = "version"
	// ReasonQuorumKey: signed by another appliance than the pinned one.
	ReasonQuorumKey = "quorum_key"
	// ReasonDataSignature: the quorum key did not sign this data.
	ReasonDataSignature = "data_signature"
	// ReasonOrganization: made for another organization.
	ReasonOrganization = "organization"
	// ReasonManifest: the manifest is invalid, not the pinned one, of another
	// appliance or level of assurance, or does not list the enclave's image.
	ReasonManifest = "manifest"
	// ReasonAttestation: the boot's attestation document is refused. The error
	// unwraps to the [attestation.Error] that says why.
	ReasonAttestation = "attestation"
	// ReasonProof: the proof is invalid or about something else.
	ReasonProof = "proof"
	// ReasonTargetKey: sealed to another target key than the caller's.
	ReasonTargetKey = "target_key"
	// ReasonKey: holds another key than the expected one.
	ReasonKey = "key"
	// ReasonFingerprint: made for another activity than the expected one.
	ReasonFingerprint = "fingerprint"
	// ReasonFresh: the fresh attestation is absent though the caller sent a
	// nonce, or it is refused, or it is about another enclave.
	ReasonFresh = "fresh_attestation"
	// ReasonDecrypt: everything is verified, yet the sealed key does not open.
	ReasonDecrypt = "decrypt"
)

// Error says why a bundle was refused. All errors of [Verify] and [Open] are
// of this type.
type Error struct {
	// Reason is one of the constants above.
	Reason string
	// Message is for people. It holds no secrets.
	Message string

	cause error
}

// Error returns the reason and the message.
func (e *Error) Error() string { return "bundle: " + e.Reason + ": " + e.Message }

// Unwrap returns the error of the package attestation behind this one, or nil.
func (e *Error) Unwrap() error { return e.cause }

func refuse(reason, format string, args ...any) *Error {
	return &Error{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

func because(reason string, cause error) *Error {
	return &Error{Reason: reason, Message: cause.Error(), cause: cause}
}
