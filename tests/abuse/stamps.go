package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"filippo.io/nistec"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	secpecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/sallyport/sallyport/host/client"
)

// stampRows are block C. Honest stamps of all three schemes are tried first:
// a refusal means something only beside them.
var stampRows = []row{
	{id: "C1", what: "base64 of the standard alphabet, white space, odd padding, loose last bits", run: looseBase64},
	{id: "C1b", what: "padded base64url is served, since published clients send it", run: paddedStamp},
	{id: "C2", what: "unknown scheme, none, that of another curve, of a quorum key", run: schemes},
	{id: "C3", what: "key that nobody registered", run: strangerKey},
	{id: "C3b", what: "key of another organization: the same error", run: foreignKey},
	{id: "C4", what: "public key uncompressed, hybrid, in capitals, x of p, off the curve, the identity", run: keyForms},
	{id: "C4b", what: "the same forms registered as API keys", run: registerForms},
	{id: "C4c", what: "Ed25519 key of small order registered", run: smallOrder},
	{id: "C5", what: "DER with bytes behind, negative r, r = 0, s = 0, r >= n, long forms", run: badDER},
	{id: "C5b", what: "the same over secp256k1", run: badSecpDER, writes: true},
	{id: "C5c", what: "Ed25519 signature with s + L, with another R", run: badEd25519, writes: true},
	{id: "C6", what: "the twin (r, n-s) of a stamp, same body: one activity", run: twin, writes: true},
	{id: "C7", what: "signature over the hash of the hash, over a pretty body, over nothing", run: otherMessages},
	{id: "C8", what: "member twice, in two cases, and once under a name that folds to it", run: twoMembers},
	{id: "C9", what: "stamp with more members, fewer, twice the same, other case", run: stampMembers},
	{id: "C9b", what: "stamp of 8 KB, of 1 MB", run: longStamps},
	{id: "C10", what: "WebAuthn stamp, honest or not: not served by this release", run: webAuthn},
	{id: "C11", what: "credential that was revoked", run: revoked, writes: true},
	{id: "C11b", what: "credential that has expired", run: expired, writes: true},
	{id: "C11c", what: "key that is registered already, to any user", run: registeredKey},
	{id: "C12", what: "founding body that names another appliance", run: otherAppliance},
	{id: "C12b", what: "body stamped for an organization of another appliance", run: otherOrganization},
	{id: "C13", what: "no stamp, an empty one", run: noStamp},
	{id: "C14", what: "founding body with a stamp missing, forged, by a stranger, twice", run: badFounding},
	{id: "C15", what: "founding body with no users, quorum 0, quorum beyond them, two users of one key", run: badFoundingBodies},
}

// A rawStamp is the JSON of a stamp.
type rawStamp struct {
	PublicKey string `json:"publicKey"`
	Scheme    string `json:"scheme"`
	Signature string `json:"signature"`
}

func (s rawStamp) header() string { return base64.RawURLEncoding.EncodeToString(toJSON(s)) }

// honest takes an honest stamp apart.
func honest(body []byte, key *client.APIKey) rawStamp {
	raw, err := base64.RawURLEncoding.DecodeString(mustStamp(body, key))
	if err != nil {
		panic("internal error: " + err.Error())
	}
	var s rawStamp
	if err := json.Unmarshal(raw, &s); err != nil {
		panic("internal error: " + err.Error())
	}
	return s
}

// ask is a query by the main team's key under a stamp as given.
func (w *world) ask(header func(body []byte) string, want refusal, words ...string) (string, error) {
	body := toJSON(object{"organizationId": w.main.org})
	r, err := w.withStamp(whoami, body, header(body))
	return want.judge(r, err, words...)
}

// altered is a query whose honest stamp was changed.
func (w *world) altered(change func(*rawStamp), words ...string) (string, error) {
	return w.ask(func(body []byte) string {
		s := honest(body, w.main.key())
		change(&s)
		return s.header()
	}, unauthorized, words...)
}

func looseBase64(w *world) (string, error) {
	return each([]func(string) string{
		func(s string) string {
			raw, _ := base64.RawURLEncoding.DecodeString(s)
			// A member that makes the standard alphabet differ.
			raw = bytes.Replace(raw, []byte("{"), []byte("{ "), 1)
			raw = append(raw, "\x3f\x3e \x3f\x3e"...)
			return base64.StdEncoding.EncodeToString(raw)
		},
		func(s string) string { return s[:8] + " " + s[8:] },
		func(s string) string { return s[:8] + "\t" + s[8:] },
		func(s string) string { return s + "=" + strings.Repeat("=", (8-len(s)%4)%4) },
		func(s string) string { return s + "====" },
		func(s string) string { return s[:len(s)-1] },
		func(s string) string { return s + "." },
		func(s string) string { return hex.EncodeToString([]byte(s)) },
		func(s string) string { // the JSON itself
			raw, _ := base64.RawURLEncoding.DecodeString(s)
			return string(raw)
		},
	}, func(change func(string) string) (string, error) {
		return w.ask(func(body []byte) string { return change(mustStamp(body, w.main.key())) }, unauthorized, "malformed")
	})
}

func paddedStamp(w *world) (string, error) {
	body := toJSON(object{"organizationId": w.main.org})
	raw, err := base64.RawURLEncoding.DecodeString(mustStamp(body, w.main.key()))
	if err != nil {
		return "", err
	}
	if len(raw)%3 == 0 { // signatures vary in length; this one needs no padding
		raw = append(raw, ' ') // white space is allowed in JSON
	}
	r, err := w.withStamp(whoami, body, base64.URLEncoding.EncodeToString(raw))
	if err != nil || r.Status != 200 {
		return "", fmt.Errorf("%+v, %w", r, err)
	}
	return "served", nil
}

func schemes(w *world) (string, error) {
	return each([]string{
		"", "none", "SIGNATURE_SCHEME_TK_API_SECP256K1", "SIGNATURE_SCHEME_TK_API_ED25519", "SIGNATURE_SCHEME_TK_WEBAUTHN",
		"SIGNATURE_SCHEME_TK_QUORUM_P256", "SIGNATURE_SCHEME_TK_ATTESTED_P256", "signature_scheme_tk_api_p256", "SIGNATURE_SCHEME_UNSPECIFIED",
	}, func(scheme string) (string, error) {
		return w.altered(func(s *rawStamp) { s.Scheme = scheme })
	})
}

func strangerKey(w *world) (string, error) {
	k, err := client.NewAPIKey()
	if err != nil {
		return "", err
	}
	return w.ask(func(body []byte) string { return mustStamp(body, k) }, unauthorized, "could not find public key")
}

// foreignKey must not tell a key of another organization from an unknown one.
func foreignKey(w *world) (string, error) {
	unknown, err := strangerKey(w)
	if err != nil {
		return "", err
	}
	foreign, err := w.ask(func(body []byte) string { return mustStamp(body, w.other.key()) }, unauthorized)
	if err == nil && foreign != unknown {
		err = fmt.Errorf("%q differs from %q", foreign, unknown)
	}
	return foreign, err
}

// otherForms are encodings of a P-256 key, or of none, that must not be taken.
func otherForms(compressed string) []string {
	raw, _ := hex.DecodeString(compressed)
	point, err := nistec.NewP256Point().SetBytes(raw)
	if err != nil {
		panic(err.Error())
	}
	whole := point.Bytes()
	hybrid := bytes.Clone(whole)
	hybrid[0] = 6 | whole[64]&1
	p := elliptic.P256().Params().P
	off := bytes.Clone(raw)
	for { // the next x that is on no point
		off[32]++
		if x, _ := elliptic.UnmarshalCompressed(elliptic.P256(), off); x == nil {
			break
		}
	}
	return []string{
		hex.EncodeToString(whole), hex.EncodeToString(hybrid), strings.ToUpper(compressed), "0x" + compressed,
		"02" + hex.EncodeToString(p.Bytes()), hex.EncodeToString(off), "00", strings.Repeat("00", 33), "05" + compressed[2:],
		compressed[:64], compressed + "00", "", compressed + " ",
	}
}

func keyForms(w *world) (string, error) {
	return each(otherForms(w.main.key().PublicHex()), func(form string) (string, error) {
		return w.altered(func(s *rawStamp) { s.PublicKey = form })
	})
}

const (
	keysPath = "/public/v1/submit/create_api_keys"
	typeKeys = "ACTIVITY_TYPE_CREATE_API_KEYS_V2"
)

// register makes the parameters that give the first user of a team a key.
func (t *team) register(curve, public, expiration string) object {
	k := object{"apiKeyName": "another", "publicKey": public, "curveType": curve}
	if expiration != "" {
		k["expirationSeconds"] = expiration
	}
	return object{"userId": t.users[0].UserID, "apiKeys": []object{k}}
}

func registerForms(w *world) (string, error) {
	k, err := client.NewAPIKey()
	if err != nil {
		return "", err
	}
	return each(otherForms(k.PublicHex()), func(form string) (string, error) {
		return w.main.stamped(invalid, keysPath, w.main.body(typeKeys, w.main.register(client.CurveP256, form, "")), "publicKey")
	})
}

func smallOrder(w *world) (string, error) {
	return each([]string{
		strings.Repeat("00", 32), "01" + strings.Repeat("00", 31), "01" + strings.Repeat("00", 30) + "80",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"ec" + strings.Repeat("ff", 30) + "7f", "ed" + strings.Repeat("ff", 30) + "7f", "ee" + strings.Repeat("ff", 30) + "7f",
	}, func(point string) (string, error) {
		return w.main.stamped(invalid, keysPath, w.main.body(typeKeys, w.main.register("API_KEY_CURVE_ED25519", point, "")), "not a key of its curve")
	})
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
	var out object
	if err := t.done("create_api_keys", typeKeys, t.register(curve, public, ""), "createApiKeysResult", &out); err != nil {
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

func otherMessages(w *world) (string, error) {
	body := toJSON(object{"organizationId": w.main.org})
	sum := sha256.Sum256(body)
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, body, "", "  "); err != nil {
		return "", err
	}
	return each([][]byte{sum[:], []byte(hex.EncodeToString(sum[:])), pretty.Bytes(), {}, []byte("{}"), append(bytes.Clone(body), '\n')}, func(message []byte) (string, error) {
		return w.ask(func([]byte) string { return mustStamp(message, w.main.key()) }, unauthorized, "could not verify")
	})
}

func twoMembers(w *world) (string, error) {
	body := string(w.main.signBody())
	more := func(old, new string) string { return strings.Replace(body, old, new, 1) }
	return each([]string{
		more(`"type"`, `"type":"ACTIVITY_TYPE_SIGN_RAW_PAYLOAD","type"`),
		more(`"type"`, `"Type":"x","type"`), more(`"type":`, `"TYPE":`),
		more(`"payload"`, `"payload":"other","payload"`), more(`"payload"`, `"Payload":"other","payload"`),
		more(`"organizationId"`, `"organizationId":"`+w.other.org+`","organizationId"`),
		more(`"parameters"`, `"parameters":{},"parameters"`),
		more(`"hashFunction"`, "\"ha\u017fhFunction\":\"x\",\"hashFunction\""), // a long s folds to s
		more(`"payload"`, `"pa\u0079load":"other","payload"`),
	}, func(b string) (string, error) { return w.main.stamped(invalid, signPath, []byte(b)) })
}

func stampMembers(w *world) (string, error) {
	return each([]func(string) string{
		func(s string) string { return strings.Replace(s, "{", `{"extra":1,`, 1) },
		func(s string) string { return strings.Replace(s, `"scheme"`, `"Scheme"`, 1) },
		func(s string) string { return strings.Replace(s, "{", `{"scheme":"x",`, 1) },
		func(s string) string { return strings.Replace(s, `"signature"`, `"sig"`, 1) },
		func(s string) string { return s + "{}" },
		func(s string) string { return "[" + s + "]" },
		func(string) string { return "{}" },
		func(string) string { return "null" },
	}, func(change func(string) string) (string, error) {
		return w.ask(func(body []byte) string {
			return base64.RawURLEncoding.EncodeToString([]byte(change(string(toJSON(honest(body, w.main.key()))))))
		}, unauthorized, "malformed")
	})
}

func longStamps(w *world) (string, error) {
	if _, err := w.ask(func(body []byte) string {
		s := toJSON(honest(body, w.main.key()))
		return base64.RawURLEncoding.EncodeToString(append(s, bytes.Repeat([]byte(" "), 6000)...))
	}, unauthorized, "malformed"); err != nil {
		return "", err
	}
	r, _, err := w.raw(request("POST", whoami, "Content-Length: 2\r\nX-Stamp: "+strings.Repeat("a", 1<<20)+"\r\n", "{}"))
	if err != nil {
		return "", err
	}
	if r.Status != 431 {
		return "", fmt.Errorf("1 MB: HTTP %d", r.Status)
	}
	return "8 KB: 401, 1 MB: 431", nil
}

func webAuthn(w *world) (string, error) {
	body := toJSON(object{"organizationId": w.main.org})
	return each([]string{"{}", `{"authenticatorData":"AA","clientDataJson":"e30","credentialId":"AA","signature":"AA"}`}, func(v string) (string, error) {
		r, err := w.http.Do("POST", whoami, body, "X-Stamp-WebAuthn", v)
		return unauthorized.judge(r, err, "WebAuthn")
	})
}

// withNewKey gives the first user of a new team another key.
func (w *world) withNewKey(expiration string) (t *team, key *client.APIKey, id string, err error) {
	if t, err = w.found(1, 1); err != nil {
		return
	}
	if key, err = client.NewAPIKey(); err != nil {
		return
	}
	var out struct{ APIKeyIDs []string }
	err = t.done("create_api_keys", typeKeys, t.register(client.CurveP256, key.PublicHex(), expiration), "createApiKeysResult", &out)
	if err == nil && len(out.APIKeyIDs) != 1 {
		err = errors.New("no id of the key")
	}
	if err != nil {
		return
	}
	if r, err := w.http.Post(whoami, toJSON(object{"organizationId": t.org}), key); err != nil || r.Status != 200 {
		return t, key, "", fmt.Errorf("the key is not served while it should be: %+v, %w", r, err)
	}
	return t, key, out.APIKeyIDs[0], nil
}

func revoked(w *world) (string, error) {
	t, key, id, err := w.withNewKey("")
	if err != nil {
		return "", err
	}
	// A body that it stamped in time, and that arrives too late.
	late := t.body(typeCreate, keyParameters("CURVE_P256"))
	stamp := mustStamp(late, key)
	var out object
	if err := t.done("delete_api_keys", "ACTIVITY_TYPE_DELETE_API_KEYS", object{"userId": t.users[0].UserID, "apiKeyIds": []string{id}}, "deleteApiKeysResult", &out); err != nil {
		return "", err
	}
	r, err := w.withStamp("/public/v1/submit/create_private_keys", late, stamp)
	if _, err := unauthorized.judge(r, err, "could not find public key"); err != nil {
		return "", err
	}
	r, err = w.http.Post(whoami, toJSON(object{"organizationId": t.org}), key)
	return unauthorized.judge(r, err, "could not find public key")
}

func expired(w *world) (string, error) {
	t, key, _, err := w.withNewKey("1")
	if err != nil {
		return "", err
	}
	<-time.After(1100 * time.Millisecond)
	r, err := w.http.Post(whoami, toJSON(object{"organizationId": t.org}), key)
	return unauthorized.judge(r, err, "expired api key")
}

func registeredKey(w *world) (string, error) {
	return w.board.stamped(invalid, keysPath, w.board.body(typeKeys, w.board.register(client.CurveP256, w.board.keys[1].PublicHex(), "")), "registered")
}

func otherAppliance(w *world) (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	public, err := key.PublicKey.Bytes()
	if err != nil {
		return "", err
	}
	body, keys, err := foundingBody(1, 1, hex.EncodeToString(public))
	if err != nil {
		return "", err
	}
	return w.refusedFounding(invalid, body, keys, "quorumPublicKeys")
}

func (w *world) refusedFounding(want refusal, body []byte, keys []*client.APIKey, words ...string) (string, error) {
	request, err := client.NewFoundingRequest(body, keys...)
	if err != nil {
		return "", err
	}
	r, err := w.http.Do("POST", organizations, request)
	return want.judge(r, err, words...)
}

func otherOrganization(w *world) (string, error) {
	elsewhere := client.OrganizationID([]byte("a body of another appliance"))
	body := replaced(w.main.signBody(), w.main.org, elsewhere)
	return w.main.stamped(notFound, signPath, body, "no organization")
}

func noStamp(w *world) (string, error) {
	body := w.main.signBody()
	r, err := w.http.Do("POST", signPath, body)
	if _, err := unauthorized.judge(r, err, "without a stamp"); err != nil {
		return "", err
	}
	r, err = w.http.Do("POST", signPath, body, "X-Stamp", "")
	return unauthorized.judge(r, err)
}

func badFounding(w *world) (string, error) {
	body, keys, err := foundingBody(2, 2, w.app.QuorumPublicKey)
	if err != nil {
		return "", err
	}
	stranger, err := client.NewAPIKey()
	if err != nil {
		return "", err
	}
	good := []string{mustStamp(body, keys[0]), mustStamp(body, keys[1])}
	forged := honest(body, keys[1])
	forged.Signature = honest([]byte("other"), keys[1]).Signature
	return each([][]string{
		{good[0]},
		{},
		{good[0], good[0]},
		{good[0], forged.header()},
		{good[0], mustStamp(body, stranger)},
		{good[0], good[1], mustStamp(body, stranger)},
		{good[0], good[1], good[1]},
		{good[0], "x"},
	}, func(stamps []string) (string, error) {
		r, err := w.http.Do("POST", organizations, toJSON(client.FoundingRequest{FoundingBody: string(body), Stamps: stamps}))
		if err == nil && r.Status == 400 {
			return invalid.judge(r, err)
		}
		return unauthorized.judge(r, err)
	})
}

func badFoundingBodies(w *world) (string, error) {
	body, keys, err := foundingBody(2, 2, w.app.QuorumPublicKey)
	if err != nil {
		return "", err
	}
	return each([][]byte{
		replaced(body, `"rootQuorumThreshold":2`, `"rootQuorumThreshold":0`), replaced(body, `"rootQuorumThreshold":2`, `"rootQuorumThreshold":3`),
		replaced(body, `"rootQuorumThreshold":2`, `"rootQuorumThreshold":-1`), replaced(body, `"rootQuorumThreshold":2`, `"rootQuorumThreshold":18446744073709551618`),
		replaced(body, keys[1].PublicHex(), keys[0].PublicHex()), replaced(body, "SALLYPORT_ORGANIZATION_V1", "SALLYPORT_ORGANIZATION_V0"),
		replaced(body, `"salt":"`, `"salt":"00`), replaced(body, `"type"`, `"extra":1,"type"`), replaced(body, `"apiKeys":[{`, `"apiKeys":[],"x":[{`),
	}, func(b []byte) (string, error) { return w.refusedFounding(invalid, b, keys) })
}
