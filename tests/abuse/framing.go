package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// framing is block A at the enclave's side of the door, where the host is the
// attacker.
var framing = slices.Concat(
	[]row{
		{id: "A1", what: "frame of length 0", run: enclaveDoor(frameOf(1, 0, nil), "FRAME_LENGTH", true)},
		{id: "A2", what: "length of all ones", run: enclaveDoor(frameOf(1, 1<<32-1, nil), "FRAME_LENGTH", true)},
		{id: "A2b", what: "length that is negative as an int32", run: enclaveDoor(frameOf(1, 1<<31, nil), "FRAME_LENGTH", true)},
		{id: "A3", what: "length one beyond the limit", run: enclaveDoor(frameOf(1, maxBody+1, nil), "FRAME_LENGTH", true)},
	},
	connectionRows,
	[]row{
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
	},
)

func enclaveDoor(send []byte, reason string, closes bool) func(*world) (string, error) {
	return func(w *world) (string, error) { return doorCase{w.door, send, reason, closes}.refused() }
}

// enclaveBody is a frame with a right checksum around a wrong body.
func enclaveBody(body string) func(*world) (string, error) {
	return func(w *world) (string, error) {
		return doorCase{w.door, frame([]byte(body)), "FRAME_ENCODING", false}.refused()
	}
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
