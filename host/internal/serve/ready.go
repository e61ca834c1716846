package serve

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// Ready is what --ready-file holds.
type Ready struct {
	Listen       string `json:"listen,omitempty"`        // HOST:PORT that clients reach
	NextListen   string `json:"next_listen,omitempty"`   // HOST:PORT of the enclave of --next-enclave
	RelayAddress string `json:"relay_address,omitempty"` // HOST:PORT of the relay in this process
}

// writeReady writes the file so that a reader sees all of it or none.
func writeReady(path string, r Ready) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".ready-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already when all went well
	_, err = f.Write(append(b, '\n'))
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
