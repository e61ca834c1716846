package kms

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/smithy-go"
)

// What a failed call means to the host. Errors of [Client] wrap one of these.
var (
	// ErrNotAllowed: the key policy, or the caller's credentials, do not allow it.
	// Trying again does not help until one of them is changed.
	ErrNotAllowed = errors.New("kms: not allowed")
	// ErrNoSuchKey: there is no such key in its region.
	ErrNoSuchKey = errors.New("kms: no such key")
	// ErrUnavailable: KMS, or the key, cannot be used now: no connection, too many
	// requests, the key disabled or about to be deleted. Later it may be.
	ErrUnavailable = errors.New("kms: unavailable")
	// ErrRefused: the request itself is wrong: a document that KMS does not believe
	// or finds too old, or a ciphertext that is not of this key. So is an answer to
	// the host in the place of one to the enclave.
	ErrRefused = errors.New("kms: refused")
)

// kinds are AWS's error codes: those of KMS that are in the reference of Decrypt
// and GetPublicKey, and those common to its services.
var kinds = map[string]error{
	"AccessDeniedException":               ErrNotAllowed,
	"ExpiredTokenException":               ErrNotAllowed,
	"IncompleteSignature":                 ErrNotAllowed,
	"InvalidClientTokenId":                ErrNotAllowed,
	"InvalidSignatureException":           ErrNotAllowed,
	"MissingAuthenticationToken":          ErrNotAllowed,
	"MissingAuthenticationTokenException": ErrNotAllowed,
	"NotAuthorized":                       ErrNotAllowed,
	"OptInRequired":                       ErrNotAllowed,
	"UnrecognizedClientException":         ErrNotAllowed,

	"NotFoundException":   ErrNoSuchKey,
	"InvalidArnException": ErrNoSuchKey,

	"IncorrectKeyException":         ErrRefused,
	"InvalidCiphertextException":    ErrRefused,
	"InvalidGrantTokenException":    ErrRefused,
	"InvalidKeyUsageException":      ErrRefused,
	"SerializationException":        ErrRefused,
	"UnknownOperationException":     ErrRefused,
	"UnsupportedOperationException": ErrRefused,
	"ValidationError":               ErrRefused,
	"ValidationException":           ErrRefused,

	"DependencyTimeoutException": ErrUnavailable,
	"DisabledException":          ErrUnavailable,
	"KMSInternalException":       ErrUnavailable,
	"KMSInvalidStateException":   ErrUnavailable,
	"KeyUnavailableException":    ErrUnavailable,
	"LimitExceededException":     ErrUnavailable,
	"ThrottlingException":        ErrUnavailable,
}

// classify takes every error that AWS did not answer, and every code that is not
// known, as one that may pass.
func classify(operation string, err error) error {
	var answered smithy.APIError
	if errors.As(err, &answered) {
		kind, ok := kinds[answered.ErrorCode()]
		if !ok {
			kind = ErrUnavailable
		}
		return fmt.Errorf("%w: %s: %s: %s", kind, operation, answered.ErrorCode(), answered.ErrorMessage())
	}
	for _, ended := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, ended) {
			return fmt.Errorf("%w: %s: %w", ErrUnavailable, operation, ended)
		}
	}
	return fmt.Errorf("%w: %v", ErrUnavailable, err)
}
