package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/sallyport/sallyport/host/client"
)

// stampFormRows are encodings and schemes of a stamp, and keys that nobody
// registered here.
var stampFormRows = []row{
	{id: "C1", what: "base64 of the standard alphabet, white space, odd padding, loose last bits", run: looseBase64},
	{id: "C1b", what: "padded base64url is served, since published clients send it", run: paddedStamp},
	{id: "C2", what: "unknown scheme, none, that of another curve, of a quorum key", run: schemes},
	{id: "C3", what: "key that nobody registered", run: strangerKey},
	{id: "C3b", what: "key of another organization: the same error", run: foreignKey},
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
