package main

import (
	"encoding/hex"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/host/client"
)

// credentialRows are stamps by a key that does not count, or not here, and
// bodies without a stamp.
var credentialRows = []row{
	{id: "C11", what: "credential that was revoked", run: revoked, writes: true},
	{id: "C11b", what: "credential that has expired", run: expired, writes: true},
	{id: "C11c", what: "key that is registered already, to any user", run: registeredKey},
	{id: "C12", what: "founding body that names another appliance", run: otherAppliance},
	{id: "C12b", what: "body stamped for an organization of another appliance", run: otherOrganization},
	{id: "C13", what: "no stamp, an empty one", run: noStamp},
}

// withNewKey gives the first user of a new team another key.
func (w *world) withNewKey(expiration string) (t *team, key *client.APIKey, id string, err error) {
	if t, err = w.found(1, 1); err != nil {
		return
	}
	if key, err = client.NewAPIKey(); err != nil {
		return
	}
	if id, err = t.addKey(client.CurveP256, key.PublicHex(), expiration); err != nil {
		return
	}
	if r, err := w.http.Post(whoami, toJSON(object{"organizationId": t.org}), key); err != nil || r.Status != 200 {
		return t, key, "", fmt.Errorf("the key is not served while it should be: %+v, %w", r, err)
	}
	return t, key, id, nil
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
	if err := t.done("delete_api_keys", typeDeleteKeys, object{"userId": t.users[0].UserID, "apiKeyIds": []string{id}}, "deleteApiKeysResult", &out); err != nil {
		return "", err
	}
	r, err := w.withStamp(createPath, late, stamp)
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
	_, public := newSigner()
	body, keys, err := foundingBody(1, 1, hex.EncodeToString(public))
	if err != nil {
		return "", err
	}
	return w.refusedFounding(invalid, body, keys, "quorumPublicKeys")
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
