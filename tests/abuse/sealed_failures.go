package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/enclave/wire"
)

// failureRows are hosts that fail or lie while the enclave works.
var failureRows = []row{
	{id: "I10", what: "disk full at an append: refused, nothing changed; later the same body once", run: fullDisk},
	{id: "I10b", what: "append kept, its answer lost: the activity is there once", run: lostAnswer},
	{id: "I10c", what: "append answered with success, other bytes kept", run: forgedAppend},
	{id: "I10d", what: "blobs refused: no key exists", run: refusedBlobs},
	{id: "I11", what: "blobs answered with success, nothing kept: found at the next boot, by name", run: lostBlobs},
	{id: "A9h", what: "host that answers a read with more, with others, with none in between", run: lyingReads},
}

// atAppend runs an enclave whose host does something at its next appends.
func (w *world) atAppend(fail func(h *enclavetest.Host, index uint64, records [][]byte) (bool, error), then func(r *rig) (string, error)) (string, error) {
	h := w.sealed.host()
	r, err := w.sealed.running(h)
	if err != nil {
		return "", err
	}
	defer r.end()
	h.Edit(func(h *enclavetest.Host) {
		h.FailAppend = func(index uint64, records [][]byte) (bool, error) { return fail(h, index, records) }
	})
	return then(r)
}

func fullDisk(w *world) (string, error) {
	full := true
	var mu sync.Mutex
	fail := func(*enclavetest.Host, uint64, [][]byte) (bool, error) {
		mu.Lock()
		defer mu.Unlock()
		if full {
			return false, wire.Errorf(wire.ResourceExhausted, "DISK_FULL", "the host's disk is full")
		}
		return false, nil
	}
	return w.atAppend(fail, func(r *rig) (string, error) {
		body := w.sealed.signBody(0)
		if a, err := r.activity(signPath, body, w.sealed.key); err == nil {
			return "", fmt.Errorf("released before its record: %s", a.Status)
		}
		if n := len(r.host.Records); n != len(w.sealed.records) {
			return "", fmt.Errorf("%d entries", n)
		}
		mu.Lock()
		full = false
		mu.Unlock()
		return w.once(r, body)
	})
}

// once sends a body until it is served, and wants one entry of it.
func (w *world) once(r *rig, body []byte) (string, error) {
	deadline := time.Now().Add(8 * time.Second)
	for {
		a, err := r.completed(signPath, body, w.sealed.key)
		if err == nil {
			again, err := r.completed(signPath, body, w.sealed.key)
			if err != nil || again.ID != a.ID {
				return "", fmt.Errorf("again: %+v, %w", again, err)
			}
			if n := len(r.host.Records) - len(w.sealed.records); n != 1 {
				return "", fmt.Errorf("%d entries", n)
			}
			return "one activity, one entry", nil
		}
		if time.Now().After(deadline) {
			return "", err
		}
		<-time.After(20 * time.Millisecond)
	}
}

func lostAnswer(w *world) (string, error) {
	lost := false
	fail := func(*enclavetest.Host, uint64, [][]byte) (bool, error) {
		if lost {
			return false, nil
		}
		lost = true
		return true, enclavetest.ErrLost
	}
	return w.atAppend(fail, func(r *rig) (string, error) { return w.once(r, w.sealed.signBody(0)) })
}

// forgedAppend keeps other bytes. They are found when they are read back.
func forgedAppend(w *world) (string, error) {
	fail := func(h *enclavetest.Host, _ uint64, records [][]byte) (bool, error) {
		h.Records = append(h.Records, bytes.Repeat([]byte{1}, len(records[0])))
		return false, enclavetest.ErrLost
	}
	return w.atAppend(fail, func(r *rig) (string, error) {
		if a, err := r.activity(signPath, w.sealed.signBody(0), w.sealed.key); err == nil {
			return "", fmt.Errorf("served: %s", a.Status)
		}
		s, err := r.until(func(s *wire.Status) bool { return s.Phase == wire.PhaseStale })
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%s: %s", s.Phase, s.Reason), nil
	})
}

func refusedBlobs(w *world) (string, error) {
	h := w.sealed.host()
	r, err := w.sealed.running(h)
	if err != nil {
		return "", err
	}
	defer r.end()
	h.Edit(func(h *enclavetest.Host) { h.FailBlobs = func() error { return enclavetest.ErrLost } })
	t := team{org: w.sealed.org}
	body := t.body(typeCreate, keyParameters("CURVE_P256"))
	reply, err := r.do(createPath, body, w.sealed.key)
	if err != nil || reply.Status != 503 || len(h.Records) != len(w.sealed.records) {
		return "", fmt.Errorf("%+v, %w, %d entries", reply, err, len(h.Records))
	}
	h.Edit(func(h *enclavetest.Host) { h.FailBlobs = nil })
	a, err := r.completed(createPath, body, w.sealed.key)
	if err != nil {
		return "", err
	}
	return "503, and later the same body made " + a.ID, nil
}

// forgetful says yes to blobs and keeps none.
type forgetful struct{ *enclavetest.Host }

func (forgetful) PutBlobs(context.Context, [][]byte) error { return nil }

func lostBlobs(w *world) (string, error) {
	h := w.sealed.host()
	r, err := w.sealed.boot(w.sealed.dir, forgetful{h})
	if err != nil {
		return "", err
	}
	defer r.end()
	if _, err := r.settled(); err != nil {
		return "", err
	}
	t := team{org: w.sealed.org}
	if _, err := r.completed(createPath, t.body(typeCreate, keyParameters("CURVE_P256")), w.sealed.key); err != nil {
		return "", err
	}
	again, err := w.sealed.running(h)
	if err != nil {
		return "", err
	}
	defer again.end()
	var list struct {
		PrivateKeys []struct{ PrivateKeyID, PublicKey string }
	}
	reply, err := again.do("/public/v1/query/list_private_keys", toJSON(object{"organizationId": w.sealed.org}), w.sealed.key)
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(reply.Body, &list); err != nil || len(list.PrivateKeys) != 3 {
		return "", fmt.Errorf("%s, %w", reply.Body, err)
	}
	t.keyID = list.PrivateKeys[2].PrivateKeyID
	a, err := again.activity(signPath, t.body(typeSign, t.signParameters()), w.sealed.key)
	if err != nil {
		return "", err
	}
	if a.Status != failed || a.Failure == nil || !strings.Contains(a.Failure.Message, t.keyID) {
		return "", fmt.Errorf("%s, %+v", a.Status, a.Failure)
	}
	return "failed: " + a.Failure.Message, nil
}

// A liar changes what it reads.
type liar struct {
	*enclavetest.Host
	lie func(index uint64, records [][]byte) [][]byte
}

func (l liar) ReadRange(ctx context.Context, index uint64, limit int) ([][]byte, error) {
	records, err := l.Host.ReadRange(ctx, index, limit)
	if err != nil || limit == 1 { // the enclave asks whether there is a host
		return records, err
	}
	return l.lie(index, records), nil
}

func lyingReads(w *world) (string, error) {
	all := w.sealed.records
	return each([]func(uint64, [][]byte) [][]byte{
		func(_ uint64, r [][]byte) [][]byte { return append(r, all[0]) },
		func(index uint64, r [][]byte) [][]byte {
			if index == 0 {
				return r[1:]
			}
			return r
		},
		func(uint64, [][]byte) [][]byte { return [][]byte{all[1]} },
		func(uint64, [][]byte) [][]byte { return bytes.Split(bytes.Repeat([]byte("x"), 4000), nil) },
	}, func(lie func(uint64, [][]byte) [][]byte) (string, error) {
		return w.sealed.broken(w.sealed.dir, liar{w.sealed.host(), lie}, "journal entry")
	})
}
