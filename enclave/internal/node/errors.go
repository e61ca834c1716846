package node

import (
	"context"
	"errors"

	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// The err_type of refusals with status 400. The others follow from codes:
// access_denied (401), not_found (404), internal_problem (500).
const (
	typeKeygenDone     = "already_performed_keygen"
	typeNoAPIKey       = "api_key_not_found" //nolint:gosec // a published name
	typeSizes          = "bad_n_and_t_params"
	typeParams         = "bad_request_params"
	typeBatch          = "batch_too_large"
	typeExecutor       = "executor_result"
	typeNoKey          = "key_id_not_exists"
	typeKeygenMissing  = "key_operation_before_keygen"
	typePolicyOfKeys   = "policy_in_use_by_keys"
	typePolicyOfUsers  = "policy_in_use_by_users"
	typeNoPolicy       = "policy_not_found"
	typePolicy         = "policy_validation_failed"
	typeRoom           = "room_creation_problem"
	typeRuleUsed       = "rule_in_use"
	typeNoRule         = "rule_not_found"
	typeRuleNotThere   = "rule_not_in_policy"
	typeBackupDisabled = "server_share_backup_setting_disabled"
	typeUnique         = "unique_violation"
	typeUserHasKeys    = "user_has_associated_keys"
	typeNoUser         = "user_id_not_exists"
	typeUserName       = "user_name_already_exists"
	typeNotAdmin       = "you_have_to_be_admin"
)

// refuse makes a refusal with status 400.
func refuse(errType, format string, args ...any) *wire.Error {
	return wire.Errorf(wire.FailedPrecondition, errType, format, args...)
}

// bad refuses what a field holds.
func bad(format string, args ...any) *wire.Error {
	return wire.Errorf(wire.InvalidArgument, typeParams, format, args...)
}

func denied(format string, args ...any) *wire.Error {
	return wire.Errorf(wire.Unauthenticated, "", format, args...)
}

func notFound(format string, args ...any) *wire.Error {
	return wire.Errorf(wire.NotFound, "", format, args...)
}

func noKey() *wire.Error { return refuse(typeNoKey, "key_id: there is no such key") }

// outward makes of any error what the caller is shown, or leaves it as one
// that the door hides.
func outward(err error) error {
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return e
	}
	if f, ok := errors.AsType[*mpc.Failure](err); ok {
		return failed(f)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return failed(mpc.Failf(mpc.CauseCancelled, nil, "the call ended before the operation"))
	}
	return err
}

// failed shows how an operation of many parties ended. Requests that differ are
// what the parties' policies exist to find.
func failed(f *mpc.Failure) *wire.Error {
	kind := typeExecutor
	if f.Cause == mpc.CauseSetup {
		kind = typePolicy
	}
	e := refuse(kind, "%v", f)
	e.Cause = string(f.Cause)
	for _, c := range f.Culprits {
		e.Culprits = append(e.Culprits, c.String())
	}
	return e
}
