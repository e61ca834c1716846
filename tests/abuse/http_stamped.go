package main

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// httpStampedRows are requests that are not what was stamped, or not so once.
var httpStampedRows = []row{
	{id: "B2", what: "gzip bomb, and every other Content-Encoding", run: encodings},
	{id: "B3", what: "two X-Stamp headers", run: twoStamps},
	{id: "B3b", what: "X-Stamp and X-Stamp-WebAuthn", run: twoKinds},
	{id: "B4", what: "body changed by a proxy: a space, a newline, other order, a BOM", run: changedBody},
}

func encodings(w *world) (string, error) {
	body := toJSON(object{"organizationId": w.main.org})
	return each([]string{"gzip", "identity", "br", "deflate, gzip", "GZIP"}, func(e string) (string, error) {
		r, err := w.http.Do("POST", whoami, body, "X-Stamp", mustStamp(body, w.main.key()), "Content-Encoding", e)
		return unsupported.judge(r, err)
	})
}

func twoStamps(w *world) (string, error) {
	body := toJSON(object{"organizationId": w.main.org})
	s := mustStamp(body, w.main.key())
	r, err := w.http.Do("POST", whoami, body, "X-Stamp", s, "X-Stamp", s)
	return invalid.judge(r, err, "exactly one")
}

func twoKinds(w *world) (string, error) {
	body := toJSON(object{"organizationId": w.main.org})
	r, err := w.http.Do("POST", whoami, body, "X-Stamp", mustStamp(body, w.main.key()), "X-Stamp-WebAuthn", "{}")
	return invalid.judge(r, err, "exactly one")
}

func changedBody(w *world) (string, error) {
	body := w.main.signBody()
	stamp := mustStamp(body, w.main.key())
	var reordered object
	_ = json.Unmarshal(body, &reordered)
	changed := [][]byte{
		append([]byte(" "), body...), append(bytes.Clone(body), '\n'), replaced(body, ",", ", "), toJSON(reordered),
		replaced(body, "abuse", "abusE"), bytes.ToUpper(body)[:len(body)-1], replaced(body, "/", `\/`),
	}
	for _, b := range changed {
		if bytes.Equal(b, body) {
			changed = changed[:len(changed)-1] // the body has no slash
		}
	}
	seen, err := each(changed, func(b []byte) (string, error) {
		r, err := w.withStamp(signPath, b, stamp)
		if err == nil && r.Status == 400 {
			return invalid.judge(r, err)
		}
		return unauthorized.judge(r, err)
	})
	if err != nil {
		return "", err
	}
	bom := append([]byte("\xef\xbb\xbf"), body...)
	if _, err := w.main.stamped(invalid, signPath, bom); err != nil {
		return "", fmt.Errorf("stamped with a BOM: %w", err)
	}
	return seen, nil
}
