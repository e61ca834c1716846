package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"math/big"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	secpecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

// stampSignatureRows are signatures that must not verify, on each curve.
var stampSignatureRows = []row{
	{id: "C5", what: "DER with bytes behind, negative r, r = 0, s = 0, r >= n, long forms", run: badDER},
	{id: "C5b", what: "the same over secp256k1", run: badSecpDER, writes: true},
	{id: "C5c", what: "Ed25519 signature with s + L, with another R", run: badEd25519, writes: true},
	{id: "C6", what: "the twin (r, n-s) of a stamp, same body: one activity", run: twin, writes: true},
}

type ecdsaSignature struct{ R, S *big.Int }

// wrongDER are encodings that must not verify, made of a good signature for a
// group of order n.
func wrongDER(der []byte, n *big.Int) [][]byte {
	var sig ecdsaSignature
	if _, err := asn1.Unmarshal(der, &sig); err != nil {
		panic("internal error: " + err.Error())
	}
	make2 := func(r, s *big.Int) []byte {
		b, err := asn1.Marshal(ecdsaSignature{r, s})
		if err != nil {
			panic("internal error: " + err.Error())
		}
		return b
	}
	zero := new(big.Int)
	long := append([]byte{0x30, 0x81, der[1]}, der[2:]...)             // a length in two bytes
	indefinite := append(append([]byte{0x30, 0x80}, der[2:]...), 0, 0) // BER
	padded := append([]byte{0x30, der[1] + 1, 0x02, der[3] + 1, 0}, der[4:]...)
	raw := append(sig.R.FillBytes(make([]byte, 32)), sig.S.FillBytes(make([]byte, 32))...)
	return [][]byte{
		append(bytes.Clone(der), 0), append(bytes.Clone(der), der...), der[:len(der)-1],
		{},
		{0x30, 0},
		make2(new(big.Int).Neg(sig.R), sig.S), make2(sig.R, new(big.Int).Neg(sig.S)),
		make2(zero, sig.S), make2(sig.R, zero), make2(zero, zero), make2(n, sig.S), make2(sig.R, n),
		make2(new(big.Int).Add(sig.R, n), sig.S), make2(sig.R, new(big.Int).Add(sig.S, n)),
		make2(big.NewInt(1), big.NewInt(1)), make2(sig.S, sig.R),
		long, indefinite, padded, raw, bytes.Repeat([]byte{0xff}, 1000),
	}
}

func badDER(w *world) (string, error) {
	body := toJSON(object{"organizationId": w.main.org})
	good, err := hex.DecodeString(honest(body, w.main.key()).Signature)
	if err != nil {
		return "", err
	}
	return each(wrongDER(good, elliptic.P256().Params().N), func(der []byte) (string, error) {
		return w.altered(func(s *rawStamp) { s.Signature = hex.EncodeToString(der) })
	})
}

// enrol registers a key of another curve with a team of its own and checks
// that an honest stamp by it is served.
func (w *world) enrol(curve, scheme, public string, sign func([]byte) []byte) (stamp func(change func([]byte) []byte) error, err error) {
	t, err := w.found(1, 1)
	if err != nil {
		return nil, err
	}
	if _, err := t.addKey(curve, public, ""); err != nil {
		return nil, err
	}
	body := toJSON(object{"organizationId": t.org})
	try := func(change func([]byte) []byte) (int, error) {
		s := rawStamp{public, scheme, hex.EncodeToString(change(sign(body)))}
		r, err := w.withStamp(whoami, body, s.header())
		if err != nil {
			return 0, err
		}
		return r.Status, nil
	}
	if status, err := try(func(b []byte) []byte { return b }); err != nil || status != 200 {
		return nil, fmt.Errorf("an honest %s stamp: %d, %w", scheme, status, err)
	}
	return func(change func([]byte) []byte) error {
		status, err := try(change)
		if err == nil && status != 401 {
			err = fmt.Errorf("%s: HTTP %d", scheme, status)
		}
		return err
	}, nil
}

func badSecpDER(w *world) (string, error) {
	key, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		return "", err
	}
	sign := func(body []byte) []byte {
		sum := sha256.Sum256(body)
		return secpecdsa.Sign(key, sum[:]).Serialize()
	}
	refused, err := w.enrol("API_KEY_CURVE_SECP256K1", "SIGNATURE_SCHEME_TK_API_SECP256K1", hex.EncodeToString(key.PubKey().SerializeCompressed()), sign)
	if err != nil {
		return "", err
	}
	count := len(wrongDER(sign([]byte("x")), secp256k1.Params().N))
	for i := range count {
		if err := refused(func(der []byte) []byte { return wrongDER(der, secp256k1.Params().N)[i] }); err != nil {
			return "", fmt.Errorf("variant %d: %w", i+1, err)
		}
	}
	return fmt.Sprintf("%d variants: 401", count), nil
}

func badEd25519(w *world) (string, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	refused, err := w.enrol("API_KEY_CURVE_ED25519", "SIGNATURE_SCHEME_TK_API_ED25519", hex.EncodeToString(public),
		func(body []byte) []byte { return ed25519.Sign(private, body) })
	if err != nil {
		return "", err
	}
	return each([]func([]byte) []byte{
		plusOrder, func(b []byte) []byte { return flipped(b, 0) }, func(b []byte) []byte { return flipped(b, 40) },
		func(b []byte) []byte { return b[:63] }, func(b []byte) []byte { return append(b, 0) },
		func(b []byte) []byte { return make([]byte, 64) }, func(b []byte) []byte { return nil },
	}, func(change func([]byte) []byte) (string, error) { return "401", refused(change) })
}

// plusOrder adds the group's order to s of an Ed25519 signature.
func plusOrder(sig []byte) []byte {
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := new(big.Int)
	for i := 63; i >= 32; i-- {
		s.Add(s.Lsh(s, 8), big.NewInt(int64(sig[i])))
	}
	s.Add(s, order)
	out := bytes.Clone(sig)
	be := s.FillBytes(make([]byte, 32))
	for i := range 32 {
		out[32+i] = be[31-i]
	}
	return out
}

// twin sends one body under both signatures that one knows from the other.
func twin(w *world) (string, error) {
	body := w.main.signBody()
	s := honest(body, w.main.key())
	der, err := hex.DecodeString(s.Signature)
	if err != nil {
		return "", err
	}
	var sig ecdsaSignature
	if _, err := asn1.Unmarshal(der, &sig); err != nil {
		return "", err
	}
	before, err := w.journalSize()
	if err != nil {
		return "", err
	}
	first, err := served(w.withStamp(signPath, body, s.header()))
	if err != nil {
		return "", err
	}
	other, err := asn1.Marshal(ecdsaSignature{sig.R, new(big.Int).Sub(elliptic.P256().Params().N, sig.S)})
	if err != nil {
		return "", err
	}
	s.Signature = hex.EncodeToString(other)
	second, err := served(w.withStamp(signPath, body, s.header()))
	if err != nil {
		return "", err
	}
	after, err := w.journalSize()
	if err != nil {
		return "", err
	}
	if first.ID != second.ID || after != before+1 {
		return "", fmt.Errorf("activities %s and %s, %d entries", first.ID, second.ID, after-before)
	}
	return "both are activity " + first.ID, nil
}
