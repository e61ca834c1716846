package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/tests/appliance"
)

// framing is block A at the enclave's side of the door, where the host is the
// attacker.
var framing = []row{
	{id: "A1", what: "frame of length 0", run: enclaveDoor(frameOf(1, 0, nil), "FRAME_LENGTH", true)},
	{id: "A2", what: "length of all ones", run: enclaveDoor(frameOf(1, 1<<32-1, nil), "FRAME_LENGTH", true)},
	{id: "A2b", what: "length that is negative as an int32", run: enclaveDoor(frameOf(1, 1<<31, nil), "FRAME_LENGTH", true)},
	{id: "A3", what: "length one beyond the limit", run: enclaveDoor(frameOf(1, maxBody+1, nil), "FRAME_LENGTH", true)},
	{id: "A4", what: "64 frames of 1 MiB announced, 1 KiB sent, then silence", run: silence, slow: true},
	{id: "A5", what: "1,200 connections that say one byte each; an honest client meanwhile", run: crowd},
	{id: "A6", what: "frame cut off at every eighth byte, then closed", run: cutFrames},
	{id: "A7", what: "two frames in one write, and one frame in writes of one byte", run: oddWrites},
	{id: "A8", what: "calls whose answers are never read", run: neverRead, slow: true},
	{id: "A11", what: "frame version 0", run: enclaveDoor(frameOf(0, 1, []byte{0xa0}), "FRAME_VERSION", true)},
	{id: "A11b", what: "frame version 2", run: enclaveDoor(frameOf(2, 1, []byte{0xa0}), "FRAME_VERSION", true)},
	{id: "A11c", what: "call that does not exist", run: enclaveDoor(call(3, fields{}), "UNKNOWN_METHOD", false)},
	{id: "A11d", what: "the host's own call sent to the enclave", run: enclaveDoor(call(callAppend, fields{1: 0, 2: [][]byte{}}), "UNKNOWN_METHOD", false)},
	{id: "A13", what: "checksum off by a bit", run: enclaveDoor(flipLast(call(callStatus, fields{})), "FRAME_CHECKSUM", true)},
	{id: "A14", what: "CBOR of indefinite length", run: enclaveBody("\xbf\x01\x01\x02\xa0\xff")},
	{id: "A15", what: "CBOR tag", run: enclaveBody("\xa2\x01\x01\x02\xc1\xa0")},
	{id: "A16", what: "CBOR map that names a key twice", run: enclaveBody("\xa3\x01\x01\x01\x01\x02\xa0")},
	{id: "A17", what: "CBOR integer in two bytes that fits one", run: enclaveBody("\xa2\x01\x18\x01\x02\xa0")},
	{id: "A18", what: "bytes behind the CBOR", run: enclaveBody("\xa2\x01\x01\x02\xa0\x00")},
	{id: "A19", what: "CBOR of 500,000 nested arrays", run: enclaveBody("\xa2\x01\x01\x02" + strings.Repeat("\x81", 500_000) + "\x00")},
	{id: "A20", what: "CBOR array of 2^32 elements claimed", run: enclaveBody("\xa2\x01\x02\x02\xa3\x01\x02\x02\x61/\x03\x9a\xff\xff\xff\xff")},
	{id: "A21", what: "map keys out of order", run: enclaveBody("\xa2\x02\xa0\x01\x01")},
	{id: "A22", what: "text where bytes belong", run: enclaveDoor(call(callDo, doRequest(fields{3: "text"})), "FRAME_ENCODING", false)},
	{id: "A23", what: "field of a request that the enclave does not know", run: enclaveDoor(call(callDo, doRequest(fields{9: 1})), "FRAME_ENCODING", false)},
	{id: "A24", what: "API that does not exist", run: enclaveDoor(call(callDo, doRequest(fields{1: 7})), "", false)},
	{id: "A25", what: "path with a line break, none, of 600 bytes, without a slash", run: paths},
	{id: "A26", what: "nonce of 15 bytes, of 65", run: nonces},
	{id: "A27", what: "stamp without its kind, kind without a stamp, kind 9", run: kinds},
	{id: "A10", what: "file mode of both sockets lets nobody else connect", run: socketModes},
}

func enclaveDoor(send []byte, reason string, closes bool) func(*world) (string, error) {
	return func(w *world) (string, error) { return doorCase{w.door, send, reason, closes}.refused() }
}

// enclaveBody is a frame with a right checksum around a wrong body.
func enclaveBody(body string) func(*world) (string, error) {
	return func(w *world) (string, error) {
		return doorCase{w.door, frame([]byte(body)), "FRAME_ENCODING", false}.refused()
	}
}

func flipLast(b []byte) []byte { return flipped(b, len(b)-1) }

// silence announces more than it sends. The memory taken must be that of what
// was sent, and the deadline must come.
func silence(w *world) (string, error) {
	before, err := appliance.Memory(w.app.EnclavePID)
	if err != nil {
		return "", err
	}
	start := append([]byte{1, 0, 16, 0, 0}, make([]byte, 1024)...)
	var conns []*doorConn
	for range 64 {
		c, err := dialDoor(w.door)
		if err != nil {
			return "", err
		}
		defer c.Close()
		conns = append(conns, c)
		if _, err := c.Write(start); err != nil {
			return "", err
		}
	}
	began := time.Now()
	for _, c := range conns {
		if err := c.ends(13 * time.Second); err != nil {
			return "", err
		}
	}
	after, err := appliance.Memory(w.app.EnclavePID)
	if err != nil {
		return "", err
	}
	if after-before > 100<<20 { // the other rows run beside this one
		return "", fmt.Errorf("the enclave grew by %d MiB", (after-before)>>20)
	}
	return fmt.Sprintf("closed after %.0f s", time.Since(began).Seconds()), nil
}

// crowd fills the door beyond its cap.
func crowd(w *world) (string, error) {
	var conns []*doorConn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for range 1200 {
		c, err := dialDoor(w.door)
		if err != nil {
			break // the backlog is full too
		}
		conns = append(conns, c)
		_, _ = c.Write([]byte{1})
	}
	last := conns[len(conns)-1]
	a, err := last.receive()
	if err != nil || a.Error == nil || a.Error.Reason != "DOOR_BUSY" {
		return "", fmt.Errorf("connection %d is not turned away: %+v, %w", len(conns), a, err)
	}
	r, err := w.http.Post(appliance.Query+"whoami", toJSON(object{"organizationId": w.main.org}), w.main.key())
	if err != nil || r.Status != 200 {
		return "", fmt.Errorf("an honest client is not served: %+v, %w", r, err)
	}
	return fmt.Sprintf("connection %d: %s; the honest client is served", len(conns), a.Error.Message), nil
}

// cutFrames ends connections inside a frame; nothing may be carried out.
func cutFrames(w *world) (string, error) {
	whole := call(callDo, doRequest(fields{2: signPath, 3: w.main.signBody()}))
	n := 0
	for cut := 1; cut < len(whole); cut += 8 {
		c, err := dialDoor(w.door)
		if err != nil {
			return "", err
		}
		_, err = c.Write(whole[:cut])
		if err == nil {
			err = c.Conn.(*net.UnixConn).CloseWrite()
		}
		if err == nil {
			err = c.ends(5 * time.Second)
		}
		c.Close()
		if err != nil {
			return "", fmt.Errorf("cut at %d of %d: %w", cut, len(whole), err)
		}
		n++
	}
	return fmt.Sprintf("closed without an answer, %d times", n), nil
}

// oddWrites must make no difference.
func oddWrites(w *world) (string, error) {
	c, err := dialDoor(w.door)
	if err != nil {
		return "", err
	}
	defer c.Close()
	one := call(callDo, doRequest(fields{2: "/nowhere"}))
	if _, err := c.Write(append(slices.Clone(one), one...)); err != nil {
		return "", err
	}
	first, err := c.receive()
	if err != nil {
		return "", err
	}
	second, err := c.receive()
	if err != nil {
		return "", err
	}
	for i := range one {
		if _, err := c.Write(one[i : i+1]); err != nil {
			return "", err
		}
	}
	third, err := c.receive()
	if err != nil {
		return "", err
	}
	if len(first.Result) == 0 || !bytes.Equal(first.Result, second.Result) || !bytes.Equal(first.Result, third.Result) {
		return "", errors.New("the three answers differ")
	}
	return "the three answers are the same", nil
}

// neverRead sends calls until nothing more is taken, and wants to be cut off.
func neverRead(w *world) (string, error) {
	c, err := dialDoor(w.door)
	if err != nil {
		return "", err
	}
	defer c.Close()
	status := call(callStatus, fields{})
	began := time.Now()
	for sent := 0; sent < 1<<20; sent++ {
		_ = c.SetWriteDeadline(time.Now().Add(15 * time.Second))
		if _, err := c.Write(status); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return "", fmt.Errorf("the connection is open after %v", time.Since(began))
			}
			return fmt.Sprintf("cut off after %.0f s", time.Since(began).Seconds()), nil
		}
	}
	return "", errors.New("a million calls were taken")
}

func paths(w *world) (string, error) {
	return each([]string{"/public\n/v1", "", "/" + strings.Repeat("a", 599), "public/v1/query/whoami", "/\x1b[2J", "/é"}, func(path string) (string, error) {
		return doorCase{w.door, call(callDo, doRequest(fields{2: path})), "", false}.refused()
	})
}

func nonces(w *world) (string, error) {
	return each([]int{1, 15, 65, 4096}, func(n int) (string, error) {
		return doorCase{w.door, call(callDo, doRequest(fields{6: make([]byte, n)})), "", false}.refused()
	})
}

func kinds(w *world) (string, error) {
	return each([]fields{{5: []byte("x")}, {4: 1}, {4: 9, 5: []byte("x")}}, func(f fields) (string, error) {
		return doorCase{w.door, call(callDo, doRequest(f)), "", false}.refused()
	})
}

func socketModes(w *world) (string, error) {
	return each([]string{w.door, w.hostDoor}, func(path string) (string, error) {
		info, err := os.Lstat(path)
		if err != nil {
			return "", err
		}
		if info.Mode().Type() != os.ModeSocket || info.Mode().Perm()&0o077 != 0 {
			return "", fmt.Errorf("%s has mode %v", path, info.Mode())
		}
		return info.Mode().String(), nil
	})
}

// hostDoor is block A at the host's side. The enclave is believed there, but
// whatever connects must not bring the host down.
var hostDoor = []row{
	{id: "A1h", what: "frame of length 0 to the host", run: atHost(frameOf(1, 0, nil), "FRAME_LENGTH", true)},
	{id: "A2h", what: "length of all ones to the host", run: atHost(frameOf(1, 1<<32-1, nil), "FRAME_LENGTH", true)},
	{id: "A11h", what: "the enclave's own call sent to the host", run: atHost(call(callDo, doRequest(nil)), "UNKNOWN_METHOD", false)},
	{id: "A30", what: "append at an index that is not the journal's length", run: wrongIndex},
	{id: "A31", what: "read of 0 records, of 2^62, from index 2^63-1", run: wrongRange},
	{id: "A32", what: "blob by a name of 31 bytes, of an unknown one", run: wrongName},
	{id: "A33", what: "4,097 names in one call", run: atHost(call(callGet, fields{1: manyNames(4097)}), "FRAME_ENCODING", false)},
}

func atHost(send []byte, reason string, closes bool) func(*world) (string, error) {
	return func(w *world) (string, error) {
		return hostCase(w, send, reason, closes)
	}
}

// hostCase is refused at the host's door, where there is no status to ask for.
func hostCase(w *world, send []byte, reason string, closes bool) (string, error) {
	c, err := dialDoor(w.hostDoor)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := c.Write(send); err != nil {
		return "", err
	}
	a, err := c.receive()
	if err != nil {
		return "", err
	}
	if a.Error == nil || reason != "" && a.Error.Reason != reason {
		return "", fmt.Errorf("want %s, got %+v", reason, a.Error)
	}
	if closes {
		err = c.ends(5 * time.Second)
	}
	return fmt.Sprintf("%s: %s", a.Error.Reason, a.Error.Message), err
}

func wrongIndex(w *world) (string, error) {
	return each([]uint64{0, 1, 1 << 40, 1<<64 - 1}, func(index uint64) (string, error) {
		return hostCase(w, call(callAppend, fields{1: index, 2: [][]byte{[]byte("forged")}}), "JOURNAL_LENGTH", false)
	})
}

func wrongRange(w *world) (string, error) {
	seen, err := each([]uint64{0, 1 << 62}, func(limit uint64) (string, error) {
		return hostCase(w, call(callRead, fields{1: 0, 2: limit}), "", false)
	})
	if err != nil {
		return "", err
	}
	c, err := dialDoor(w.hostDoor)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := c.Write(call(callRead, fields{1: uint64(1<<63 - 1), 2: 10})); err != nil {
		return "", err
	}
	a, err := c.receive()
	if err != nil || a.Error != nil || !bytes.Equal(a.Result, []byte{0xa1, 0x01, 0x80}) {
		return "", fmt.Errorf("from index 2^63-1: %+v, %w", a, err)
	}
	return seen, nil
}

func wrongName(w *world) (string, error) {
	return each([]int{0, 31, 33, 32}, func(n int) (string, error) {
		return hostCase(w, call(callGet, fields{1: [][]byte{make([]byte, n)}}), "", false)
	})
}

func manyNames(n int) [][]byte {
	names := make([][]byte, n)
	for i := range names {
		names[i] = make([]byte, 32)
	}
	return names
}
