package cli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/term"
)

// Passphrase holds the flags of verbs that read or make the key of a person: an
// operator, who signs manifests, or a holder, who gives a share of the root.
type Passphrase struct {
	PassphraseFile string `type:"path" placeholder:"FILE" help:"The key's passphrase, on the first line ($$SALLYPORT_PASSPHRASE_FILE). Otherwise it is asked for."`
}

// A person's key file is in OpenSSH's format, encrypted under the passphrase:
// ssh-keygen -p changes it.

// makePersonKey writes a new key.
func makePersonKey(path, comment string, passphrase []byte) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(key, comment, passphrase)
	if err != nil {
		return nil, err
	}
	r, err := reserve(path)
	if err != nil {
		return nil, err
	}
	return key, r.write(pem.EncodeToMemory(block))
}

// readPersonKey reads a key, with its passphrase if it has one, or finds it in a token.
func (p *Passphrase) readPersonKey(path string, s *Streams) (personKey, error) {
	if onToken(path) {
		return openTokenKey(path, "", s)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, usage("", "--key: %w", err)
	}
	defer clear(b)
	raw, err := ssh.ParseRawPrivateKey(b)
	if missing := new(ssh.PassphraseMissingError); errors.As(err, &missing) {
		passphrase, err := p.passphrase(s, "Passphrase of "+path+": ")
		if err != nil {
			return nil, err
		}
		defer clear(passphrase)
		if raw, err = ssh.ParseRawPrivateKeyWithPassphrase(b, passphrase); err != nil {
			return nil, usage("", "--key: %s: the passphrase is wrong, or the file is damaged", path)
		}
	} else if err != nil {
		return nil, usage("make one: sallyport key operator NAME, or sallyport key holder NAME", "--key: %s is no private key in OpenSSH's format", path)
	}
	key, ok := raw.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, usage("", "--key: %s: must be a key on the curve P-256", path)
	}
	return newMemoryKey(key)
}

// publicOf is a person's public key.
func publicOf(k personKey) *ecdsa.PublicKey { return k.Public().(*ecdsa.PublicKey) }

// passphrase comes from a file, or from the terminal without an echo.
func (p *Passphrase) passphrase(s *Streams, prompt string) ([]byte, error) {
	path := p.PassphraseFile
	if path == "" {
		path = s.getenv("SALLYPORT_PASSPHRASE_FILE")
	}
	if path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, usage("", "--passphrase-file: %w", err)
		}
		line, _, _ := strings.Cut(string(b), "\n")
		if line = strings.TrimSuffix(line, "\r"); line == "" {
			return nil, usage("", "--passphrase-file: %s: the first line is empty", path)
		}
		return []byte(line), nil
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, usage("or SALLYPORT_PASSPHRASE_FILE", "--passphrase-file: is needed, because there is no terminal to ask at")
	}
	defer func() { _ = tty.Close() }()
	_, _ = fmt.Fprint(tty, safe(prompt))
	b, err := term.ReadPassword(int(tty.Fd()))
	_, _ = fmt.Fprintln(tty)
	if err != nil || len(b) == 0 {
		return nil, usage("", "no passphrase was given")
	}
	return b, nil
}

// newPassphrase asks twice at a terminal.
func (p *Passphrase) newPassphrase(s *Streams) ([]byte, error) {
	first, err := p.passphrase(s, "New passphrase: ")
	if err != nil || p.PassphraseFile != "" || s.getenv("SALLYPORT_PASSPHRASE_FILE") != "" {
		return first, err
	}
	second, err := p.passphrase(s, "Again: ")
	if err == nil && string(first) != string(second) {
		err = usage("", "the two passphrases differ")
	}
	return first, err
}

// compressedHex is an operator's public key as manifests have it.
func compressedHex(key *ecdsa.PublicKey) string {
	b, err := key.Bytes()
	if err != nil {
		return ""
	}
	return hex.EncodeToString(append([]byte{2 | b[64]&1}, b[1:33]...))
}

// uncompressedHex is a holder's.
func uncompressedHex(key *ecdsa.PublicKey) string {
	b, err := key.Bytes()
	if err != nil {
		return ""
	}
	return hex.EncodeToString(b)
}
