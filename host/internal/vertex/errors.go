package vertex

import "github.com/sallyport/sallyport/enclave/wire"

// Types are the values that err_type has, by HTTP status, in the order in which
// the API publishes them.
var types = map[int][]string{
	400: {
		"already_performed_keygen", "api_key_not_found", "bad_n_and_t_params", "bad_request_params", "batch_too_large",
		"executor_result", "key_id_not_exists", "key_operation_before_keygen", "policy_in_use_by_keys", "policy_in_use_by_users",
		"policy_not_found", "policy_validation_failed", "room_creation_problem", "rule_in_use", "rule_not_found",
		"rule_not_in_policy", "server_share_backup_setting_disabled", "unique_violation", "user_has_associated_keys",
		"user_id_not_exists", "user_name_already_exists", "you_have_to_be_admin",
	},
	401: {"access_denied"},
	404: {"not_found"},
	500: {"internal_problem"},
}

var published = func() map[string]bool {
	all := map[string]bool{}
	for _, list := range types {
		for _, t := range list {
			all[t] = true
		}
	}
	return all
}()

// envelope renders the host's own failures and what came through the door
// instead of a reply. Reasons of the door, or of another API, are no types of
// this one.
func envelope(e *wire.Error) (int, []byte) {
	if !published[e.Reason] {
		e = &wire.Error{Code: e.Code, Message: e.Message, Cause: e.Cause, Culprits: e.Culprits}
	}
	return wire.NodeEnvelope(e)
}
