package main

import (
	"bytes"
	"fmt"

	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/enclave/wire"
)

// entryRows are changed, removed, moved and foreign entries of the journal.
var entryRows = []row{
	{id: "I4", what: "one bit at each part of an entry: magic, header, nonce, ciphertext, tag", run: changedEntries},
	{id: "I4b", what: "entry empty, cut, longer, of 700 KB, of zeros", run: entrySizes},
	{id: "I5", what: "first entry removed, a middle one, all", run: removedEntries},
	{id: "I5b", what: "two entries swapped, one twice, one in another's place", run: movedEntries},
	{id: "I5c", what: "entry of another appliance in place of ours", run: foreignEntry},
	{id: "I6", what: "two enclaves on one journal: one wins, the other is Stale", run: twoEnclaves},
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
