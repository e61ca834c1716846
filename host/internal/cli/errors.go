package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/bundle"
	"github.com/sallyport/sallyport/attestation/bundle/shares"
	"github.com/sallyport/sallyport/host/client"
	"github.com/sallyport/sallyport/host/client/ceremony"
)

// The exit codes of the client verbs.
const (
	ExitOK         = 0
	ExitRefused    = 1 // the appliance said no, and proved that it did
	ExitUsage      = 2 // wrong flags, or a file that cannot be read or written
	ExitUnverified = 3 // something that must be verified does not verify: do not trust it
	ExitPending    = 4 // taken, and waits for more approvals
	ExitNetwork    = 5 // no answer; repeating is safe
)

// Exits is the text about exit codes in the program's help.
const Exits = "Client verbs exit with 0 when done, 1 when the appliance refused, 2 for a wrong command or file, " +
	"3 when verification failed (do not trust what you got), 4 when more approvals are needed, 5 without an answer."

// Error is how a verb ends other than well.
type Error struct {
	Code int    // one of the exit codes
	Hint string // what to do about it; may be empty

	cause error
}

func (e *Error) Error() string { return e.cause.Error() }

// Unwrap returns the error behind this one.
func (e *Error) Unwrap() error { return e.cause }

// Report prints an error of a verb, with its hint on the next line, and
// returns its exit code. Of an error that is none of a client verb's it
// returns false and prints nothing.
func Report(w io.Writer, err error) (code int, ok bool) {
	var e *Error
	if !errors.As(err, &e) {
		return 0, false
	}
	_, _ = fmt.Fprintln(w, "sallyport:", safe(e.Error()))
	if e.Hint != "" {
		_, _ = fmt.Fprintln(w, "hint:", safe(e.Hint))
	}
	return e.Code, true
}

// usage is a mistake in flags or files, with a way out.
func usage(hint, format string, args ...any) error {
	return &Error{Code: ExitUsage, Hint: hint, cause: fmt.Errorf(format, args...)}
}

// explain gives an error its exit code and hint. nil stays nil.
func explain(err error) error {
	var done *Error
	if err == nil || errors.As(err, &done) {
		return err
	}
	code, hint := judge(err)
	return &Error{Code: code, Hint: hint, cause: err}
}

func judge(err error) (code int, hint string) {
	var (
		refused    *client.ProofError
		review     *client.ReviewError
		sealed     *bundle.Error
		attested   *attestation.Error
		share      *shares.Error
		strange    *ceremony.UnverifiedError
		denied     *ceremony.RefusedError
		away       *ceremony.NetworkError
		pending    *client.PendingError
		api        *client.APIError
		host       *client.HostError
		unanswered *client.NetworkError
	)
	switch {
	case errors.As(err, &refused):
		return ExitUnverified, proofHint(refused)
	case errors.As(err, &review):
		return ExitUnverified, "do not approve it: it is not what its users have signed"
	case errors.As(err, &sealed), errors.As(err, &attested):
		return ExitUnverified, "do not use what is in it"
	case errors.As(err, &strange):
		return ExitUnverified, "nothing was given to this enclave"
	case errors.As(err, &denied):
		return ExitRefused, ""
	case errors.As(err, &away):
		return ExitNetwork, "check --base-url; repeating is safe"
	case errors.As(err, &share) && share.Missing > 0:
		return ExitUsage, "give the answers of more parties"
	case errors.As(err, &share):
		return ExitUnverified, "do not use what its node sent"
	case errors.As(err, &pending):
		return ExitPending, "another approver runs: sallyport activity approve " + pending.Activity.ID
	case errors.As(err, &api):
		return ExitRefused, apiHint(api)
	case errors.As(err, &host):
		return ExitNetwork, "wait and repeat, or ask who runs the host"
	case errors.As(err, &unanswered), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return ExitNetwork, "check --base-url; what was asked for may have been done, see: sallyport activity list"
	}
	return ExitUsage, ""
}

func proofHint(e *client.ProofError) string {
	switch e.Reason {
	case client.ReasonMissing:
		return "do not trust the reply; is --base-url that of a Sallyport appliance, and nothing in between that changes headers?"
	case client.ReasonInvalid, client.ReasonManifest:
		return "do not trust the reply; is --quorum-key that of this appliance?"
	case client.ReasonClock:
		return "set this machine's clock"
	case client.ReasonAttestation:
		return "do not trust the reply; is --local-root, or are --measurements, those of this appliance?"
	case client.ReasonJournal:
		return "stop using this appliance: its host shows an old or another state"
	}
	return "do not trust the reply"
}

func apiHint(e *client.APIError) string {
	switch {
	case e.Reason() == "PUBLIC_KEY_NOT_FOUND":
		return "the API key is not one of this organization: check --key-file and --organization"
	case e.Reason() == "ORGANIZATION_NOT_FOUND":
		return "check --organization"
	case e.Code == 7 && e.Activity == nil:
		return "only users of the root quorum may ask for this"
	case e.Activity != nil:
		return "see: sallyport activity get " + e.Activity.ID
	}
	return ""
}
