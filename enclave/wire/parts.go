package wire

import (
	"bytes"
	"errors"
	"fmt"
	"net"
)

// A long answer is an answer of Do whose body, {1: result}, passes MaxBody. It
// crosses as several frames, one after the other on the connection of its call:
//
//	{3: bytes}   all frames but the last
//	{4: bytes}   the last frame
//
// The bytes, 1 to maxPart in each frame, are the parts of the body in their
// order, maxAnswer in all. Nothing comes between them: an error is an answer of
// its own and is never long, since the whole answer is encoded before its first
// part leaves. Requests and all other answers have no parts, so the enclave
// never puts a message of the host together.

var (
	errTooLong    = fmt.Errorf("passes the answer limit of %d bytes", maxAnswer)
	errNoPart     = errors.New("an answer in parts must have one field in each frame, 3 or at its end 4")
	errPartSize   = fmt.Errorf("a part of an answer must be 1 to %d bytes", maxPart)
	errBeginsLast = errors.New("an answer begins with its last part")
	errNotResult  = errors.New("an answer in parts must be a result")
)

// answer is an encoded answer of a server.
type answer struct {
	frame *bytes.Buffer // whole; only room for a header and a body when long
	long  bool
	held  int // of the server's budget, until it is written
}

// encodeLong makes the answer of a result whose size, which is no less than
// that of its body, passes a frame. The result is not used any more after that:
// only the encoded copy waits to be written, and counts as memory.
func (s *server) encodeLong(result any, size int) (answer, error) {
	if size > maxAnswer {
		return answer{}, errTooLong
	}
	if !s.share.take(size) {
		return answer{}, Errorf(ResourceExhausted, ReasonBusy, "too many long answers at once")
	}
	a := answer{frame: new(bytes.Buffer), held: size}
	if err := encodeBody(a.frame, resultHead, result, size); err != nil {
		recycle(a.frame)
		s.share.give(size)
		return answer{}, err
	}
	a.long = a.frame.Len()-headerSize > MaxBody
	if !a.long {
		sealFrame(a.frame)
	}
	return a, nil
}

// write gives the answer to the peer.
func (a answer) write(conn net.Conn, l limits) error {
	if a.long {
		return writeParts(conn, a.frame.Bytes()[headerSize:], l)
	}
	return writeFrame(conn, a.frame.Bytes(), l.write)
}

// writeParts gives a long answer's body to the peer. Each frame has the time of
// a frame.
func writeParts(conn net.Conn, body []byte, l limits) error {
	const bytesHead = 5 // of a byte string of this size
	frame := new(bytes.Buffer)
	defer recycle(frame)
	for len(body) > 0 {
		part := body[:min(len(body), l.part)]
		body = body[len(part):]
		head := partHead
		if len(body) == 0 {
			head = lastHead
		}
		wipe(frame)
		if err := encodeBody(frame, head, part, len(part)+bytesHead); err != nil {
			return err
		}
		sealFrame(frame)
		if err := writeFrame(conn, frame.Bytes(), l.write); err != nil {
			return err
		}
	}
	return nil
}

// answer reads an answer's body. When it may be long it may come in parts, and
// is put together.
func (c *clientConn) answer(long bool) ([]byte, error) {
	body, err := c.in.next()
	if err != nil || !long || !beginsPart(body) {
		return body, err
	}
	for {
		part, last, err := openPart(body)
		if err != nil {
			return nil, err
		}
		if err := c.keep(part, last); err != nil {
			return nil, err
		}
		if last {
			return c.long, nil
		}
		if body, err = c.in.more(); err != nil {
			return nil, err
		}
	}
}

// beginsPart looks at the first key alone, so that ordinary answers are walked
// only once: keys ascend, and a frame of a long answer has none below 3.
func beginsPart(body []byte) bool {
	return len(body) > 1 && body[0]>>5 == majorMap && (body[1] == partHead[1] || body[1] == lastHead[1])
}

// openPart reads a frame of a long answer. Only the host does, which ignores
// fields that it does not know.
func openPart(body []byte) (part []byte, last bool, err error) {
	e, err := openEnvelope(body)
	if err != nil {
		return nil, false, err
	}
	if e.one != nil || e.two != nil || (e.part == nil) == (e.last == nil) {
		return nil, false, errNoPart
	}
	last = e.last != nil
	s := scanner{data: e.part}
	if last {
		s.data = e.last
	}
	major, size, err := s.head()
	if err != nil || major != majorBytes || size == 0 || size > maxPart {
		return nil, false, errPartSize
	}
	return s.data[s.pos:], last, nil
}

// keep appends a part to what came before. The buffer grows with the bytes that
// have come, and no copy of them is left behind.
func (c *clientConn) keep(part []byte, last bool) error {
	need := len(c.long) + len(part)
	switch {
	case last && len(c.long) == 0:
		return errBeginsLast
	case need > maxAnswer:
		return errTooLong
	case need > cap(c.long):
		larger := make([]byte, len(c.long), min(max(2*cap(c.long), need), maxAnswer))
		copy(larger, c.long)
		clear(c.long)
		c.long = larger
	}
	c.long = append(c.long, part...)
	if last && c.long[1] != resultHead[1] { // two parts are two bytes at least
		return errNotResult
	}
	return nil
}

// begun tells whether bytes of an answer are there.
func (c *clientConn) begun() bool { return c.in.begun() || len(c.long) > 0 }
