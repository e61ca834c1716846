package activity_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	secpecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/client"
)

// A signer is an API key of any curve, in the test's own hands.
type signer struct {
	curve, scheme string
	public        string
	sign          func(body []byte) []byte
}

func newSigners(t *testing.T) []signer {
	t.Helper()
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	secp, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	edPublic, edPrivate, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return []signer{
		{"API_KEY_CURVE_P256", "SIGNATURE_SCHEME_TK_API_P256", hex.EncodeToString(elliptic.MarshalCompressed(elliptic.P256(), p256.X, p256.Y)), func(body []byte) []byte {
			digest := sha256.Sum256(body)
			sig, err := ecdsa.SignASN1(rand.Reader, p256, digest[:])
			if err != nil {
				t.Fatal(err)
			}
			return sig
		}},
		{"API_KEY_CURVE_SECP256K1", "SIGNATURE_SCHEME_TK_API_SECP256K1", hex.EncodeToString(secp.PubKey().SerializeCompressed()), func(body []byte) []byte {
			digest := sha256.Sum256(body)
			return secpecdsa.Sign(secp, digest[:]).Serialize()
		}},
		{"API_KEY_CURVE_ED25519", "SIGNATURE_SCHEME_TK_API_ED25519", hex.EncodeToString(edPublic), func(body []byte) []byte {
			return ed25519.Sign(edPrivate, body)
		}},
	}
}

func (s signer) json(body []byte) map[string]any {
	return map[string]any{"publicKey": s.public, "scheme": s.scheme, "signature": hex.EncodeToString(s.sign(body))}
}

func encodeStamp(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return []byte(base64.RawURLEncoding.EncodeToString(b))
}

func apiStamp(path string, body, stamp []byte) *wire.Request {
	return &wire.Request{API: wire.APIActivity, Path: path, Body: body, StampKind: wire.StampAPIKey, Stamp: stamp}
}

// register gives root user 0 more API keys.
func (w *world) register(list ...signer) {
	w.Helper()
	for i, s := range list {
		a := w.submit("create_api_keys", "ACTIVITY_TYPE_CREATE_API_KEYS_V2", map[string]any{"userId": w.users[0].UserID, "apiKeys": []any{
			map[string]any{"apiKeyName": fmt.Sprint("key ", i), "publicKey": s.public, "curveType": s.curve},
		}}, 0)
		w.is(a, completed)
	}
}

const whoamiPath = "/public/v1/query/whoami"

func (w *world) whoami() []byte { return []byte(`{"organizationId":"` + w.org + `"}`) }

// unauthenticated wants a 401 with a stable reason, and no entry.
func (w *world) unauthenticated(req *wire.Request, reason string) refusal {
	w.Helper()
	var r refusal
	w.adds(0, func() { r = w.refused(w.do(req), 401, 16) })
	if len(r.Details) != 1 || r.Details[0]["turnkeyErrorCode"] != reason {
		w.Errorf("%s: details %v, want %s", r.Message, r.Details, reason)
	}
	return r
}

func TestEveryStampSchemeAuthenticates(t *testing.T) {
	w := newWorld(t, 1, 1)
	signers := newSigners(t)
	w.register(signers...)
	for _, s := range signers {
		body := w.body(createKeysType, keyParams(s.scheme))
		a := w.activity(w.do(apiStamp(createKeysPath, body, encodeStamp(s.json(body)))))
		w.is(a, completed)
		v := a.Votes[0]
		if v.Scheme != s.scheme || v.PublicKey != s.public || v.UserID != w.users[0].UserID {
			t.Errorf("vote %+v", v)
		}
	}
}

func TestStampSchemeMustBeOfTheKeysCurve(t *testing.T) {
	w := newWorld(t, 1, 1)
	signers := newSigners(t)
	w.register(signers...)
	for _, s := range signers {
		for _, other := range []string{
			"SIGNATURE_SCHEME_TK_API_P256", "SIGNATURE_SCHEME_TK_API_SECP256K1", "SIGNATURE_SCHEME_TK_API_ED25519",
			"SIGNATURE_SCHEME_TK_API_SECP256K1_EIP191", "SIGNATURE_SCHEME_TK_WEBAUTHN", "SIGNATURE_SCHEME_UNSPECIFIED", "", "signature_scheme_tk_api_p256",
		} {
			if other == s.scheme {
				continue
			}
			v := s.json(w.whoami())
			v["scheme"] = other
			w.adds(0, func() { w.refused(w.do(apiStamp(whoamiPath, w.whoami(), encodeStamp(v))), 401, 16) })
		}
	}
}

type der struct{ R, S *big.Int }

func remake(t *testing.T, sig []byte, change func(*der)) []byte {
	t.Helper()
	var d der
	if _, err := asn1.Unmarshal(sig, &d); err != nil {
		t.Fatal(err)
	}
	change(&d)
	out, err := asn1.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Published clients make both halves of s, so both are taken; the twin of a
// stamp is the same request.
func TestHighAndLowSAreTheSameRequest(t *testing.T) {
	w := newWorld(t, 1, 1)
	signers := newSigners(t)
	w.register(signers...)
	for i, n := range []*big.Int{elliptic.P256().Params().N, secp256k1.Params().N} {
		s := signers[i]
		body := w.body(createKeysType, keyParams(s.scheme))
		v := s.json(body)
		w.is(w.activity(w.do(apiStamp(createKeysPath, body, encodeStamp(v)))), completed)
		twin := remake(t, unhex(t, v["signature"].(string)), func(d *der) { d.S.Sub(n, d.S) })
		v["signature"] = hex.EncodeToString(twin)
		w.adds(0, func() { w.is(w.activity(w.do(apiStamp(createKeysPath, body, encodeStamp(v)))), completed) })
	}
}

func TestSignatureThatIsNotStrictDERIsRefused(t *testing.T) {
	w := newWorld(t, 1, 1)
	signers := newSigners(t)
	w.register(signers...)
	for i, n := range []*big.Int{elliptic.P256().Params().N, secp256k1.Params().N} {
		s := signers[i]
		good := s.sign(w.whoami())
		for name, bad := range map[string][]byte{
			"empty":           {},
			"trailing byte":   append(append([]byte{}, good...), 0),
			"cut short":       good[:len(good)-1],
			"long length":     append([]byte{0x30, 0x81, good[1]}, good[2:]...),
			"indefinite":      append(append([]byte{0x30, 0x80}, good[2:]...), 0, 0),
			"set":             append([]byte{0x31}, good[1:]...),
			"r zero":          remake(t, good, func(d *der) { d.R.SetInt64(0) }),
			"s zero":          remake(t, good, func(d *der) { d.S.SetInt64(0) }),
			"both zero":       remake(t, good, func(d *der) { d.R.SetInt64(0); d.S.SetInt64(0) }),
			"r negative":      remake(t, good, func(d *der) { d.R.Neg(d.R) }),
			"r plus n":        remake(t, good, func(d *der) { d.R.Add(d.R, n) }),
			"s plus n":        remake(t, good, func(d *der) { d.S.Add(d.S, n) }),
			"s is n":          remake(t, good, func(d *der) { d.S.Set(n) }),
			"halves swapped":  remake(t, good, func(d *der) { d.R, d.S = d.S, d.R }),
			"raw 64 bytes":    make([]byte, 64),
			"of the SHA-256":  s.sign(func() []byte { d := sha256.Sum256(w.whoami()); return d[:] }()),
			"of another body": s.sign([]byte(`{}`)),
			"of a newline":    s.sign(append(w.whoami(), '\n')),
		} {
			v := s.json(w.whoami())
			v["signature"] = hex.EncodeToString(bad)
			r := w.unauthenticated(apiStamp(whoamiPath, w.whoami(), encodeStamp(v)), "SIGNATURE_INVALID")
			if t.Failed() {
				t.Fatalf("%s %s: %s", s.scheme, name, r.Message)
			}
		}
	}
	s := signers[2]
	good := s.sign(w.whoami())
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	flip := func(b []byte) []byte { // little endian
		out := make([]byte, len(b))
		for i := range b {
			out[len(b)-1-i] = b[i]
		}
		return out
	}
	malleable := append(append([]byte{}, good[:32]...), flip(new(big.Int).Add(new(big.Int).SetBytes(flip(good[32:])), order).FillBytes(make([]byte, 32)))...)
	for _, bad := range [][]byte{{}, good[:63], append(append([]byte{}, good...), 0), make([]byte, 64), malleable} {
		v := s.json(w.whoami())
		v["signature"] = hex.EncodeToString(bad)
		w.unauthenticated(apiStamp(whoamiPath, w.whoami(), encodeStamp(v)), "SIGNATURE_INVALID")
	}
}

func TestStampHasOneEncoding(t *testing.T) {
	w := newWorld(t, 1, 1)
	s := newSigners(t)[0]
	w.register(s)
	body := w.whoami()
	text := func(v any) []byte { b, _ := json.Marshal(v); return b }
	raw := text(s.json(body))
	for len(raw)%3 == 0 { // so that padding matters
		raw = append(raw, ' ')
	}
	ok := func(stamp []byte) {
		t.Helper()
		if reply := w.do(apiStamp(whoamiPath, body, stamp)); reply.Status != 200 {
			t.Errorf("refused: %s", reply.Body)
		}
	}
	plain := base64.RawURLEncoding.EncodeToString(raw)
	ok([]byte(plain))
	ok([]byte(base64.URLEncoding.EncodeToString(raw)))
	ok(encodeStamp(map[string]any{"signature": s.json(body)["signature"], "scheme": s.scheme, "publicKey": s.public}))

	v := func(change func(map[string]any)) []byte {
		m := s.json(body)
		change(m)
		return encodeStamp(m)
	}
	for name, stamp := range map[string][]byte{
		"one pad too many":     []byte(base64.URLEncoding.EncodeToString(raw) + "="),
		"four pads":            []byte(plain + "===="),
		"pad in the middle":    []byte(plain[:8] + "=" + plain[8:]),
		"newline":              []byte(plain[:8] + "\n" + plain[8:]),
		"newline at the end":   []byte(plain + "\n"),
		"carriage return":      []byte(plain + "\r"),
		"space":                []byte(" " + plain),
		"plus":                 []byte(plain[:8] + "+" + plain[9:]),
		"slash":                []byte(plain[:8] + "/" + plain[9:]),
		"cut short":            []byte(plain[:len(plain)-3]),
		"plain JSON":           raw,
		"hex":                  []byte(hex.EncodeToString(raw)),
		"not JSON":             []byte(base64.RawURLEncoding.EncodeToString([]byte("hello"))),
		"two values":           []byte(base64.RawURLEncoding.EncodeToString(append(text(s.json(body)), []byte("{}")...))),
		"only pads":            []byte("===="),
		"extra member":         v(func(m map[string]any) { m["userId"] = "x" }),
		"no scheme":            v(func(m map[string]any) { delete(m, "scheme") }),
		"no key":               v(func(m map[string]any) { delete(m, "publicKey") }),
		"no signature":         v(func(m map[string]any) { delete(m, "signature") }),
		"signature null":       v(func(m map[string]any) { m["signature"] = nil }),
		"key in upper case":    v(func(m map[string]any) { m["publicKey"] = strings.ToUpper(s.public) }),
		"key with 0x":          v(func(m map[string]any) { m["publicKey"] = "0x" + s.public }),
		"odd signature":        v(func(m map[string]any) { m["signature"] = m["signature"].(string)[1:] }),
		"signature with 0x":    v(func(m map[string]any) { m["signature"] = "0x" + m["signature"].(string) }),
		"one megabyte":         []byte(strings.Repeat("A", 1<<20)),
		"duplicate member":     []byte(base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(text(s.json(body))), `{`, `{"scheme":"x",`, 1)))),
		"member of other case": []byte(base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(text(s.json(body))), `"scheme"`, `"Scheme"`, 1)))),
	} {
		t.Run(name, func(t *testing.T) {
			w.unauthenticated(apiStamp(whoamiPath, body, stamp), "SIGNATURE_INVALID")
		})
	}
}

func TestKeyFormsOtherThanCompressedAreRefusedAtRegistration(t *testing.T) {
	w := newWorld(t, 1, 1)
	p256 := newSigners(t)[0].public
	secp := newSigners(t)[1].public
	ed := newSigners(t)[2].public
	for name, c := range map[string]struct{ curve, public string }{
		"uncompressed":             {"API_KEY_CURVE_P256", hex.EncodeToString(w.quorumKey())},
		"upper case":               {"API_KEY_CURVE_P256", strings.ToUpper(p256)},
		"0x":                       {"API_KEY_CURVE_P256", "0x" + p256},
		"hybrid":                   {"API_KEY_CURVE_P256", "06" + p256[2:]},
		"x above p":                {"API_KEY_CURVE_P256", "02" + strings.Repeat("f", 64)},
		"not on the curve":         {"API_KEY_CURVE_P256", "02" + strings.Repeat("0", 63) + "4"},
		"identity":                 {"API_KEY_CURVE_P256", strings.Repeat("0", 66)},
		"secp256k1 x above p":      {"API_KEY_CURVE_SECP256K1", "02" + strings.Repeat("f", 64)},
		"secp256k1 off the curve":  {"API_KEY_CURVE_SECP256K1", "02" + strings.Repeat("0", 63) + "5"},
		"Ed25519 as P-256":         {"API_KEY_CURVE_P256", ed},
		"P-256 as Ed25519":         {"API_KEY_CURVE_ED25519", p256},
		"Ed25519 identity":         {"API_KEY_CURVE_ED25519", "01" + strings.Repeat("0", 62)},
		"Ed25519 identity, signed": {"API_KEY_CURVE_ED25519", "01" + strings.Repeat("0", 60) + "80"},
		"Ed25519 order 4":          {"API_KEY_CURVE_ED25519", strings.Repeat("0", 64)},
		"Ed25519 order 8":          {"API_KEY_CURVE_ED25519", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"},
		"Ed25519 y is p plus 1":    {"API_KEY_CURVE_ED25519", "ee" + strings.Repeat("f", 60) + "7f"},
		"Ed25519 y is p plus 3":    {"API_KEY_CURVE_ED25519", "f0" + strings.Repeat("f", 60) + "7f"},
		"Ed25519 off the curve":    {"API_KEY_CURVE_ED25519", "02" + strings.Repeat("0", 62)},
		"curve in lower case":      {"api_key_curve_p256", p256},
		"unknown curve":            {"API_KEY_CURVE_P384", secp},
		"empty":                    {"API_KEY_CURVE_P256", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w.adds(0, func() {
				w.refused(w.send("/public/v1/submit/create_api_keys", w.body("ACTIVITY_TYPE_CREATE_API_KEYS_V2", map[string]any{
					"userId": w.users[0].UserID, "apiKeys": []any{map[string]any{"apiKeyName": "k", "publicKey": c.public, "curveType": c.curve}},
				}), 0), 400, 3)
			})
		})
	}
}

func TestStampOfAnUnknownKeyIsRefused(t *testing.T) {
	w := newWorld(t, 1, 1)
	org, _, keys := w.found("other", 1, 1)
	body := w.body(createKeysType, keyParams("k"))
	one := w.unauthenticated(w.stamped(createKeysPath, body, w.newKey()), "PUBLIC_KEY_NOT_FOUND")
	two := w.unauthenticated(w.stamped(createKeysPath, body, keys[0]), "PUBLIC_KEY_NOT_FOUND")
	if one.Message != two.Message {
		t.Error("a key of another organization is told from an unknown one")
	}
	w.org = org
	w.unauthenticated(w.stamped(createKeysPath, w.body(createKeysType, keyParams("k")), w.keys[0]), "PUBLIC_KEY_NOT_FOUND")
	w.unauthenticated(w.stamped(whoamiPath, w.whoami(), w.keys[0]), "PUBLIC_KEY_NOT_FOUND")
}

func TestKeyOfAnotherUserCannotSignForAStampsKey(t *testing.T) {
	w := newWorld(t, 2, 1)
	body := w.body(createKeysType, keyParams("k"))
	stamp, err := client.Stamp(body, w.keys[0])
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(stamp)
	if err != nil {
		t.Fatal(err)
	}
	forged := strings.Replace(string(raw), w.keys[0].PublicHex(), w.keys[1].PublicHex(), 1)
	w.unauthenticated(apiStamp(createKeysPath, body, []byte(base64.RawURLEncoding.EncodeToString([]byte(forged)))), "SIGNATURE_INVALID")
}

func TestRequestWithoutAStampIsRefused(t *testing.T) {
	w := newWorld(t, 1, 1)
	for _, path := range []string{createKeysPath, whoamiPath, "/public/v1/query/list_activities"} {
		for _, body := range []string{"", "x", "{}", string(w.whoami())} {
			w.unauthenticated(&wire.Request{API: wire.APIActivity, Path: path, Body: []byte(body)}, "SIGNATURE_MISSING")
		}
	}
	w.adds(0, func() {
		req := apiStamp(whoamiPath, w.whoami(), []byte(`{}`))
		req.StampKind = wire.StampWebAuthn
		w.refused(w.do(req), 401, 16)
	})
}

func TestChangedBodyIsRefused(t *testing.T) {
	w := newWorld(t, 1, 1)
	body := w.body(createKeysType, keyParams("k"))
	req := w.stamped(createKeysPath, body, w.keys[0])
	for _, changed := range []string{
		strings.Replace(string(body), `"k"`, `"K"`, 1), string(body) + " ", string(body) + "\n", " " + string(body),
		strings.Replace(string(body), ":", ": ", 1),
	} {
		req.Body = []byte(changed)
		w.unauthenticated(req, "SIGNATURE_INVALID")
	}
}

func TestOrganizationThatIsNotThereIsNotFound(t *testing.T) {
	w := newWorld(t, 1, 1)
	body := []byte(`{"organizationId":"00000000-0000-8000-8000-000000000000"}`)
	r := w.refused(w.do(w.stamped(whoamiPath, body, w.keys[0])), 404, 5)
	if r.Details[0]["turnkeyErrorCode"] != "ORGANIZATION_NOT_FOUND" {
		t.Errorf("got %+v", r)
	}
}

func TestExpiredKeyIsRefusedToTheMillisecond(t *testing.T) {
	w := newWorld(t, 1, 1)
	s := newSigners(t)[0]
	start := w.now
	w.is(w.submit("create_api_keys", "ACTIVITY_TYPE_CREATE_API_KEYS_V2", map[string]any{"userId": w.users[0].UserID, "apiKeys": []any{
		map[string]any{"apiKeyName": "short", "publicKey": s.public, "curveType": s.curve, "expirationSeconds": "60"},
	}}, 0), completed)
	body := w.body(createKeysType, keyParams("k"))
	req := apiStamp(createKeysPath, body, encodeStamp(s.json(body)))
	w.now = start.Add(time.Minute - time.Millisecond)
	w.is(w.activity(w.do(req)), completed)
	w.now = start.Add(time.Minute)
	w.unauthenticated(req, "API_KEY_EXPIRED")
	w.unauthenticated(apiStamp(whoamiPath, w.whoami(), encodeStamp(s.json(w.whoami()))), "API_KEY_EXPIRED")
	w.enclave.Restart(t)
	w.unauthenticated(req, "API_KEY_EXPIRED")
}

func TestDeletedKeyIsRefusedFromThatMoment(t *testing.T) {
	w := newWorld(t, 1, 1)
	s := newSigners(t)[1]
	w.register(s)
	req := apiStamp(whoamiPath, w.whoami(), encodeStamp(s.json(w.whoami())))
	if w.do(req).Status != 200 {
		t.Fatal("the key does not work")
	}
	body := w.body(createKeysType, keyParams("k"))
	made := apiStamp(createKeysPath, body, encodeStamp(s.json(body)))
	w.is(w.activity(w.do(made)), completed)
	var kid string
	for _, k := range w.user(0).APIKeys {
		if k.Credential.PublicKey == s.public {
			kid = k.APIKeyID
		}
	}
	w.is(w.submit("delete_api_keys", "ACTIVITY_TYPE_DELETE_API_KEYS", map[string]any{"userId": w.users[0].UserID, "apiKeyIds": []string{kid}}, 0), completed)
	w.unauthenticated(req, "PUBLIC_KEY_NOT_FOUND")
	w.unauthenticated(made, "PUBLIC_KEY_NOT_FOUND")
	w.enclave.Restart(t)
	w.unauthenticated(req, "PUBLIC_KEY_NOT_FOUND")
}
