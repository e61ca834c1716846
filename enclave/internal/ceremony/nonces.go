package ceremony

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// nonceLife is how long another enclave has to attest over a nonce of this one.
const nonceLife = 5 * time.Minute

// nonces are what this enclave asks other enclaves to attest over. It remembers none:
// a nonce is its time in milliseconds (8 bytes), 8 random bytes and 16 of an
// HMAC-SHA-256 over both under a key of this boot.
type nonces struct{ key []byte }

const (
	nonceHead = 16
	nonceSize = 32
)

func newNonces() nonces { return nonces{random(32)} }

func (n nonces) give(now time.Time) []byte {
	head := append(binary.BigEndian.AppendUint64(nil, uint64(now.UnixMilli())), random(8)...)
	return n.seal(head)
}

func (n nonces) seal(head []byte) []byte {
	mac := hmac.New(sha256.New, n.key)
	mac.Write([]byte("sallyport handover nonce v1\x00"))
	mac.Write(head)
	return append(head[:nonceHead:nonceHead], mac.Sum(nil)[:nonceSize-nonceHead]...)
}

// fresh tells whether a nonce was given by this enclave, not long ago.
func (n nonces) fresh(nonce []byte, now time.Time) bool {
	if len(nonce) != nonceSize || !hmac.Equal(n.seal(nonce[:nonceHead]), nonce) {
		return false
	}
	age := now.Sub(time.UnixMilli(int64(binary.BigEndian.Uint64(nonce))))
	return age >= 0 && age <= nonceLife
}
