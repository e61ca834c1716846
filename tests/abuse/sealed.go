package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/enclave/wire"
)

// sealedRows are block I: a host that keeps the state and means ill. The
// enclave is a process of its own, and its host is this program.
var sealedRows = []row{
	{id: "I0", what: "an unchanged copy of the state is served, and knows what was acknowledged", run: untouched},
	{id: "I2", what: "share blobs changed, all of a key", run: changedShares},
	{id: "I2b", what: "one share of three missing: still served; all: a recorded failure", run: missingShares},
	{id: "I2c", what: "identity blob changed, missing", run: changedIdentity},
	{id: "I3", what: "shares of two keys under each other's names", run: swappedShares},
	{id: "I3b", what: "a share in the identity's place", run: shareAsIdentity},
	{id: "I4", what: "one bit at each part of an entry: magic, header, nonce, ciphertext, tag", run: changedEntries},
	{id: "I4b", what: "entry empty, cut, longer, of 700 KB, of zeros", run: entrySizes},
	{id: "I5", what: "first entry removed, a middle one, all", run: removedEntries},
	{id: "I5b", what: "two entries swapped, one twice, one in another's place", run: movedEntries},
	{id: "I5c", what: "entry of another appliance in place of ours", run: foreignEntry},
	{id: "I6", what: "two enclaves on one journal: one wins, the other is Stale", run: twoEnclaves},
	{id: "I7", what: "root of another appliance, cut, empty, not hex", run: otherRoots},
	{id: "I7b", what: "manifest of another appliance, of another name, of assurance nitro, of version 0", run: otherManifests},
	{id: "I7c", what: "manifest removed on a store that has a journal: no second genesis", run: secondGenesis},
	{id: "I10", what: "disk full at an append: refused, nothing changed; later the same body once", run: fullDisk},
	{id: "I10b", what: "append kept, its answer lost: the activity is there once", run: lostAnswer},
	{id: "I10c", what: "append answered with success, other bytes kept", run: forgedAppend},
	{id: "I10d", what: "blobs refused: no key exists", run: refusedBlobs},
	{id: "I11", what: "blobs answered with success, nothing kept: found at the next boot, by name", run: lostBlobs},
	{id: "A9h", what: "host that answers a read with more, with others, with none in between", run: lyingReads},
}

// sealedShares are the blobs that are not the identity.
func (b *base) shares(h *enclavetest.Host) (names [][32]byte) {
	for name := range h.Blobs {
		if !b.genesis[name] {
			names = append(names, name)
		}
	}
	return names
}

func untouched(w *world) (string, error) {
	r, err := w.sealed.running(w.sealed.host())
	if err != nil {
		return "", err
	}
	defer r.end()
	a, err := r.completed(signPath, w.sealed.acknowledged, w.sealed.key)
	if err != nil {
		return "", err
	}
	if a.ID != w.sealed.activity || len(r.host.Records) != len(w.sealed.records) {
		return "", fmt.Errorf("activity %s for %s, %d entries for %d", a.ID, w.sealed.activity, len(r.host.Records), len(w.sealed.records))
	}
	_, err = r.completed(signPath, w.sealed.signBody(1), w.sealed.key)
	return "the same activity, no new entry", err
}

// failsToSign wants every key of the state unusable, by name, with the failure
// recorded and no signature.
func (w *world) failsToSign(change func(*enclavetest.Host)) (string, error) {
	h := w.sealed.host()
	change(h)
	r, err := w.sealed.running(h)
	if err != nil {
		return "", err
	}
	defer r.end()
	var seen string
	for i, id := range w.sealed.keyIDs {
		a, err := r.activity(signPath, w.sealed.signBody(i), w.sealed.key)
		if err != nil {
			return "", err
		}
		if a.Status != "ACTIVITY_STATUS_FAILED" || len(a.Result) != 0 || a.Failure == nil || !strings.Contains(a.Failure.Message, id) {
			return "", fmt.Errorf("the activity is %s, %+v", a.Status, a.Failure)
		}
		seen = "failed: " + a.Failure.Message
	}
	return seen, nil
}

func changedShares(w *world) (string, error) {
	return w.failsToSign(func(h *enclavetest.Host) {
		for _, name := range w.sealed.shares(h) {
			h.Blobs[name] = flipped(h.Blobs[name], len(h.Blobs[name])/2)
		}
	})
}

func missingShares(w *world) (string, error) {
	names := w.sealed.shares(w.sealed.host())
	// One blob of six: its key has two left, the other three.
	h := w.sealed.host()
	delete(h.Blobs, names[0])
	r, err := w.sealed.running(h)
	if err != nil {
		return "", err
	}
	defer r.end()
	for i := range w.sealed.keyIDs {
		if _, err := r.completed(signPath, w.sealed.signBody(i), w.sealed.key); err != nil {
			return "", fmt.Errorf("one share missing: %w", err)
		}
	}
	return w.failsToSign(func(h *enclavetest.Host) {
		for _, name := range names {
			delete(h.Blobs, name)
		}
	})
}

func changedIdentity(w *world) (string, error) {
	return each([]func(*enclavetest.Host, [32]byte){
		func(h *enclavetest.Host, n [32]byte) { h.Blobs[n] = flipped(h.Blobs[n], len(h.Blobs[n])-1) },
		func(h *enclavetest.Host, n [32]byte) { delete(h.Blobs, n) },
		func(h *enclavetest.Host, n [32]byte) { h.Blobs[n] = nil },
	}, func(change func(*enclavetest.Host, [32]byte)) (string, error) {
		return w.sealed.damaged(func(h *enclavetest.Host) {
			for name := range w.sealed.genesis {
				change(h, name)
			}
		}, "identity")
	})
}

func swappedShares(w *world) (string, error) {
	return w.failsToSign(func(h *enclavetest.Host) {
		names := w.sealed.shares(h)
		old := h.Blobs[names[0]]
		for i := range names[:len(names)-1] {
			h.Blobs[names[i]] = h.Blobs[names[i+1]]
		}
		h.Blobs[names[len(names)-1]] = old
	})
}

func shareAsIdentity(w *world) (string, error) {
	return w.sealed.damaged(func(h *enclavetest.Host) {
		for name := range w.sealed.genesis {
			h.Blobs[name] = h.Blobs[w.sealed.shares(h)[0]]
		}
	}, "identity")
}

func changedEntries(w *world) (string, error) {
	last := len(w.sealed.records) - 1
	entry := w.sealed.records[last]
	positions := []int{0, 4, 8, 20, 60, 100, len(entry) / 2, len(entry) - 17, len(entry) - 1}
	return each(positions, func(at int) (string, error) {
		return w.sealed.damaged(func(h *enclavetest.Host) { h.Records[last] = flipped(entry, at) }, fmt.Sprintf("journal entry %d:", last))
	})
}

func entrySizes(w *world) (string, error) {
	entry := w.sealed.records[1]
	return each([][]byte{{}, entry[:1], entry[:len(entry)-1], append(bytes.Clone(entry), 0), bytes.Repeat(entry, 700<<10/len(entry)), make([]byte, len(entry))}, func(b []byte) (string, error) {
		return w.sealed.damaged(func(h *enclavetest.Host) { h.Records[1] = b }, "journal entry 1:")
	})
}

func removedEntries(w *world) (string, error) {
	if _, err := w.sealed.damaged(func(h *enclavetest.Host) { h.Records = h.Records[1:] }, "journal entry 0:"); err != nil {
		return "", err
	}
	if _, err := w.sealed.damaged(func(h *enclavetest.Host) { h.Records = nil }, "empty"); err != nil {
		return "", err
	}
	return w.sealed.damaged(func(h *enclavetest.Host) { h.Records = append(h.Records[:2:2], h.Records[3:]...) }, "journal entry 2:")
}

func movedEntries(w *world) (string, error) {
	if _, err := w.sealed.damaged(func(h *enclavetest.Host) { h.Records[1], h.Records[2] = h.Records[2], h.Records[1] }, "journal entry 1:"); err != nil {
		return "", err
	}
	if _, err := w.sealed.damaged(func(h *enclavetest.Host) { h.Records = append(h.Records, h.Records[len(h.Records)-1]) },
		fmt.Sprintf("journal entry %d:", len(w.sealed.records))); err != nil {
		return "", err
	}
	return w.sealed.damaged(func(h *enclavetest.Host) { h.Records[3] = h.Records[2] }, "journal entry 3:")
}

// another is the state of an appliance that was made for this.
var another *base

func (w *world) another() (*base, error) {
	if another != nil {
		return another, nil
	}
	dir := filepath.Join(w.dir, "another")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	w2 := *w
	w2.dir = dir
	var err error
	another, err = newBase(&w2)
	return another, err
}

func foreignEntry(w *world) (string, error) {
	other, err := w.another()
	if err != nil {
		return "", err
	}
	return w.sealed.damaged(func(h *enclavetest.Host) { h.Records[1] = other.records[1] }, "journal entry 1:")
}

func twoEnclaves(w *world) (string, error) {
	h := w.sealed.host()
	first, err := w.sealed.running(h)
	if err != nil {
		return "", err
	}
	defer first.end()
	second, err := w.sealed.running(h)
	if err != nil {
		return "", err
	}
	defer second.end()
	if _, err := first.completed(signPath, w.sealed.signBody(0), w.sealed.key); err != nil {
		return "", err
	}
	late := w.sealed.signBody(1)
	if a, err := second.activity(signPath, late, w.sealed.key); err == nil {
		return "", fmt.Errorf("the second enclave answered: %s", a.Status)
	}
	s, err := second.until(func(s *wire.Status) bool { return s.Phase == wire.PhaseStale })
	if err != nil {
		return "", err
	}
	if _, err := first.completed(signPath, late, w.sealed.key); err != nil {
		return "", fmt.Errorf("the winner: %w", err)
	}
	return fmt.Sprintf("%s: %s", s.Phase, s.Reason), nil
}

// withFile copies the base's folder with one file changed.
func (b *base) withFile(name string, content []byte) (string, error) {
	dir, err := os.MkdirTemp(b.w.dir, "d")
	if err != nil {
		return "", err
	}
	if err := os.CopyFS(dir, os.DirFS(b.dir)); err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	if content == nil {
		return dir, os.Remove(path)
	}
	if err := os.Remove(path); err != nil {
		return "", err
	}
	return dir, os.WriteFile(path, content, 0o600)
}

func (w *world) brokenWith(file string, contents [][]byte, words ...string) (string, error) {
	return each(contents, func(content []byte) (string, error) {
		dir, err := w.sealed.withFile(file, content)
		if err != nil {
			return "", err
		}
		return w.sealed.broken(dir, w.sealed.host(), words...)
	})
}

func otherRoots(w *world) (string, error) {
	other, err := w.another()
	if err != nil {
		return "", err
	}
	foreign, err := os.ReadFile(filepath.Join(other.dir, "root.key"))
	if err != nil {
		return "", err
	}
	if _, err := w.brokenWith("root.key", [][]byte{foreign}, "journal entry 0:"); err != nil {
		return "", err
	}
	return w.brokenWith("root.key", [][]byte{foreign[:62], {}, bytes.Repeat([]byte("z"), 64), append(bytes.Clone(foreign), foreign...)}, "root")
}

func otherManifests(w *world) (string, error) {
	other, err := w.another()
	if err != nil {
		return "", err
	}
	foreign, err := os.ReadFile(filepath.Join(other.dir, "manifest.json"))
	if err != nil {
		return "", err
	}
	mine, err := os.ReadFile(filepath.Join(w.sealed.dir, "manifest.json"))
	if err != nil {
		return "", err
	}
	return w.brokenWith("manifest.json", [][]byte{
		foreign, replaced(mine, `"name":"local"`, `"name":"other"`), replaced(mine, `"assurance":"local"`, `"assurance":"nitro"`),
		replaced(mine, `"version":1`, `"version":0`), replaced(mine, `"version":1`, `"version":2`), append(bytes.Clone(mine), '\n'),
		{},
		[]byte("{}"),
		replaced(mine, `"plaintextExport":true`, `"plaintextExport":false`), replaced(mine, `"operators":[]`, `"operators":[{}]`),
	}, "manifest", "journal entry 0")
}

func secondGenesis(w *world) (string, error) {
	dir, err := w.sealed.withFile("manifest.json", nil)
	if err != nil {
		return "", err
	}
	h := w.sealed.host()
	seen, err := w.sealed.broken(dir, h, "journal already")
	if err == nil && len(h.Records) != len(w.sealed.records) {
		err = errors.New("the journal was changed")
	}
	return seen, err
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
	if err := unmarshal(reply.Body, &list); err != nil || len(list.PrivateKeys) != 3 {
		return "", fmt.Errorf("%s, %w", reply.Body, err)
	}
	t.keyID = list.PrivateKeys[2].PrivateKeyID
	a, err := again.activity(signPath, t.body(typeSign, t.signParameters()), w.sealed.key)
	if err != nil {
		return "", err
	}
	if a.Status != "ACTIVITY_STATUS_FAILED" || a.Failure == nil || !strings.Contains(a.Failure.Message, t.keyID) {
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
