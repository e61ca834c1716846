package attestation

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/hex"
	"errors"
	"fmt"
)

// maxOperators bounds the operators, and the holders of root shares.
const maxOperators = 32

// An Operator is a person who signs manifests.
type Operator struct {
	// Name is 1 to 64 printable ASCII characters, for people; no two are the same.
	Name string
	// PublicKey verifies the operator's signatures: P-256, SEC 1 compressed, 33 bytes.
	PublicKey []byte
}

// personJSON is an operator or a holder.
type personJSON struct {
	Name      string `json:"name" strict:"required"`
	PublicKey string `json:"publicKey" strict:"required"`
}

func (j *personJSON) decode(size int) (key []byte, err error) {
	if key, err = lowerHex(j.PublicKey, size); err != nil {
		return nil, fmt.Errorf("publicKey: %w", err)
	}
	return key, nil
}

func (m *Manifest) operatorsJSON() []personJSON {
	out := []personJSON{}
	for _, o := range m.Operators {
		out = append(out, personJSON{o.Name, hex.EncodeToString(o.PublicKey)})
	}
	return out
}

func parseOperators(list []personJSON) (out []Operator, err error) {
	for i := range list {
		key, err := list[i].decode(compressedSize)
		if err != nil {
			return nil, fmt.Errorf("operators[%d].%w", i, err)
		}
		out = append(out, Operator{list[i].Name, key})
	}
	return out, nil
}

// checkOperators also ties the flag to them: unsigned says that there are none.
func (m *Manifest) checkOperators() error {
	switch n := int64(len(m.Operators)); {
	case m.Flags.Unsigned != (n == 0):
		return errors.New("flags.unsigned: must be true exactly while there are no operators")
	case n == 0 && m.OperatorThreshold != 0:
		return errors.New("operatorThreshold: must not be there without operators")
	case n > maxOperators:
		return fmt.Errorf("operators: must be at most %d", maxOperators)
	case n > 0 && (m.OperatorThreshold < 1 || m.OperatorThreshold > n):
		return errors.New("operatorThreshold: must be 1 to the number of operators")
	}
	seen := people{}
	for i, o := range m.Operators {
		if _, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), uncompressed(o.PublicKey)); err != nil {
			return fmt.Errorf("operators[%d].publicKey: must be a compressed point on the curve P-256", i)
		}
		if err := seen.add(o.Name, o.PublicKey); err != nil {
			return fmt.Errorf("operators[%d].%w", i, err)
		}
	}
	return nil
}

// people makes sure that each counts once.
type people map[string]bool

func (p people) add(name string, key []byte) error {
	switch {
	case name == "" || len(name) > maxName || !printable(name):
		return fmt.Errorf("name: must be 1 to %d printable ASCII characters", maxName)
	case p["name "+name]:
		return errors.New("name: is there twice")
	case p["key "+string(key)]:
		return errors.New("publicKey: is there twice")
	}
	p["name "+name], p["key "+string(key)] = true, true
	return nil
}

// uncompressed returns the other form of a point of P-256, or nil if it is none.
func uncompressed(point []byte) []byte {
	if len(point) != compressedSize {
		return nil
	}
	x, y := elliptic.UnmarshalCompressed(elliptic.P256(), point)
	if x == nil {
		return nil
	}
	out := make([]byte, pointSize)
	out[0] = 4
	x.FillBytes(out[1:33])
	y.FillBytes(out[33:])
	return out
}
