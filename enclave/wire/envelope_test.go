package wire

import (
	"encoding/json"
	"testing"
)

// shownErrors has a row for every code.
var shownErrors = []struct {
	err    *Error
	status int
	body   string
}{
	{Errorf(InvalidArgument, "", "body: must be <1 MiB"), 400, `{"code":3,"message":"body: must be <1 MiB","details":[]}`},
	{Errorf(NotFound, "", "no such key"), 404, `{"code":5,"message":"no such key","details":[]}`},
	{Errorf(AlreadyExists, "", "taken"), 409, `{"code":6,"message":"taken","details":[]}`},
	{Errorf(PermissionDenied, "", "no"), 403, `{"code":7,"message":"no","details":[]}`},
	{
		Errorf(PermissionDenied, ReasonPolicyDenied, "You don't have sufficient permissions to take this action."), 403,
		`{"code":7,"message":"You don't have sufficient permissions to take this action.","details":[` +
			`{"@type":"type.googleapis.com/errors.v1.PolicyEnginePermissionError","message":"No policies evaluated to outcome: Allow","policyEvaluations":[]}]}`,
	},
	{Errorf(ResourceExhausted, "", "slow down"), 429, `{"code":8,"message":"slow down","details":[]}`},
	{Errorf(FailedPrecondition, "", "not yet"), 400, `{"code":9,"message":"not yet","details":[]}`},
	{Errorf(Conflict, "", "again"), 409, `{"code":10,"message":"again","details":[]}`},
	{Errorf(Unimplemented, "", "no such route"), 501, `{"code":12,"message":"no such route","details":[]}`},
	{Errorf(Internal, "", "incident 0011223344556677"), 500, `{"code":13,"message":"incident 0011223344556677","details":[]}`},
	{Errorf(Unavailable, "", "starting"), 503, `{"code":14,"message":"starting","details":[]}`},
	{
		Errorf(Unauthenticated, "SIGNATURE_INVALID", "stamp signature is invalid"), 401,
		`{"code":16,"message":"stamp signature is invalid","details":[` +
			`{"@type":"type.googleapis.com/errors.v1.TurnkeyErrorDetail","turnkeyErrorCode":"SIGNATURE_INVALID"}]}`,
	},
	{&Error{Code: 99, Reason: "X", Message: "from a newer enclave"}, 500, `{"code":13,"message":"internal error","details":[]}`},
}

func TestTurnkeyEnvelopeOfEveryCode(t *testing.T) {
	seen := map[Code]bool{}
	for _, test := range shownErrors {
		seen[test.err.Code] = true
		status, body := TurnkeyEnvelope(test.err)
		if status != test.status || string(body) != test.body {
			t.Errorf("code %d: got %d %s\nwant %d %s", test.err.Code, status, body, test.status, test.body)
		}
	}
	for c := Code(0); c < 255; c++ {
		if c.Valid() != (turnkeyStatus[c] != 0) || (c.Valid() && !seen[c]) {
			t.Errorf("code %d: valid %v, status %d, in the table %v", c, c.Valid(), turnkeyStatus[c], seen[c])
		}
	}
}

func TestTurnkeyEnvelopeIsJSONWhateverTheMessage(t *testing.T) {
	_, body := TurnkeyEnvelope(Errorf(NotFound, "A\"B", "\x00\xff\"\\\n\u2028"))
	if !json.Valid(body) {
		t.Errorf("not JSON: %q", body)
	}
}
