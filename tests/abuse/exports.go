package main

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net/http"

	"github.com/sallyport/sallyport/host/client"
)

// An exported is an export and the key that opens it.
type exported struct {
	bundle      []byte
	target      *ecdh.PrivateKey
	fingerprint string
	nonce       []byte
}

// export takes a team's key out, with a fresh attestation.
func (t *team) export() (*exported, error) {
	target, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	e := &exported{target: target, nonce: make([]byte, 32)}
	rand.Read(e.nonce)
	body := t.body(typeExport, object{
		"privateKeyId": t.keyID, "targetPublicKey": hex.EncodeToString(target.PublicKey().Bytes()),
	})
	e.fingerprint = client.Fingerprint(body)
	stamp, err := client.Stamp(body, t.key())
	if err != nil {
		return nil, err
	}
	r, err := t.w.http.Do(http.MethodPost, exportPath, body, "X-Stamp", stamp, "X-Sallyport-Nonce", hex.EncodeToString(e.nonce))
	if err != nil {
		return nil, err
	}
	a, err := activityOf(r)
	if err != nil {
		return nil, err
	}
	var out struct{ ExportBundle string }
	err = json.Unmarshal(a.Result["exportPrivateKeyResult"], &out)
	e.bundle = []byte(out.ExportBundle)
	return e, err
}
