package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

// stampContentRows are good signatures over something else, and stamps and
// bodies with other members than they should have.
var stampContentRows = []row{
	{id: "C7", what: "signature over the hash of the hash, over a pretty body, over nothing", run: otherMessages},
	{id: "C8", what: "member twice, in two cases, and once under a name that folds to it", run: twoMembers},
	{id: "C9", what: "stamp with more members, fewer, twice the same, other case", run: stampMembers},
	{id: "C9b", what: "stamp of 8 KB, of 1 MB", run: longStamps},
	{id: "C10", what: "WebAuthn stamp, honest or not: not served by this release", run: webAuthn},
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
