package activity_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// raw is the body of an ordinary creation as text, for tests that damage it.
func (w *world) raw(name string) string {
	return fmt.Sprintf(`{"type":"%s","timestampMs":"%s","organizationId":"%s","parameters":{"privateKeys":[`+
		`{"privateKeyName":"%s","curve":"CURVE_SECP256K1","privateKeyTags":[],"addressFormats":[]}]}}`,
		createKeysType, w.timestamp(), w.org, name)
}

func TestBodyWithTwoReadingsIsRefused(t *testing.T) {
	w := newWorld(t, 1, 1)
	swap := func(old, new string) func(string) string {
		return func(s string) string {
			if !strings.Contains(s, old) {
				t.Fatalf("no %s in %s", old, s)
			}
			return strings.Replace(s, old, new, 1)
		}
	}
	deep := strings.Repeat(`[`, 40) + strings.Repeat(`]`, 40)
	for name, c := range map[string]struct {
		change func(string) string
		names  string // must stand in the message
	}{
		"empty":                      {func(string) string { return "" }, ""},
		"null":                       {func(string) string { return "null" }, ""},
		"array":                      {func(s string) string { return "[" + s + "]" }, ""},
		"second value":               {func(s string) string { return s + s }, ""},
		"trailing byte":              {func(s string) string { return s + "x" }, ""},
		"trailing NUL":               {func(s string) string { return s + "\x00" }, ""},
		"cut short":                  {func(s string) string { return s[:len(s)-1] }, ""},
		"byte order mark":            {func(s string) string { return "\xef\xbb\xbf" + s }, ""},
		"member twice":               {swap(`{"type"`, `{"type":"x","type"`), "type"},
		"member twice, other case":   {swap(`{"type"`, `{"Type":"x","type"`), "Type"},
		"member in other case":       {swap(`"timestampMs"`, `"timestampms"`), "timestampms"},
		"folded by Unicode":          {swap(`"timestampMs"`, "\"time\u017ftampMs\""), ""},
		"escaped duplicate":          {swap(`{"type"`, `{"\u0074ype":"x","type"`), "type"},
		"unknown member":             {swap(`{"type"`, `{"hello":1,"type"`), "hello"},
		"unknown member within":      {swap(`"curve"`, `"colour":"red","curve"`), "parameters.privateKeys[0].colour"},
		"member within twice":        {swap(`"curve"`, `"curve":"CURVE_P256","curve"`), "parameters.privateKeys[0].curve"},
		"member within, other case":  {swap(`"curve"`, `"Curve":"CURVE_P256","curve"`), "parameters.privateKeys[0].curve"},
		"type missing":               {swap(`"type":"`+createKeysType+`",`, ``), "type"},
		"type null":                  {swap(`"`+createKeysType+`"`, `null`), "type"},
		"type a number":              {swap(`"`+createKeysType+`"`, `1`), "type"},
		"organization missing":       {swap(`"organizationId":"`+w.org+`",`, ``), "organizationId"},
		"organization in upper case": {swap(w.org, strings.ToUpper(w.org)), "organization"},
		"organization with braces":   {swap(w.org, "{"+w.org+"}"), "organization"},
		"parameters null":            {func(s string) string { return s[:strings.Index(s, `"parameters"`)] + `"parameters":null}` }, "parameters"},
		"parameters a list":          {func(s string) string { return s[:strings.Index(s, `"parameters"`)] + `"parameters":[]}` }, "parameters"},
		"parameters a string":        {func(s string) string { return s[:strings.Index(s, `"parameters"`)] + `"parameters":"{}"}` }, "parameters"},
		"null twice":                 {swap(`{"type"`, `{"newer":null,"newer":null,"type"`), "newer"},
		"null in other case":         {swap(`{"type"`, `{"Type":null,"type"`), "Type"},
		"null in a list":             {swap(`"privateKeys":[`, `"privateKeys":[null,`), "privateKeys[0]"},
		"bad UTF-8":                  {swap(`"privateKeyName":"`, "\"privateKeyName\":\"\xff"), ""},
		"overlong UTF-8":             {swap(`"privateKeyName":"`, "\"privateKeyName\":\"\xc0\xaf"), ""},
		"surrogate in UTF-8":         {swap(`"privateKeyName":"`, "\"privateKeyName\":\"\xed\xa0\x80"), ""},
		"lone surrogate":             {swap(`"privateKeyName":"`, `"privateKeyName":"\ud800`), ""},
		"NUL escape":                 {swap(`"privateKeyName":"`, `"privateKeyName":"\u0000`), ""},
		"control character":          {swap(`"privateKeyName":"`, `"privateKeyName":"\u001b`), "privateKeyName"},
		"raw newline in a string":    {swap(`"privateKeyName":"`, "\"privateKeyName\":\"\n"), ""},
		"deep":                       {swap(`"privateKeyTags":[]`, `"privateKeyTags":`+deep), ""},
		"comment":                    {swap(`{"type"`, `{/**/"type"`), ""},
		"single quotes":              {swap(`"type"`, `'type'`), ""},
		"generateAppProofs a string": {swap(`{"type"`, `{"generateAppProofs":"true","type"`), "generateAppProofs"},
	} {
		t.Run(name, func(t *testing.T) {
			body := c.change(w.raw("k"))
			w.adds(0, func() {
				r := w.refused(w.send(createKeysPath, []byte(body), 0), 400, 3)
				if !strings.Contains(r.Message, c.names) {
					t.Errorf("message %q does not name %q", r.Message, c.names)
				}
			})
		})
	}
	if w.countKeys() != 0 {
		t.Error("a refused body made a key")
	}
}

func TestNullIsAbsent(t *testing.T) {
	w := newWorld(t, 1, 1)
	body := strings.Replace(w.raw("k"), `"privateKeyTags":[],"addressFormats":[]`, `"privateKeyTags":null,"addressFormats":null`, 1)
	body = strings.Replace(body, `{"type"`, `{"generateAppProofs":null,"ofANewerSchema":null,"type"`, 1)
	body = strings.Replace(body, `{"privateKeyName"`, `{"ofANewerSchema":null,"privateKeyName"`, 1)
	a := w.activity(w.send(createKeysPath, []byte(body), 0))
	w.is(a, completed)
	if bytes.Contains(a.Intent["createPrivateKeysIntentV2"], []byte("null")) {
		t.Errorf("intent shows nulls: %s", a.Intent)
	}
	if a.Votes[0].Message != body {
		t.Error("the vote's message is not the exact body")
	}
}

// Bodies as the published clients write them: a newline at the end, spaces
// after separators, members in any order.
func TestHarmlessFormsAreTaken(t *testing.T) {
	w := newWorld(t, 1, 1)
	for i, change := range []func(string) string{
		func(s string) string { return s + "\n" },
		func(s string) string { return " \t\r\n" + s },
		func(s string) string { return strings.ReplaceAll(s, `,"`, `, "`) },
		func(s string) string { return strings.Replace(s, `"type"`, `"\u0074ype"`, 1) },
		func(s string) string {
			return strings.Replace(s, `"privateKeyName":"`, `"privateKeyName":"<&> Ü \u00fc 😀 \ud83d\ude00`, 1)
		},
	} {
		body := change(w.raw(fmt.Sprint("k", i)))
		a := w.activity(w.send(createKeysPath, []byte(body), 0))
		w.is(a, completed)
		if a.Votes[0].Message != body || a.Fingerprint != fingerprintHex([]byte(body)) {
			t.Errorf("%d: message or fingerprint is not of the exact body", i)
		}
	}
}

func TestTypeMustBelongToThePath(t *testing.T) {
	w := newWorld(t, 1, 1)
	for _, typ := range []string{
		"ACTIVITY_TYPE_CREATE_PRIVATE_KEYS", "ACTIVITY_TYPE_CREATE_USERS_V3", "activity_type_create_private_keys_v2",
		createKeysType + " ", "", "ACTIVITY_TYPE_EXPORT_PRIVATE_KEY",
	} {
		w.adds(0, func() { w.refused(w.send(createKeysPath, w.body(typ, keyParams("k")), 0), 400, 3) })
	}
	w.adds(0, func() {
		w.refused(w.send(approvePath, w.body(rejectType, map[string]string{"fingerprint": "sha256:" + strings.Repeat("0", 64)}), 0), 400, 3)
	})
}

func TestUnknownPathIsNotFound(t *testing.T) {
	w := newWorld(t, 1, 1)
	for _, path := range []string{
		"/", "/public/v1/submit/", "/public/v1/query/", "/public/v1/submit/create_wallet", "/public/v1/query/list_wallets",
		"/public/v1/submit/create_private_keys/", "/public/v1/submit/CREATE_PRIVATE_KEYS", "/public/v1/submit/whoami",
		"/public/v1/query/create_private_keys", "/public/v2/query/whoami", "/public/v1/submit/../query/whoami", "/sallyport/v1/nothing",
	} {
		w.adds(0, func() { w.refused(w.send(path, w.body(createKeysType, keyParams("k")), 0), 404, 5) })
	}
}

func TestKeyRequestsAreJudgedBeforeTheyAreRecorded(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.newPrivateKey("taken", "CURVE_P256")
	key := func(changes map[string]any) map[string]any {
		k := map[string]any{"privateKeyName": "k", "curve": "CURVE_SECP256K1", "privateKeyTags": []any{}, "addressFormats": []any{}}
		for name, v := range changes {
			k[name] = v
		}
		return k
	}
	many := make([]any, 101)
	for i := range many {
		many[i] = key(map[string]any{"privateKeyName": fmt.Sprint(i)})
	}
	for name, c := range map[string]struct {
		keys   []any
		status int
		names  string
	}{
		"no key":                   {[]any{}, 400, "privateKeys"},
		"too many keys":            {many, 400, "privateKeys"},
		"no name":                  {[]any{key(map[string]any{"privateKeyName": ""})}, 400, "privateKeyName"},
		"long name":                {[]any{key(map[string]any{"privateKeyName": strings.Repeat("n", 257)})}, 400, "privateKeyName"},
		"same name twice":          {[]any{key(nil), key(nil)}, 400, "privateKeys[1].privateKeyName"},
		"taken name":               {[]any{key(map[string]any{"privateKeyName": "taken"})}, 400, "privateKeyName"},
		"unknown curve":            {[]any{key(map[string]any{"curve": "CURVE_P384"})}, 400, "curve"},
		"curve in lower case":      {[]any{key(map[string]any{"curve": "curve_p256"})}, 400, "curve"},
		"unspecified curve":        {[]any{key(map[string]any{"curve": "CURVE_UNSPECIFIED"})}, 400, "curve"},
		"unknown format":           {[]any{key(map[string]any{"addressFormats": []any{"ADDRESS_FORMAT_MOON"}})}, 400, "ADDRESS_FORMAT_MOON"},
		"format of another curve":  {[]any{key(map[string]any{"addressFormats": []any{"ADDRESS_FORMAT_SOLANA"}})}, 400, "ADDRESS_FORMAT_SOLANA"},
		"unknown tag":              {[]any{key(map[string]any{"privateKeyTags": []any{"00000000-0000-8000-8000-000000000000"}})}, 404, "privateKeyTags"},
		"one good key and one bad": {[]any{key(nil), key(map[string]any{"privateKeyName": "b", "curve": "x"})}, 400, "privateKeys[1].curve"},
	} {
		t.Run(name, func(t *testing.T) {
			code := map[int]int{400: 3, 404: 5}[c.status]
			w.adds(0, func() {
				r := w.refused(w.send(createKeysPath, w.body(createKeysType, map[string]any{"privateKeys": c.keys}), 0), c.status, code)
				if !strings.Contains(r.Message, c.names) {
					t.Errorf("message %q does not name %s", r.Message, c.names)
				}
			})
		})
	}
}

func TestSignRequestsAreJudgedBeforeTheyAreRecorded(t *testing.T) {
	w := newWorld(t, 1, 1)
	ecdsa, ed := w.newPrivateKey("a", "CURVE_SECP256K1"), w.newPrivateKey("b", "CURVE_ED25519")
	good := func(kid string) map[string]any {
		return map[string]any{"signWith": kid, "payload": "00", "encoding": "PAYLOAD_ENCODING_HEXADECIMAL", "hashFunction": "HASH_FUNCTION_SHA256"}
	}
	digest := strings.Repeat("ab", 32)
	for name, c := range map[string]struct {
		kid     string
		changes map[string]any
		status  int
	}{
		"unknown key":               {"00000000-0000-8000-8000-000000000000", nil, 404},
		"unknown address":           {"0x0000000000000000000000000000000000000000", nil, 404},
		"empty signWith":            {"", nil, 400},
		"odd hex":                   {ecdsa, map[string]any{"payload": "0"}, 400},
		"not hex":                   {ecdsa, map[string]any{"payload": "zz"}, 400},
		"unknown encoding":          {ecdsa, map[string]any{"encoding": "PAYLOAD_ENCODING_BASE64"}, 400},
		"EIP712":                    {ecdsa, map[string]any{"encoding": "PAYLOAD_ENCODING_EIP712"}, 400},
		"unknown hash":              {ecdsa, map[string]any{"hashFunction": "HASH_FUNCTION_MD5"}, 400},
		"no hash over a short one":  {ecdsa, map[string]any{"hashFunction": "HASH_FUNCTION_NO_OP"}, 400},
		"no hash over a long one":   {ecdsa, map[string]any{"hashFunction": "HASH_FUNCTION_NO_OP", "payload": digest + "00"}, 400},
		"NOT_APPLICABLE with ECDSA": {ecdsa, map[string]any{"hashFunction": "HASH_FUNCTION_NOT_APPLICABLE"}, 400},
		"SHA256 with Ed25519":       {ed, nil, 400},
		"NO_OP with Ed25519":        {ed, map[string]any{"hashFunction": "HASH_FUNCTION_NO_OP", "payload": digest}, 400},
		"payload a number":          {ecdsa, map[string]any{"payload": 12}, 400},
		"V1 member in V2":           {ecdsa, map[string]any{"privateKeyId": ecdsa}, 400},
	} {
		t.Run(name, func(t *testing.T) {
			p := good(c.kid)
			for k, v := range c.changes {
				p[k] = v
			}
			code := map[int]int{400: 3, 404: 5}[c.status]
			w.adds(0, func() {
				w.refused(w.send("/public/v1/submit/sign_raw_payload", w.body("ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2", p), 0), c.status, code)
			})
		})
	}
	payloads := func(list ...string) []byte {
		return w.body("ACTIVITY_TYPE_SIGN_RAW_PAYLOADS", map[string]any{
			"signWith": ecdsa, "payloads": append([]string{}, list...), "encoding": "PAYLOAD_ENCODING_HEXADECIMAL", "hashFunction": "HASH_FUNCTION_SHA256",
		})
	}
	w.adds(0, func() {
		w.refused(w.send("/public/v1/submit/sign_raw_payloads", payloads(), 0), 400, 3)
		w.refused(w.send("/public/v1/submit/sign_raw_payloads", payloads(make([]string, 251)...), 0), 400, 3)
		if r := w.refused(w.send("/public/v1/submit/sign_raw_payloads", payloads("00", "zz"), 0), 400, 3); !strings.Contains(r.Message, "payloads[1]") {
			t.Errorf("message %q", r.Message)
		}
	})
}

func TestAllThreeFormsOfSigningGiveTheSameSignature(t *testing.T) {
	w := newWorld(t, 1, 1)
	kid := w.newPrivateKey("a", "CURVE_SECP256K1")
	want := w.sign(kid, "0xABcd", "HEXADECIMAL", "KECCAK256")
	one := w.submit("sign_raw_payload", "ACTIVITY_TYPE_SIGN_RAW_PAYLOAD", map[string]string{
		"privateKeyId": kid, "payload": "abcd", "encoding": "PAYLOAD_ENCODING_HEXADECIMAL", "hashFunction": "HASH_FUNCTION_KECCAK256",
	}, 0)
	var v1 rsv
	if err := json.Unmarshal(one.Result["signRawPayloadResult"], &v1); err != nil || v1 != want {
		t.Errorf("V1 gives %+v, V2 %+v (%v)", v1, want, err)
	}
	if one.Intent["signRawPayloadIntent"] == nil {
		t.Errorf("intent of V1: %v", one.Intent)
	}
	all := w.submit("sign_raw_payloads", "ACTIVITY_TYPE_SIGN_RAW_PAYLOADS", map[string]any{
		"signWith": kid, "payloads": []string{"abcd", "00"}, "encoding": "PAYLOAD_ENCODING_HEXADECIMAL", "hashFunction": "HASH_FUNCTION_KECCAK256",
	}, 0)
	var many struct{ Signatures []rsv }
	if err := json.Unmarshal(all.Result["signRawPayloadsResult"], &many); err != nil || len(many.Signatures) != 2 || many.Signatures[0] != want {
		t.Errorf("many: %+v (%v)", many, err)
	}
}

func TestExportRequestsAreJudgedBeforeTheyAreRecorded(t *testing.T) {
	w := newWorld(t, 1, 1)
	kid := w.newPrivateKey("a", "CURVE_SECP256K1")
	good := fmt.Sprintf("%x", w.quorumKey()) // any point of P-256
	for name, c := range map[string]struct {
		kid, target string
		status      int
	}{
		"unknown key":       {"00000000-0000-8000-8000-000000000000", good, 404},
		"key by name":       {"a", good, 400},
		"empty":             {kid, "", 400},
		"private-looking":   {kid, good[2:66], 400},
		"compressed as 04":  {kid, good[:66], 400},
		"one byte short":    {kid, good[:128], 400},
		"one byte long":     {kid, good + "00", 400},
		"0x":                {kid, "0x" + good, 400},
		"not on the curve":  {kid, good[:128] + fmt.Sprintf("%02x", unhex(t, good[128:])[0]^1), 400},
		"infinity":          {kid, "00", 400},
		"zero point":        {kid, "04" + strings.Repeat("00", 64), 400},
		"hybrid":            {kid, "06" + good[2:], 400},
		"secp256k1's point": {kid, "0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8", 400},
		"not hex":           {kid, strings.Repeat("zz", 65), 400},
	} {
		t.Run(name, func(t *testing.T) {
			code := map[int]int{400: 3, 404: 5}[c.status]
			w.adds(0, func() {
				r := w.refused(w.send("/public/v1/submit/export_private_key", w.body("ACTIVITY_TYPE_EXPORT_PRIVATE_KEY",
					map[string]string{"privateKeyId": c.kid, "targetPublicKey": c.target}), 0), c.status, code)
				if c.target != good && !strings.Contains(r.Message, "targetPublicKey") {
					t.Errorf("message %q", r.Message)
				}
				if len(c.target) > 30 && strings.Contains(r.Message, c.target) {
					t.Error("the message repeats what may be a private key")
				}
			})
		})
	}
	if w.getKey(kid).Exported {
		t.Error("a refused export marked the key")
	}
}

// Whatever is journaled must fit an entry, and its activity an answer.
func TestBodyThatWouldNotFitTheJournalIsRefused(t *testing.T) {
	w := newWorld(t, 1, 1)
	kid := w.newPrivateKey("a", "CURVE_SECP256K1")
	sign := func(size int) []byte {
		return w.body("ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2", map[string]string{
			"signWith": kid, "payload": strings.Repeat("\\", size/2), "encoding": "PAYLOAD_ENCODING_TEXT_UTF8", "hashFunction": "HASH_FUNCTION_SHA256",
		})
	}
	for _, size := range []int{300 << 10, 520 << 10, 900 << 10} {
		w.adds(0, func() { w.refused(w.send("/public/v1/submit/sign_raw_payload", sign(size), 0), 400, 3) })
	}
	reply := w.send("/public/v1/submit/sign_raw_payload", sign(200<<10), 0)
	w.is(w.activity(reply), completed)
	if len(reply.Body) > 1<<20-1024 {
		t.Errorf("the answer has %d bytes and does not fit a frame", len(reply.Body))
	}
	for range 7 {
		w.is(w.activity(w.send("/public/v1/submit/sign_raw_payload", sign(200<<10), 0)), completed)
	}
	w.now = w.now.Add(time.Second)
	seen := map[string]bool{}
	after := ""
	for {
		body, _ := json.Marshal(map[string]any{"organizationId": w.org, "paginationOptions": map[string]string{"limit": "100", "after": after}})
		reply := w.send("/public/v1/query/list_activities", body, 0)
		if len(reply.Body) > 1<<20-1024 {
			t.Fatalf("a page has %d bytes and does not fit a frame", len(reply.Body))
		}
		var out struct{ Activities []activity }
		w.decode(reply, 200, &out)
		for _, a := range out.Activities {
			seen[a.ID] = true
			after = a.ID
		}
		if len(out.Activities) == 0 {
			break
		}
	}
	if len(seen) != 9 {
		t.Errorf("walking the pages showed %d activities, want 9", len(seen))
	}
}

func TestCopiesOfALargeBodyDoNotOutgrowTheReply(t *testing.T) {
	w := newWorld(t, 2, 2)
	kid := w.prepare()
	body := w.body("ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2", map[string]string{
		"signWith": kid, "payload": strings.Repeat("\\", 100<<10), "encoding": "PAYLOAD_ENCODING_TEXT_UTF8", "hashFunction": "HASH_FUNCTION_SHA256",
	})
	const path = "/public/v1/submit/sign_raw_payload"
	a := w.activity(w.send(path, body, 0))
	w.is(a, consensusNeeded)
	w.adds(0, func() { w.refused(w.send(path, body, 1), 400, 3) })
	w.is(w.approve(a, 1), completed)
}
