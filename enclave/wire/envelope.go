package wire

import (
	"bytes"
	"encoding/json"
)

// ReasonPolicyDenied is the reason of a [PermissionDenied] that no policy
// allowed, which the activity API shows in a form of its own.
const ReasonPolicyDenied = "POLICY_DENIED"

// turnkeyStatus are the HTTP statuses of the activity API.
var turnkeyStatus = map[Code]int{
	InvalidArgument:    400,
	NotFound:           404,
	AlreadyExists:      409,
	PermissionDenied:   403,
	ResourceExhausted:  429,
	FailedPrecondition: 400,
	Conflict:           409,
	Unimplemented:      501,
	Internal:           500,
	Unavailable:        503,
	Unauthenticated:    401,
}

// turnkeyError is google.rpc.Status, as clients of the activity API know it.
type turnkeyError struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	Details []any  `json:"details"`
}

type turnkeyDetail struct {
	Type string `json:"@type"`
	Code string `json:"turnkeyErrorCode"`
}

type turnkeyDenial struct {
	Type        string     `json:"@type"`
	Message     string     `json:"message"`
	Evaluations []struct{} `json:"policyEvaluations"`
}

// TurnkeyEnvelope renders an error as the activity API shows it: the HTTP
// status and the JSON body. The enclave uses it for its answers and the host
// for its own failures. An error of an unknown code is shown as [Internal].
func TurnkeyEnvelope(err *Error) (status int, body []byte) {
	shown := turnkeyError{Code: err.Code, Message: err.Message, Details: details(err)}
	if !err.Code.Valid() {
		shown = turnkeyError{Code: Internal, Message: "internal error", Details: []any{}}
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(shown); err != nil {
		panic("internal error: " + err.Error()) // strings and numbers only
	}
	return turnkeyStatus[shown.Code], bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

func details(err *Error) []any {
	switch {
	case err.Reason == "":
		return []any{}
	case err.Code == PermissionDenied && err.Reason == ReasonPolicyDenied:
		return []any{turnkeyDenial{
			Type:        "type.googleapis.com/errors.v1.PolicyEnginePermissionError",
			Message:     "No policies evaluated to outcome: Allow",
			Evaluations: []struct{}{},
		}}
	}
	return []any{turnkeyDetail{Type: "type.googleapis.com/errors.v1.TurnkeyErrorDetail", Code: err.Reason}}
}
