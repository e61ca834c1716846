package wire

import "testing"

func TestNodeEnvelopeOfEveryCode(t *testing.T) {
	for _, test := range []struct {
		err    *Error
		status int
		body   string
	}{
		{Errorf(InvalidArgument, "", "body: <x>"), 400, `{"err_msg":"body: <x>","err_type":"bad_request_params"}`},
		{Errorf(InvalidArgument, "key_id_not_exists", "no such key"), 400, `{"err_msg":"no such key","err_type":"key_id_not_exists"}`},
		{Errorf(FailedPrecondition, "rule_in_use", "used"), 400, `{"err_msg":"used","err_type":"rule_in_use"}`},
		{Errorf(AlreadyExists, "", "twice"), 400, `{"err_msg":"twice","err_type":"unique_violation"}`},
		{Errorf(Unimplemented, "", "bip340"), 400, `{"err_msg":"bip340","err_type":"bad_request_params"}`},
		{Errorf(Unauthenticated, "", "who"), 401, `{"err_msg":"who","err_type":"access_denied"}`},
		{Errorf(PermissionDenied, "", "no"), 401, `{"err_msg":"no","err_type":"access_denied"}`},
		{Errorf(NotFound, "", "no route"), 404, `{"err_msg":"no route","err_type":"not_found"}`},
		{Errorf(Internal, "", "incident 1"), 500, `{"err_msg":"incident 1","err_type":"internal_problem"}`},
		{Errorf(Unavailable, "NO_ANSWER", "no answer"), 500, `{"err_msg":"no answer","err_type":"internal_problem"}`},
		{Errorf(ResourceExhausted, "", "slow"), 500, `{"err_msg":"slow","err_type":"internal_problem"}`},
		{
			&Error{Code: InvalidArgument, Reason: "executor_result", Message: "m", Cause: "timeout", Culprits: []string{"01"}}, 400,
			`{"err_msg":"m","err_type":"executor_result","details":{"cause":"timeout","culprits":["01"]}}`,
		},
	} {
		if status, body := NodeEnvelope(test.err); status != test.status || string(body) != test.body {
			t.Errorf("%v: got %d %s, want %d %s", test.err, status, body, test.status, test.body)
		}
	}
}
