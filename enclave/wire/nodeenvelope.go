package wire

import (
	"bytes"
	"encoding/json"
)

// nodeTypes are the err_type and HTTP status of an error of the node API that
// has no reason of its own. Every other code is an internal problem.
var nodeTypes = map[Code]struct {
	status int
	name   string
}{
	InvalidArgument:    {400, "bad_request_params"},
	FailedPrecondition: {400, "bad_request_params"},
	AlreadyExists:      {400, "unique_violation"},
	Unimplemented:      {400, "bad_request_params"},
	PermissionDenied:   {401, "access_denied"},
	Unauthenticated:    {401, "access_denied"},
	NotFound:           {404, "not_found"},
}

// nodeError is what clients of the node API know, and details that they may ignore.
type nodeError struct {
	Message string       `json:"err_msg"`
	Type    string       `json:"err_type"`
	Details *nodeDetails `json:"details,omitempty"`
}

type nodeDetails struct {
	Cause    string   `json:"cause"`
	Culprits []string `json:"culprits,omitempty"`
}

// NodeEnvelope renders an error as the node API shows it: the HTTP status and
// the JSON body. The error's reason is the err_type; one without a reason is
// shown by its code. The enclave uses it for its answers and the host for its
// own failures.
func NodeEnvelope(err *Error) (status int, body []byte) {
	shown := nodeError{Message: err.Message}
	kind, ok := nodeTypes[err.Code]
	switch {
	case !ok:
		kind.status, kind.name = 500, "internal_problem"
	case err.Reason != "":
		kind.name = err.Reason
	}
	shown.Type = kind.name
	if err.Cause != "" {
		shown.Details = &nodeDetails{err.Cause, err.Culprits}
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(shown); err != nil {
		panic("internal error: " + err.Error()) // strings only
	}
	return kind.status, bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}
