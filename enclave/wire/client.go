package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
)

var (
	_ Enclave = (*EnclaveClient)(nil)
	_ Host    = (*HostClient)(nil)
)

// client makes the calls of either side.
type client struct {
	pool  *pool
	codec codec
	peer  string // "enclave" or "host", for errors
}

func newClient(address, peer string, c codec) client {
	connect := func(ctx context.Context) (net.Conn, error) { return Dial(ctx, address) }
	return client{pool: &pool{limits: doorLimits(), connect: connect}, codec: c, peer: peer}
}

// EnclaveClient reaches an enclave through the door. It is what the host holds.
//
// Errors are an [*Error]: the enclave's own, or [Unavailable] with
// [ReasonNoAnswer] wrapping the cause when no answer came or it made no sense;
// the call may have been carried out then. Cancelling a call's context closes
// its connection, which cancels it in the enclave. All methods may be called
// at the same time; each call under way has a connection of its own.
type EnclaveClient struct{ client }

// NewEnclaveClient returns a client of the enclave at an address that [Dial]
// takes. It connects when it is used.
func NewEnclaveClient(address string) *EnclaveClient {
	return &EnclaveClient{newClient(address, "enclave", hostCodec)}
}

// Status implements [Enclave].
func (c *EnclaveClient) Status(ctx context.Context) (*Status, error) {
	return call[Status](ctx, c.client, methodStatus, &nothing{})
}

// Do implements [Enclave].
func (c *EnclaveClient) Do(ctx context.Context, r *Request) (*Reply, error) {
	if err := r.Valid(); err != nil {
		return nil, err
	}
	return call[Reply](ctx, c.client, methodDo, r)
}

// Close closes the connections that are not in use; those that are follow when
// their calls end. No call can be made afterwards. It returns nil.
func (c *EnclaveClient) Close() error {
	c.pool.close()
	return nil
}

// HostClient reaches a host through the door. It is what the enclave holds. It
// refuses answers of a wrong form, and believes none: whether records and blobs
// are the right ones is for its caller to find out.
//
// Errors, cancelling and concurrency are those of [EnclaveClient].
type HostClient struct{ client }

// NewHostClient returns a client of the host at an address that [Dial] takes.
// It connects when it is used.
func NewHostClient(address string) *HostClient {
	return &HostClient{newClient(address, "host", enclaveCodec)}
}

// Append implements [Host].
func (c *HostClient) Append(ctx context.Context, index uint64, records [][]byte) error {
	_, err := call[nothing](ctx, c.client, methodAppend, &appendParams{index, records})
	return err
}

// ReadRange implements [Host]. A limit beyond [MaxRange] counts as MaxRange.
func (c *HostClient) ReadRange(ctx context.Context, index uint64, limit int) ([][]byte, error) {
	limit = min(limit, MaxRange)
	got, err := call[list](ctx, c.client, methodReadRange, &rangeParams{index, limit})
	if err != nil {
		return nil, err
	}
	if len(got.Items) > limit {
		return nil, c.noAnswer(methodReadRange, fmt.Errorf("%d records for a limit of %d", len(got.Items), limit))
	}
	return got.Items, nil
}

// PutBlobs implements [Host].
func (c *HostClient) PutBlobs(ctx context.Context, blobs [][]byte) error {
	_, err := call[nothing](ctx, c.client, methodPutBlobs, &list{blobs})
	return err
}

// GetBlobs implements [Host].
func (c *HostClient) GetBlobs(ctx context.Context, names [][]byte) ([][]byte, error) {
	got, err := call[list](ctx, c.client, methodGetBlobs, &list{names})
	if err != nil {
		return nil, err
	}
	if len(got.Items) != len(names) {
		return nil, c.noAnswer(methodGetBlobs, fmt.Errorf("%d blobs for %d names", len(got.Items), len(names)))
	}
	return got.Items, nil
}

// Close is [EnclaveClient.Close].
func (c *HostClient) Close() error {
	c.pool.close()
	return nil
}

// call makes one call. It is a function because methods have no type parameters.
func call[R any](ctx context.Context, c client, m method, params any) (*R, error) {
	if err := ctx.Err(); err != nil {
		return nil, c.noAnswer(m, err)
	}
	frame, err := encode(requestHead(m), params, weight(params))
	if err != nil {
		return nil, Errorf(InvalidArgument, ReasonLength, "%v: request %v", m, err)
	}
	defer recycle(frame)
	result := new(R)
	var refusal *Error
	err = c.pool.exchange(ctx, frame.Bytes(), m.mayBeLong(), func(body []byte) (err error) {
		refusal, err = c.codec.answer(body, result)
		return err
	})
	switch {
	case err != nil:
		return nil, c.noAnswer(m, err)
	case refusal != nil:
		return nil, refusal
	}
	return result, nil
}

// noAnswer is an error whose text is for this side's log, and whose [*Error]
// may go on to others.
func (c client) noAnswer(m method, cause error) error {
	if e, ok := errors.AsType[*Error](cause); ok {
		cause = errors.New(e.Message) // broken framing, not the answer's error
	}
	return &noAnswerError{
		shown: Errorf(Unavailable, ReasonNoAnswer, "no answer from the %s", c.peer),
		call:  m.String(),
		cause: cause,
	}
}

type noAnswerError struct {
	shown *Error
	call  string
	cause error
}

func (e *noAnswerError) Error() string {
	return fmt.Sprintf("%s: %s: %v", e.call, e.shown.Message, e.cause)
}

func (e *noAnswerError) Unwrap() []error { return []error{e.shown, e.cause} }
