package client

import (
	"encoding/json"
	"errors"
	"fmt"
)

// The reasons for which a reply is refused. They are stable.
const (
	// ReasonMissing: the reply has no proof, or more than one.
	ReasonMissing = "proof_missing"
	// ReasonInvalid: the proof is not about this request and this reply, or
	// not signed by the key that it names.
	ReasonInvalid = "proof_invalid"
	// ReasonClock: the proof's time is too far from the local clock.
	ReasonClock = "clock"
	// ReasonAttestation: the boot's attestation document is refused, or is
	// too old for the proof. The error unwraps to the [attestation.Error].
	ReasonAttestation = "attestation"
	// ReasonManifest: the manifest is invalid, does not name the pinned quorum
	// key, or does not list the enclave's image.
	ReasonManifest = "manifest"
	// ReasonUnknownBoot: the signer is not the enclave that the host shows an
	// attestation document of.
	ReasonUnknownBoot = "unknown_boot"
	// ReasonJournal: the error unwraps to [ErrJournalWentBack].
	ReasonJournal = "journal"
	// ReasonContent: the proof is valid and the reply does not fit the request.
	ReasonContent = "content"
)

// ErrJournalWentBack says that the appliance showed an older journal than
// before, or another one of the same size: it was rolled back or forked.
var ErrJournalWentBack = errors.New("the journal went back")

// ProofError says that a reply was refused, whatever it said. Nothing in the
// reply is to be believed.
type ProofError struct {
	// Reason is one of the constants above, Message is for people.
	Reason  string
	Message string
	// Path and HTTPStatus are of the refused reply.
	Path       string
	HTTPStatus int

	cause error
}

func (e *ProofError) Error() string {
	return fmt.Sprintf("reply of %s refused: %s: %s", e.Path, e.Reason, e.Message)
}

// Unwrap returns what was wrong with the attestation, [ErrJournalWentBack], or nil.
func (e *ProofError) Unwrap() error { return e.cause }

// APIError is a proven refusal: the enclave itself said no.
type APIError struct {
	// HTTPStatus is 200 when the request was taken and its activity failed or
	// was rejected; Activity is then set.
	HTTPStatus int
	// Code is that of gRPC: 3 invalid argument, 5 not found, 7 permission
	// denied, 9 failed precondition, 16 unauthenticated, ...
	Code    int
	Message string
	// Details are JSON objects with an "@type".
	Details  []json.RawMessage
	Activity *Activity
}

func (e *APIError) Error() string {
	return fmt.Sprintf("the appliance refused (code %d): %s", e.Code, e.Message)
}

// Reason is the first turnkeyErrorCode among the details, such as
// SIGNATURE_INVALID, or "".
func (e *APIError) Reason() string {
	for _, d := range e.Details {
		var detail struct {
			Code string `json:"turnkeyErrorCode"`
		}
		if json.Unmarshal(d, &detail) == nil && detail.Code != "" {
			return detail.Code
		}
	}
	return ""
}

// PendingError says that the request was taken and waits for more approvals.
// Its result can be had once the activity is completed.
type PendingError struct {
	Activity *Activity
	// Target is the target key of a pending export, without which the export
	// cannot be opened: keep it for [Client.CollectExport]. It prints as its
	// public half.
	Target *TargetKey
}

func (e *PendingError) Error() string {
	return fmt.Sprintf("activity %s needs more approvals", e.Activity.ID)
}

// HostError is an answer of the host in place of the enclave's, such as 503
// while the enclave is not reachable. It has no proof and says nothing but
// that there is no answer, which a host can always bring about.
type HostError struct {
	HTTPStatus int
	// Message is the host's word, cut and printable.
	Message string
}

func (e *HostError) Error() string {
	return fmt.Sprintf("no answer from the enclave; its host says (HTTP %d): %s", e.HTTPStatus, e.Message)
}

// NetworkError says that no reply arrived. The request may have been carried
// out all the same; sending the same body again is safe.
type NetworkError struct{ cause error }

func (e *NetworkError) Error() string { return e.cause.Error() }

// Unwrap returns the error of net/http.
func (e *NetworkError) Unwrap() error { return e.cause }
