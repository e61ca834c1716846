package simulator

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// The PEM types of the two files.
const (
	pemKey         = "PRIVATE KEY" // PKCS #8
	pemCertificate = "CERTIFICATE"
)

// Create makes the files of a local root that are missing: its key (PKCS #8 in
// PEM, mode 0600) and its certificate (PEM, mode 0644). Each appears under its
// name whole or not at all, and a file that is there is never replaced: of two
// processes that start together, both end up with the same root. A certificate
// without its key is an error.
func Create(certPath, keyPath string) error {
	// The key is always made first, so looking for the certificate first makes a
	// certificate without a key a fact, and not a race with another process.
	haveCert, err := exists(certPath)
	if err != nil {
		return err
	}
	haveKey, err := exists(keyPath)
	if err != nil {
		return err
	}
	if !haveKey {
		if haveCert {
			return fmt.Errorf("simulator: %s is there but its key %s is missing", certPath, keyPath)
		}
		if err := createKey(keyPath); err != nil {
			return err
		}
	}
	key, err := readKey(keyPath)
	if err != nil {
		return err
	}
	if !haveCert {
		root, err := newRoot(key, time.Now())
		if err != nil {
			return err
		}
		if err := writeNew(certPath, pemCertificate, root.Raw, 0o644); err != nil {
			return err
		}
	}
	_, err = readRoot(certPath, key)
	return err
}

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("simulator: looking for the local root: %w", err)
	}
	return true, nil
}

// Load makes a simulator under the root in two files of [Create].
func Load(certPath, keyPath string, options ...Option) (*Simulator, error) {
	key, err := readKey(keyPath)
	if err != nil {
		return nil, err
	}
	root, err := readRoot(certPath, key)
	if err != nil {
		return nil, err
	}
	return newSimulator(root, key, options)
}

func createKey(path string) error {
	key, err := newRootKey()
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("simulator: encoding the root key: %w", err)
	}
	defer clear(der)
	return writeNew(path, pemKey, der, 0o600)
}

func readKey(path string) (*ecdsa.PrivateKey, error) {
	der, err := readPEM(path, pemKey)
	if err != nil {
		return nil, err
	}
	defer clear(der)
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("simulator: %s is not a PKCS #8 key", path)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P384() {
		return nil, fmt.Errorf("simulator: the key in %s is not on the curve P-384", path)
	}
	return key, nil
}

func readRoot(path string, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := readPEM(path, pemCertificate)
	if err != nil {
		return nil, err
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("simulator: %s is not a certificate", path)
	}
	if root.Subject.CommonName != RootName {
		return nil, fmt.Errorf("simulator: the certificate in %s is not called %q", path, RootName)
	}
	if !key.PublicKey.Equal(root.PublicKey) {
		return nil, fmt.Errorf("simulator: the certificate in %s is not that of the key", path)
	}
	return root, nil
}

func readPEM(path, kind string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("simulator: reading the local root: %w", err)
	}
	defer clear(data)
	block, _ := pem.Decode(data)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("simulator: %s has no PEM block %q", path, kind)
	}
	return block.Bytes, nil
}

// writeNew writes a file beside path and links it there, which fails when the
// name is taken; then the file that is there stays.
func writeNew(path, kind string, der []byte, mode fs.FileMode) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".sallyport-*")
	if err != nil {
		return fmt.Errorf("simulator: creating %s: %w", path, err)
	}
	defer func() { _ = os.Remove(temp.Name()) }() // at worst a file of another name stays
	err = errors.Join(temp.Chmod(mode), pem.Encode(temp, &pem.Block{Type: kind, Bytes: der}), temp.Sync(), temp.Close())
	if err != nil {
		return fmt.Errorf("simulator: writing %s: %w", path, err)
	}
	if err := os.Link(temp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("simulator: creating %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a new name durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("simulator: opening %s: %w", path, err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("simulator: writing %s: %w", path, err)
	}
	return nil
}
