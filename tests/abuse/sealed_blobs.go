package main

import (
	"fmt"
	"strings"

	"github.com/sallyport/sallyport/enclave/enclavetest"
)

// blobRows are changed, missing and swapped blobs: shares of keys, and the
// identity.
var blobRows = []row{
	{id: "I2", what: "share blobs changed, all of a key", run: changedShares},
	{id: "I2b", what: "one share of three missing: still served; all: a recorded failure", run: missingShares},
	{id: "I2c", what: "identity blob changed, missing", run: changedIdentity},
	{id: "I3", what: "shares of two keys under each other's names", run: swappedShares},
	{id: "I3b", what: "a share in the identity's place", run: shareAsIdentity},
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
		if a.Status != failed || len(a.Result) != 0 || a.Failure == nil || !strings.Contains(a.Failure.Message, id) {
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
		func(h *enclavetest.Host, n [32]byte) { h.Blobs[n] = flipLast(h.Blobs[n]) },
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
