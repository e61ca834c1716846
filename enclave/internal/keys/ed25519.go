package keys

import (
	"bytes"
	"crypto/ed25519"
	"crypto/subtle"
)

// ed25519Public returns the public key of a seed that [Check] has accepted.
func ed25519Public(raw []byte) []byte {
	priv := ed25519.NewKeyFromSeed(raw)
	defer clear(priv)
	return bytes.Clone(priv[Size:])
}

func ed25519Belongs(raw *[Size]byte, public []byte) bool {
	if Check(Ed25519, raw[:]) != nil {
		return false
	}
	priv := ed25519.NewKeyFromSeed(raw[:])
	defer clear(priv)
	return subtle.ConstantTimeCompare(priv[Size:], public) == 1
}

func signEd25519(raw, message []byte) Signature {
	// The public half is computed again and not taken from the caller: a
	// wrong one would make two signatures that give the key away.
	priv := ed25519.NewKeyFromSeed(raw)
	defer clear(priv)
	sig := ed25519.Sign(priv, message)
	return Signature{R: [32]byte(sig[:32]), S: [32]byte(sig[32:])}
}
