package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/sallyport/sallyport/attestation/strictjson"
	"github.com/sallyport/sallyport/host/client"
)

// A reserved file is one that did not exist before, of mode 0600. It is made
// before there is anything to write, so that a key which has left the
// appliance does not find the disk closed.
type reserved struct {
	path string
	file *os.File
}

// reserve makes a file, and refuses one that exists.
func reserve(path string) (*reserved, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, usage("choose another name; nothing is ever overwritten", "%s exists", path)
	}
	if err != nil {
		return nil, usage("", "%w", err)
	}
	return &reserved{path, f}, nil
}

// write fills the file and makes it durable. The file stays, whatever happens
// afterwards.
func (r *reserved) write(b []byte) error {
	_, err := r.file.Write(b)
	if err == nil {
		err = r.file.Sync()
	}
	if closed := r.file.Close(); err == nil {
		err = closed
	}
	r.file = nil
	if err != nil {
		return usage("", "writing %s: %w", r.path, err)
	}
	return nil
}

// discard removes a file that was not written.
func (r *reserved) discard() {
	if r != nil && r.file != nil {
		_ = r.file.Close()
		_ = os.Remove(r.path)
		r.file = nil
	}
}

// writeNew makes and fills a file.
func writeNew(path string, v any) error {
	b, err := strictjson.Marshal(v)
	if err != nil {
		return err
	}
	r, err := reserve(path)
	if err != nil {
		return err
	}
	return r.write(append(b, '\n'))
}

// keyFileJSON is an API key in a file.
type keyFileJSON struct {
	PublicKey  string `json:"publicKey"`  // 33 bytes compressed, hex
	PrivateKey string `json:"privateKey"` // 32 bytes, hex
}

func readKeyFile(path string, s *Streams) (*client.APIKey, error) {
	var k keyFileJSON
	if err := readSecret(path, s, &k); err != nil {
		return nil, usage("make one: sallyport key generate NAME", "API key: %w", err)
	}
	key, err := client.ParseAPIKey(k.PublicKey, k.PrivateKey)
	if err != nil {
		return nil, usage("", "%s: %w", path, err)
	}
	return key, nil
}

// targetFileJSON is the target key of an export that is not opened yet.
type targetFileJSON struct {
	PrivateKeyID     string `json:"privateKeyId,omitempty"`
	TargetPublicKey  string `json:"targetPublicKey"`  // 65 bytes uncompressed, hex
	TargetPrivateKey string `json:"targetPrivateKey"` // 32 bytes, hex
}

func readTargetFile(path string, s *Streams) (*client.TargetKey, error) {
	var k targetFileJSON
	if err := readSecret(path, s, &k); err != nil {
		return nil, usage("", "target key: %w", err)
	}
	key, err := client.ParseTargetKey(k.TargetPublicKey, k.TargetPrivateKey)
	if err != nil {
		return nil, usage("", "%s: %w", path, err)
	}
	return key, nil
}

// readSecret reads a file that holds a private key. Its errors do not repeat
// what is in it.
func readSecret(path string, s *Streams, v any) error {
	f, err := os.Stat(path)
	if err != nil {
		return err
	}
	if f.Mode().Perm()&0o077 != 0 {
		_, _ = fmt.Fprintf(s.Err, "warning: %s holds a private key and is open to others; chmod 600 it\n", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if json.Unmarshal(b, v) != nil {
		return fmt.Errorf("%s: must be a JSON object of strings", path)
	}
	return nil
}
