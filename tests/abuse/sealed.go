package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// sealedRows are block I: a host that keeps the state and means ill. The
// enclave is a process of its own, and its host is this program.
var sealedRows = slices.Concat(
	[]row{
		{id: "I0", what: "an unchanged copy of the state is served, and knows what was acknowledged", run: untouched},
	},
	blobRows, entryRows, fileRows, failureRows,
)

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
