package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"os"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// The door, byte by byte: this shares no code with the package that it tests.

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const maxBody = 1 << 20

// frame puts a body into a frame.
func frame(body []byte) []byte { return frameOf(1, uint32(len(body)), body) }

// frameOf lies about version and length. The checksum is right.
func frameOf(version byte, length uint32, body []byte) []byte {
	b := append([]byte{version}, 0, 0, 0, 0)
	binary.BigEndian.PutUint32(b[1:], length)
	b = append(b, body...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// det encodes deterministic CBOR.
func det(v any) []byte {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic("internal error: " + err.Error())
	}
	b, err := mode.Marshal(v)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return b
}

type fields = map[uint64]any

// Methods of the door.
const (
	callStatus = 1
	callDo     = 2
	callAppend = 17
	callRead   = 18
	callPut    = 19
	callGet    = 20
)

func call(method uint64, params any) []byte { return frame(det(fields{1: method, 2: params})) }

// doRequest is the parameters of a call that asks for the status.
func doRequest(change fields) fields {
	f := fields{1: 2, 2: "/sallyport/v1/status", 3: []byte{}}
	for k, v := range change {
		f[k] = v
	}
	return f
}

// A doorConn is one connection to a door.
type doorConn struct{ net.Conn }

func dialDoor(path string) (*doorConn, error) {
	c, err := net.DialTimeout("unix", path, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return &doorConn{c}, nil
}

// doorAnswer is the body of an answer.
type doorAnswer struct {
	Result cbor.RawMessage `cbor:"1,keyasint"`
	Error  *struct {
		Code    int    `cbor:"1,keyasint"`
		Reason  string `cbor:"2,keyasint"`
		Message string `cbor:"3,keyasint"`
	} `cbor:"2,keyasint"`
}

var errNoAnswer = errors.New("no answer within 5 s")

// receive reads one answer.
func (c *doorConn) receive() (*doorAnswer, error) {
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	head := make([]byte, 5)
	if _, err := io.ReadFull(c, head); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, errNoAnswer
		}
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if head[0] != 1 || n == 0 || n > maxBody {
		return nil, fmt.Errorf("answer begins % x", head)
	}
	rest := make([]byte, n+4)
	if _, err := io.ReadFull(c, rest); err != nil {
		return nil, err
	}
	if crc32.Checksum(append(head, rest[:n]...), castagnoli) != binary.BigEndian.Uint32(rest[n:]) {
		return nil, errors.New("answer has a wrong checksum")
	}
	a := new(doorAnswer)
	return a, cbor.Unmarshal(rest[:n], a)
}

// ends wants the other side to close, with no more bytes, within a time.
func (c *doorConn) ends(within time.Duration) error {
	_ = c.SetReadDeadline(time.Now().Add(within))
	b := make([]byte, 256)
	n, err := c.Read(b)
	switch {
	case n > 0:
		return fmt.Errorf("%d bytes came instead of the end: % x", n, b[:min(n, 16)])
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("the connection is open after %v", within)
	}
	return nil
}

// A doorCase is bytes to send, and the refusal that must come.
type doorCase struct {
	path   string
	send   []byte
	reason string // "" takes any
	closes bool   // the connection ends; otherwise it must stay usable
}

// refused sends bytes and wants them refused by name.
func (d doorCase) refused() (string, error) {
	c, err := dialDoor(d.path)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := c.Write(d.send); err != nil {
		return "", err
	}
	a, err := c.receive()
	if err != nil {
		return "", err
	}
	if a.Error == nil {
		return "", errors.New("it was carried out")
	}
	seen := fmt.Sprintf("%s: %s", a.Error.Reason, a.Error.Message)
	if d.reason != "" && a.Error.Reason != d.reason {
		return "", fmt.Errorf("want %s, got %s", d.reason, seen)
	}
	if d.closes {
		return seen + ", closed", c.ends(5 * time.Second)
	}
	if bytes.HasPrefix([]byte(a.Error.Message), []byte("incident")) {
		return "", fmt.Errorf("an internal error: %s", seen)
	}
	return seen, nil
}
