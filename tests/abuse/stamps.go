package main

import (
	"encoding/base64"
	"encoding/json"
	"slices"

	"github.com/sallyport/sallyport/host/client"
)

// stampRows are block C. Honest stamps of all three schemes are tried first:
// a refusal means something only beside them.
var stampRows = slices.Concat(stampFormRows, stampKeyRows, stampSignatureRows, stampContentRows, credentialRows, foundingRows)

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
