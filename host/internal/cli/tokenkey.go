package cli

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os/exec"
	"strings"
)

// A personKey is the key of an operator or a holder: it signs, and it opens what is
// sealed to it. It is in memory, or in a token.
type personKey interface {
	crypto.Signer
	ECDH(peer *ecdh.PublicKey) ([]byte, error)
}

// A tokenKey stays in its PKCS#11 token. Another program loads the token's module.
type tokenKey struct {
	uri    string
	public *ecdsa.PublicKey
	stderr io.Writer
}

var _ ecdh.KeyExchanger = (*exchanger)(nil)

// onToken tells whether a key's address is that of one in a token.
func onToken(address string) bool { return strings.HasPrefix(address, "pkcs11:") }

// openTokenKey finds a key by its URI. With a label it makes a new one.
func openTokenKey(uri, label string, s *Streams) (*tokenKey, error) {
	k := &tokenKey{uri: uri, stderr: s.Err}
	do, argument := "public", ""
	if label != "" {
		do, argument = "generate", label
	}
	point, err := k.ask(do, []byte(argument))
	if err != nil {
		return nil, err
	}
	k.public, err = ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, usage("", "the token's key is not on the curve P-256")
	}
	return k, nil
}

// ask has the other program do something with the key.
func (k *tokenKey) ask(do string, argument []byte) ([]byte, error) {
	program, err := findPKCS11Program()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.Background(), program, "-do="+do, "--", k.uri)
	cmd.Stdin = strings.NewReader(hex.EncodeToString(argument))
	cmd.Stderr = k.stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, usage("sallyport pkcs11 check --role operator URI", "the token's key cannot be used (%s)", do)
	}
	defer clear(out)
	b := make([]byte, hex.DecodedLen(len(bytes.TrimSpace(out))))
	if _, err := hex.Decode(b, bytes.TrimSpace(out)); err != nil {
		return nil, errors.New("the program for tokens answers no hex")
	}
	return b, nil
}

// Public implements [crypto.Signer].
func (k *tokenKey) Public() crypto.PublicKey { return k.public }

// Sign implements [crypto.Signer] for digests of 32 bytes.
func (k *tokenKey) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	raw, err := k.ask("sign", digest)
	if err != nil {
		return nil, err
	}
	if len(raw) != 64 {
		return nil, fmt.Errorf("the token gave a signature of %d bytes", len(raw))
	}
	return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])})
}

// ECDH agrees in the token.
func (k *tokenKey) ECDH(peer *ecdh.PublicKey) ([]byte, error) { return k.ask("ecdh", peer.Bytes()) }

// An exchanger is a person's key as HPKE takes it.
type exchanger struct {
	personKey
	public *ecdh.PublicKey
}

func exchangerOf(k personKey) (*exchanger, error) {
	if m, ok := k.(*memoryKey); ok {
		return &exchanger{k, m.exchange.PublicKey()}, nil
	}
	public, err := k.Public().(*ecdsa.PublicKey).ECDH()
	return &exchanger{k, public}, err
}

// PublicKey implements [ecdh.KeyExchanger].
func (e *exchanger) PublicKey() *ecdh.PublicKey { return e.public }

// Curve implements [ecdh.KeyExchanger].
func (e *exchanger) Curve() ecdh.Curve { return ecdh.P256() }

// A memoryKey was read from a file.
type memoryKey struct {
	*ecdsa.PrivateKey
	exchange *ecdh.PrivateKey
}

func newMemoryKey(k *ecdsa.PrivateKey) (*memoryKey, error) {
	exchange, err := k.ECDH()
	return &memoryKey{k, exchange}, err
}

// ECDH agrees in memory.
func (k *memoryKey) ECDH(peer *ecdh.PublicKey) ([]byte, error) { return k.exchange.ECDH(peer) }
