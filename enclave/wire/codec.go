package wire

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"github.com/fxamacker/cbor/v2"
)

// Reasons that the door itself gives.
const (
	// ReasonLength is a body length of zero or beyond [MaxBody].
	ReasonLength = "FRAME_LENGTH"
	// ReasonVersion is a frame version that is not spoken.
	ReasonVersion = "FRAME_VERSION"
	// ReasonChecksum is a frame that was damaged on its way.
	ReasonChecksum = "FRAME_CHECKSUM"
	// ReasonEncoding is a body that is not what its method takes.
	ReasonEncoding = "FRAME_ENCODING"
	// ReasonMethod is a method that this side does not have.
	ReasonMethod = "UNKNOWN_METHOD"
	// ReasonBusy is a door that holds as many connections or bytes as it may.
	ReasonBusy = "DOOR_BUSY"
	// ReasonNoAnswer is a call whose answer did not come or made no sense. It
	// may have been carried out.
	ReasonNoAnswer = "NO_ANSWER"
)

// Bodies begin with these bytes, to which one encoded value is appended.
// A request is {1: method, 2: parameters}, an answer {1: result} or {2: Error},
// and a frame of a long answer {3: part} or, at its end, {4: part}.
var (
	resultHead = []byte{0xa1, 0x01} // map(1), key 1
	errorHead  = []byte{0xa1, 0x02} // map(1), key 2
	partHead   = []byte{0xa1, 0x03} // map(1), key 3
	lastHead   = []byte{0xa1, 0x04} // map(1), key 4
)

// requestHead is map(2), key 1, method, key 2.
func requestHead(m method) []byte {
	if m < 24 {
		return []byte{0xa2, 0x01, byte(m), 0x02}
	}
	return []byte{0xa2, 0x01, 0x18, byte(m), 0x02}
}

// codec is one side's way to read. The enclave refuses fields it does not
// know; the host ignores them.
type codec struct {
	mode   cbor.DecMode
	strict bool
}

var (
	enclaveCodec = codec{mode: decMode(cbor.ExtraDecErrorUnknownField), strict: true}
	hostCodec    = codec{mode: decMode(cbor.ExtraDecErrorNone)}
	encoder      = encMode()
)

// decMode repeats the limits of [scanner], which has seen every body first.
func decMode(extra cbor.ExtraDecErrorCond) cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		MaxNestedLevels:   maxDepth,
		MaxArrayElements:  maxElements,
		MaxMapPairs:       maxPairs,
		ExtraReturnErrors: extra,
	}.DecMode()
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return mode
}

func encMode() cbor.UserBufferEncMode {
	options := cbor.CoreDetEncOptions() // RFC 8949 section 4.2.1
	options.TagsMd = cbor.TagsForbidden
	options.NilContainers = cbor.NilContainerAsEmpty // null never crosses
	mode, err := options.UserBufferEncMode()
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return mode
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

var errTooLarge = fmt.Errorf("passes the frame limit of %d bytes", MaxBody)

// encode makes a whole frame, to be given to recycle after its last use. hint
// is about the size of value, so that the buffer need not leave copies behind
// while it grows.
func encode(head []byte, value any, hint int) (*bytes.Buffer, error) {
	frame := buffers.Get().(*bytes.Buffer)
	err := encodeBody(frame, head, value, hint)
	if err == nil && frame.Len()-headerSize > MaxBody {
		err = errTooLarge
	}
	if err != nil {
		recycle(frame)
		return nil, err
	}
	sealFrame(frame)
	return frame, nil
}

// encodeBody writes a body of any size into an empty frame, behind the room
// for its header.
func encodeBody(frame *bytes.Buffer, head []byte, value any, hint int) error {
	frame.Grow(headerSize + len(head) + hint + trailerSize)
	frame.Write(make([]byte, headerSize))
	frame.Write(head)
	return encoder.MarshalToBuffer(value, frame)
}

// wipe empties a frame for another one of the same message.
func wipe(frame *bytes.Buffer) {
	clear(frame.Bytes())
	frame.Reset()
}

// recycle wipes a frame before another call, perhaps another client's, writes
// into the same buffer.
func recycle(frame *bytes.Buffer) {
	wipe(frame)
	if frame.Cap() <= maxPooled {
		buffers.Put(frame)
	}
}

// request reads a request's body. params stays encoded and is valid as long as body.
func (c codec) request(body []byte) (m method, params []byte, err *Error) {
	e, bad := openEnvelope(body)
	if bad != nil {
		return 0, nil, badEncoding("request: %v", bad)
	}
	if e.one == nil || e.two == nil || e.parted() || (c.strict && e.unknown) {
		return 0, nil, badEncoding("request: fields must be 1 and 2")
	}
	s := scanner{data: e.one}
	major, number, bad := s.head()
	if bad != nil || major != majorUint {
		return 0, nil, badEncoding("request: field 1 must be an unsigned integer")
	}
	return method(number), e.two, nil
}

// answer reads an answer's body into result, or returns the error it holds.
func (c codec) answer(body []byte, result any) (refusal *Error, err error) {
	e, err := openEnvelope(body)
	if err != nil {
		return nil, err
	}
	if (e.one == nil) == (e.two == nil) || e.parted() || (c.strict && e.unknown) {
		return nil, errors.New("fields must be either 1 or 2")
	}
	if e.one != nil {
		return nil, c.decode(e.one, result)
	}
	refusal = new(Error)
	if err := c.decode(e.two, refusal); err != nil {
		return nil, err
	}
	if err := refusal.valid(); err != nil {
		return nil, err
	}
	return refusal, nil
}

// decode reads one encoded value into the struct that v points to. Its errors
// name the field and the rule, never the bytes.
func (c codec) decode(data []byte, v any) error {
	err := c.mode.Unmarshal(data, v)
	if wrong, ok := errors.AsType[*cbor.UnmarshalTypeError](err); ok {
		return fmt.Errorf("field %s: cannot be a %s", wrong.StructFieldName, wrong.CBORType)
	}
	if _, ok := errors.AsType[*cbor.UnknownFieldError](err); ok {
		return errors.New("unknown field")
	}
	return err
}

func badEncoding(format string, args ...any) *Error {
	return Errorf(InvalidArgument, ReasonEncoding, format, args...)
}
