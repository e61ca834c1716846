package kms

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// failure is an error as KMS answers it.
type failure struct {
	code    string // "AccessDeniedException"
	message string
}

func (f *failure) Error() string { return f.code + ": " + f.message }

func fail(code, format string, args ...any) *failure {
	return &failure{code: code, message: fmt.Sprintf(format, args...)}
}

const (
	contentType = "application/x-amz-json-1.1"
	maxRequest  = 1 << 20
)

// ServeHTTP implements the protocol: POST / with the operation in X-Amz-Target.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.seen++
	broken := s.broken
	s.mu.Unlock()
	if broken != 0 {
		w.WriteHeader(broken)
		return
	}
	reply, refused := s.serve(r)
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Amzn-Requestid", "00000000-0000-4000-8000-000000000000")
	if refused != nil {
		w.WriteHeader(http.StatusBadRequest)
		members := map[string]string{"__type": refused.code}
		if refused.message != "" {
			members["message"] = refused.message
		}
		reply = members
	}
	_ = json.NewEncoder(w).Encode(reply)
}

func (s *Server) serve(r *http.Request) (any, *failure) {
	if r.Method != http.MethodPost || r.URL.Path != "/" || r.Header.Get("Content-Type") != contentType {
		return nil, fail("UnknownOperationException", "")
	}
	caller, refused := s.caller(r.Header.Get("Authorization"))
	if refused != nil {
		return nil, refused
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest))
	if err != nil {
		return nil, fail("SerializationException", "")
	}
	operation, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "TrentService.")
	if !ok {
		return nil, fail("UnknownOperationException", "")
	}
	var request request
	if err := json.Unmarshal(body, &request); err != nil {
		return nil, fail("SerializationException", "")
	}
	switch operation {
	case "Decrypt":
		return s.decrypt(caller, &request)
	case "GetPublicKey":
		return s.getPublicKey(caller, &request)
	case "DescribeKey":
		return s.describeKey(caller, &request)
	}
	return nil, fail("UnknownOperationException", "")
}

// caller returns the ARN of who signed. The header is that of Signature Version 4:
//
//	AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/kms/aws4_request, SignedHeaders=..., Signature=...
func (s *Server) caller(header string) (string, *failure) {
	_, rest, ok := strings.Cut(header, "AWS4-HMAC-SHA256 Credential=")
	if !ok {
		return "", fail("MissingAuthenticationTokenException", "Missing Authentication Token")
	}
	credential, _, _ := strings.Cut(rest, ",")
	scope := strings.Split(credential, "/")
	if len(scope) != 5 || scope[2] != Region || scope[3] != "kms" || scope[4] != "aws4_request" {
		return "", fail("InvalidSignatureException", "Credential should be scoped to a valid region.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	arn, ok := s.callers[scope[0]]
	if !ok {
		return "", fail("UnrecognizedClientException", "The security token included in the request is invalid.")
	}
	return arn, nil
}
