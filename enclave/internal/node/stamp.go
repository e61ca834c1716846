package node

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"time"

	"filippo.io/nistec"

	"github.com/sallyport/sallyport/attestation/strictjson"
	"github.com/sallyport/sallyport/enclave/wire"
)

const (
	stampScheme = "SALLYPORT_NODE_P256"
	stampLabel  = "sallyport node stamp v1"
	maxStamp    = 1024 // bytes of the header; the longest valid one has under 700

	// stampWindow is how far a stamp's time may be from now, either way.
	stampWindow = 5 * time.Minute
)

// A stampKey is a P-256 public key, SEC 1 compressed.
type stampKey [33]byte

// parseStampKey reads the one text form of a key: 66 lower-case hex digits.
func parseStampKey(s string) (stampKey, bool) {
	var k stampKey
	b, err := strictjson.ParseHex(s)
	if err != nil || len(b) != len(k) {
		return k, false
	}
	copy(k[:], b)
	_, err = nistec.NewP256Point().SetBytes(b)
	return k, err == nil
}

// compressKey reads a key as a manifest has it, in either form of SEC 1.
func compressKey(b []byte) (stampKey, bool) {
	p, err := nistec.NewP256Point().SetBytes(b)
	if err != nil || len(b) != 33 && len(b) != 65 {
		return stampKey{}, false
	}
	return stampKey(p.BytesCompressed()), true
}

func (k *stampKey) verify(message, signature []byte) bool {
	p, err := nistec.NewP256Point().SetBytes(k[:])
	if err != nil {
		return false
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), p.Bytes())
	digest := sha256.Sum256(message)
	return err == nil && ecdsa.VerifyASN1(public, digest[:], signature)
}

// A stamp is the parsed value of an X-Stamp header.
type stamp struct {
	PublicKey   string         `json:"publicKey" strict:"required"`
	Scheme      string         `json:"scheme" strict:"required"`
	Signature   strictjson.Hex `json:"signature" strict:"required"` // ASN.1 DER
	TimestampMs string         `json:"timestampMs" strict:"required"`
	Nonce       strictjson.Hex `json:"nonce" strict:"required"` // 16 to 64 bytes

	key    stampKey
	timeMs int64
}

// parseStamp reads base64url without padding of strict JSON.
func parseStamp(header []byte) (*stamp, error) {
	malformed := denied("X-Stamp: must be base64url of JSON with publicKey, scheme, signature, timestampMs and nonce")
	if len(header) > maxStamp {
		return nil, malformed
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(string(header))
	if err != nil || base64.RawURLEncoding.EncodedLen(len(raw)) != len(header) {
		return nil, malformed
	}
	var st stamp
	if err := strictjson.Decode(raw, &st); err != nil {
		return nil, malformed
	}
	if st.Scheme != stampScheme {
		return nil, denied("X-Stamp: scheme must be %s", stampScheme)
	}
	var ok bool
	if st.key, ok = parseStampKey(st.PublicKey); !ok {
		return nil, denied("X-Stamp: publicKey must be a point of P-256, compressed, in lower-case hex")
	}
	if n := len(st.Nonce); n < 16 || n > 64 {
		return nil, denied("X-Stamp: nonce must have 16 to 64 bytes")
	}
	st.timeMs, err = strconv.ParseInt(st.TimestampMs, 10, 64)
	if err != nil || st.timeMs <= 0 || strconv.FormatInt(st.timeMs, 10) != st.TimestampMs {
		return nil, denied("X-Stamp: timestampMs must be a decimal string of Unix milliseconds")
	}
	return &st, nil
}

// message is what a stamp signs: every part of the request but its bearer key.
func (st *stamp) message(req *wire.Request) []byte {
	var b []byte
	for _, line := range []string{stampLabel, req.Method, target(req), st.TimestampMs, hex.EncodeToString(st.Nonce)} {
		b = append(append(b, line...), '\n')
	}
	return append(b, req.Body...)
}

// checkStamp verifies the stamp of a request by one of the keys that the caller
// may stamp with, and uses up its nonce: durably, so that no restart makes a
// stamp good again.
func (s *Service) checkStamp(ctx context.Context, req *wire.Request, mine func(stampKey) bool) error {
	if req.StampKind != wire.StampAPIKey {
		return denied("the stamp must come in the header X-Stamp")
	}
	st, err := parseStamp(req.Stamp)
	if err != nil {
		return err
	}
	if !mine(st.key) {
		return denied("X-Stamp: the public key is not enrolled for this caller")
	}
	if !st.key.verify(st.message(req), st.Signature) {
		return denied("X-Stamp: the signature does not verify over method, path, time, nonce and body")
	}
	return record(ctx, s, EntryStamp, func(state *state) (stampEntry, error) {
		age := millis(s.Now()) - st.timeMs
		if age > stampWindow.Milliseconds() || -age > stampWindow.Milliseconds() {
			return stampEntry{}, denied("X-Stamp: timestampMs is more than five minutes from now")
		}
		name := sha256.Sum256(append(append([]byte("sallyport node stamp nonce v1\x00"), st.key[:]...), st.Nonce...))
		if state.nonces[name] {
			return stampEntry{}, denied("X-Stamp: the nonce was used before")
		}
		if len(state.recent) >= maxNonces {
			return stampEntry{}, wire.Errorf(wire.ResourceExhausted, "", "too many stamped requests in ten minutes")
		}
		return stampEntry{name}, nil
	})
}

// A stampEntry uses up the nonce of a stamp.
type stampEntry struct {
	Nonce [32]byte `cbor:"1,keyasint"` // SHA-256 of key and nonce
}

type recentNonce struct {
	name   [32]byte
	timeMs int64
}

// maxNonces bounds the memory of used nonces: 1000 a second for ten minutes.
const maxNonces = 600_000

// applyStamp also forgets what is too old: a stamp recorded so long ago was made for
// at most a window later, and is good for one window after that.
func applyStamp(st *state, e *stampEntry, timeMs int64) error {
	old := timeMs - 2*stampWindow.Milliseconds() - 1
	for len(st.recent) > 0 && st.recent[0].timeMs < old {
		delete(st.nonces, st.recent[0].name)
		st.recent = st.recent[1:]
	}
	st.nonces[e.Nonce] = true
	st.recent = append(st.recent, recentNonce{e.Nonce, timeMs})
	return nil
}
