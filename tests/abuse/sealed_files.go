package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
)

// fileRows are other files in the enclave's folder: root, manifest.
var fileRows = []row{
	{id: "I7", what: "root of another appliance, cut, empty, not hex", run: otherRoots},
	{id: "I7b", what: "manifest of another appliance, of another name, of assurance nitro, of version 0, or with one left out", run: otherManifests},
	{id: "I7c", what: "manifest removed on a store that has a journal: no second genesis", run: secondGenesis},
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
		replaced(mine, `"version":1`, `"version":0`), replaced(mine, `"version":1`, `"version":3`), append(bytes.Clone(mine), '\n'),
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
