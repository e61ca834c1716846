package wire

import (
	"context"
	"errors"
)

// method is the number of a call, at most 255. Numbers are never used again,
// and no number means something on both sides: a frame that reaches the wrong
// side is refused.
type method uint64

const (
	methodStatus method = 1
	methodDo     method = 2

	methodAppend    method = 17
	methodReadRange method = 18
	methodPutBlobs  method = 19
	methodGetBlobs  method = 20

	methodCreateRoom  method = 21
	methodOpenPort    method = 22
	methodSendPort    method = 23
	methodReceivePort method = 24
	methodClosePort   method = 25
	methodAskRule     method = 26

	methodBootManifest method = 27
	methodDecryptByKMS method = 28
)

var methodNames = map[method]string{
	methodStatus:    "Status",
	methodDo:        "Do",
	methodAppend:    "Append",
	methodReadRange: "ReadRange",
	methodPutBlobs:  "PutBlobs",
	methodGetBlobs:  "GetBlobs",

	methodCreateRoom:  "CreateRoom",
	methodOpenPort:    "OpenPort",
	methodSendPort:    "SendPort",
	methodReceivePort: "ReceivePort",
	methodClosePort:   "ClosePort",
	methodAskRule:     "AskRule",

	methodBootManifest: "BootManifest",
	methodDecryptByKMS: "DecryptByKMS",
}

func (m method) String() string {
	if name, ok := methodNames[m]; ok {
		return name
	}
	return "unknown method"
}

// mayBeLong tells whether an answer may pass a frame: only what the enclave
// answers to a client's request, which the host passes on and does not judge.
func (m method) mayBeLong() bool { return m == methodDo }

// Parameters and results that are not types of their own.
type (
	// nothing are the parameters of Status, and the result of Append and PutBlobs.
	nothing struct{}

	appendParams struct {
		Index   uint64   `cbor:"1,keyasint"`
		Records [][]byte `cbor:"2,keyasint"`
	}

	rangeParams struct {
		Index uint64 `cbor:"1,keyasint"`
		Limit int    `cbor:"2,keyasint"`
	}

	// list are the blobs of PutBlobs, the names of GetBlobs, and what
	// ReadRange and GetBlobs return.
	list struct {
		Items [][]byte `cbor:"1,keyasint"`
	}
)

// handler decodes a call's parameters and returns what carries it out. The
// parameters are not used after that.
type handler func(params []byte) (func(context.Context) (any, error), *Error)

var errNoResult = errors.New("neither a result nor an error")

// handle makes a handler of one method.
func handle[P, R any](c codec, m method, do func(context.Context, *P) (*R, error)) handler {
	return func(params []byte) (func(context.Context) (any, error), *Error) {
		p := new(P)
		if err := c.decode(params, p); err != nil {
			return nil, badEncoding("%v: %v", m, err)
		}
		return func(ctx context.Context) (any, error) {
			r, err := do(ctx, p)
			if err != nil {
				return nil, err
			}
			if r == nil {
				return nil, errNoResult
			}
			return r, nil
		}, nil
	}
}

func enclaveHandlers(e Enclave) map[method]handler {
	return map[method]handler{
		methodStatus: handle(enclaveCodec, methodStatus, func(ctx context.Context, _ *nothing) (*Status, error) {
			return e.Status(ctx)
		}),
		methodDo: handle(enclaveCodec, methodDo, func(ctx context.Context, r *Request) (*Reply, error) {
			if err := r.Valid(); err != nil {
				return nil, err
			}
			return e.Do(ctx, r)
		}),
	}
}

func hostHandlers(h Host) map[method]handler {
	return map[method]handler{
		methodAppend: handle(hostCodec, methodAppend, func(ctx context.Context, p *appendParams) (*nothing, error) {
			return &nothing{}, h.Append(ctx, p.Index, p.Records)
		}),
		methodReadRange: handle(hostCodec, methodReadRange, func(ctx context.Context, p *rangeParams) (*list, error) {
			if p.Limit < 1 || p.Limit > MaxRange {
				return nil, Errorf(InvalidArgument, "", "limit must be 1 to %d", MaxRange)
			}
			records, err := h.ReadRange(ctx, p.Index, p.Limit)
			return &list{records}, err
		}),
		methodPutBlobs: handle(hostCodec, methodPutBlobs, func(ctx context.Context, p *list) (*nothing, error) {
			return &nothing{}, h.PutBlobs(ctx, p.Items)
		}),
		methodGetBlobs: handle(hostCodec, methodGetBlobs, func(ctx context.Context, p *list) (*list, error) {
			for _, name := range p.Items {
				if len(name) != blobName {
					return nil, Errorf(InvalidArgument, "", "blob name must have %d bytes", blobName)
				}
			}
			blobs, err := h.GetBlobs(ctx, p.Items)
			return &list{blobs}, err
		}),
	}
}

// weight is about the encoded size of a message, and of a Reply never less.
func weight(v any) int {
	const fields = 128
	switch v := v.(type) {
	case *Request:
		return fields + len(v.Path) + len(v.Body) + len(v.Stamp) + len(v.Nonce) + len(v.Query) + len(v.Authorization)
	case *Reply:
		return fields + len(v.Body) + len(v.Proof)
	case *Status:
		return 1024 + len(v.Manifest) + len(v.AttestationDocument)
	case *appendParams:
		return fields + total(v.Records)
	case *list:
		return fields + total(v.Items)
	case *manifestResult:
		return fields + len(v.Manifest)
	case *KMSQuestion:
		return fields + len(v.KeyID) + len(v.Ciphertext) + len(v.Document)
	case *KMSAnswer:
		return fields + len(v.CiphertextForRecipient)
	case *sendPortParams:
		return fields + messages(v.Messages)
	case *relayMessages:
		return fields + messages(v.Messages)
	case *RuleQuestion:
		return fields + len(v.URL) + len(v.JWT)
	case *RuleAnswer:
		return fields + len(v.Body)
	case *Error:
		return fields + len(v.Message) + len(v.Culprits)*(maxCulprit+2)
	}
	return fields
}

func total(items [][]byte) (n int) {
	for _, item := range items {
		n += len(item) + 5
	}
	return n
}
