package dev

import (
	"os"
	"path/filepath"
)

// writeDurably replaces dir/name with content, for its owner's eyes only. When
// it returns nil the file survives a crash; before that the old one does.
func writeDurably(dir, name string, content []byte) error {
	// Always the same name: what a crash leaves is overwritten. The folder's
	// lock keeps others away.
	tmp := filepath.Join(dir, "."+name+".tmp")
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp) }() // gone already when all went well
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, filepath.Join(dir, name)); err != nil {
		return err
	}
	d, err := os.Open(dir) // the rename is durable when the folder is
	if err != nil {
		return err
	}
	err = d.Sync()
	if closed := d.Close(); err == nil {
		err = closed
	}
	return err
}
