package main

import (
	"bytes"
	"fmt"
	"time"
)

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
