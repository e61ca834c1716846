package main

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/client"
	"github.com/sallyport/sallyport/tests/appliance"
)

// A world is the running appliance and what honest users have made on it.
type world struct {
	bin, dir string
	app      *appliance.Appliance
	http     *appliance.HTTP
	door     string // path of the enclave's socket
	hostDoor string // path of the host's socket
	manifest []byte
	root     string // path of the attestation root
	quorum   []byte // the appliance's quorum key, 65 bytes

	main  *team // 1 of 1, with a key
	other *team // another organization, 1 of 1, with a key
	board *team // 2 of 3, with a user who is no root user

	export *exported // of main.keyID
	theirs *exported // of other.keyID
	sealed *base     // a second appliance's state, for the sealed block
}

// A team is an organization and those who may stamp for it.
type team struct {
	w     *world
	org   string
	users []client.FoundedUser
	keys  []*client.APIKey
	// keyID is a private key on secp256k1.
	keyID, publicKey string
}

func (t *team) key() *client.APIKey { return t.keys[0] }

func newWorld(bin, dir string) (*world, error) {
	app, err := appliance.Start(bin, "--verbose", "--data", filepath.Join(dir, "main"))
	if err != nil {
		return nil, err
	}
	w := &world{bin: bin, dir: dir, app: app, http: appliance.NewHTTP(app.BaseURL), root: app.AttestationRoot}
	if err := w.prepare(); err != nil {
		return nil, errors.Join(err, app.Stop())
	}
	return w, nil
}

func (w *world) prepare() (err error) {
	for _, door := range []struct {
		path *string
		get  func() (string, error)
	}{{&w.door, w.app.EnclaveDoor}, {&w.hostDoor, w.app.HostDoor}} {
		address, err := door.get()
		if err != nil {
			return err
		}
		*door.path = strings.TrimPrefix(address, "unix:")
	}
	if w.quorum, err = hex.DecodeString(w.app.QuorumPublicKey); err != nil {
		return err
	}
	if w.manifest, err = os.ReadFile(filepath.Join(w.dir, "main", "manifest.json")); err != nil {
		return err
	}
	for _, t := range []struct {
		team          **team
		users, quorum int
	}{{&w.main, 1, 1}, {&w.other, 1, 1}, {&w.board, 3, 2}} {
		if *t.team, err = w.found(t.users, t.quorum); err != nil {
			return err
		}
	}
	for _, t := range []*team{w.main, w.other} {
		if t.keyID, t.publicKey, err = t.newKey("CURVE_SECP256K1"); err != nil {
			return err
		}
	}
	if w.export, err = w.main.export(); err != nil {
		return err
	}
	if w.theirs, err = w.other.export(); err != nil {
		return err
	}
	w.sealed, err = newBase(w)
	return err
}

func (w *world) close() {
	w.http.Close()
	if err := w.app.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "abuse: stopping:", err)
	}
}

func (w *world) status() (*wire.Status, error) {
	r, err := w.http.Do(http.MethodGet, "/sallyport/v1/status", nil)
	if err != nil {
		return nil, err
	}
	var s wire.Status
	if r.Status != http.StatusOK {
		return nil, fmt.Errorf("status: HTTP %d: %s", r.Status, r.Body)
	}
	return &s, json.Unmarshal(r.Body, &s)
}

func (w *world) journalSize() (uint64, error) {
	s, err := w.status()
	if err != nil {
		return 0, err
	}
	return s.JournalSize, nil
}

func (w *world) trust() (attestation.Trust, error) {
	return readTrust(w.root)
}

// foundingBody makes keys and a body that lists them.
func foundingBody(users, quorum int, quorumKey string) ([]byte, []*client.APIKey, error) {
	salt := make([]byte, 32)
	rand.Read(salt)
	body := client.FoundingBody{
		Type: client.FoundingType, OrganizationName: "abuse", RootQuorumThreshold: quorum,
		QuorumPublicKeys: []string{quorumKey}, Salt: hex.EncodeToString(salt),
	}
	var keys []*client.APIKey
	for i := range users {
		k, err := client.NewAPIKey()
		if err != nil {
			return nil, nil, err
		}
		keys = append(keys, k)
		body.RootUsers = append(body.RootUsers, client.RootUser{
			UserName: fmt.Sprintf("root %d", i),
			APIKeys:  []client.RootAPIKey{{APIKeyName: "key", PublicKey: k.PublicHex(), CurveType: client.CurveP256}},
		})
	}
	b, err := body.Encode()
	return b, keys, err
}

const organizations = "/sallyport/v1/organizations"

// found makes an organization over HTTP.
func (w *world) found(users, quorum int) (*team, error) {
	body, keys, err := foundingBody(users, quorum, w.app.QuorumPublicKey)
	if err != nil {
		return nil, err
	}
	request, err := client.NewFoundingRequest(body, keys...)
	if err != nil {
		return nil, err
	}
	r, err := w.http.Do(http.MethodPost, organizations, request)
	if err != nil {
		return nil, err
	}
	var reply client.FoundingReply
	if err := json.Unmarshal(r.Body, &reply); err != nil || r.Status != http.StatusOK {
		return nil, fmt.Errorf("founding: HTTP %d: %s", r.Status, r.Body)
	}
	return &team{w: w, org: reply.OrganizationID, users: reply.Users, keys: keys}, nil
}

// An activity is what the tests read of one.
type activity struct {
	ID          string                     `json:"id"`
	Status      string                     `json:"status"`
	Type        string                     `json:"type"`
	Fingerprint string                     `json:"fingerprint"`
	Result      map[string]json.RawMessage `json:"result"`
	Votes       []json.RawMessage          `json:"votes"`
	Failure     *struct{ Message string }  `json:"failure"`
}

func activityOf(r *appliance.Reply) (*activity, error) {
	var out struct{ Activity *activity }
	if r.Status != http.StatusOK {
		return nil, fmt.Errorf("HTTP %d: %s", r.Status, r.Body)
	}
	if err := json.Unmarshal(r.Body, &out); err != nil || out.Activity == nil {
		return nil, fmt.Errorf("no activity: %s", r.Body)
	}
	return out.Activity, nil
}

// body makes an activity's body with a time of its own.
func (t *team) body(typ string, parameters any) []byte {
	return appliance.Body(typ, t.org, appliance.Now(), parameters)
}

// submit sends an activity by the given user's key.
func (t *team) submit(by int, name, typ string, parameters any) (*appliance.Reply, error) {
	return t.w.http.Post(appliance.Submit+name, t.body(typ, parameters), t.keys[by])
}

// done submits an activity that must complete.
func (t *team) done(name, typ string, parameters any, key string, result any) error {
	r, err := t.submit(0, name, typ, parameters)
	if err != nil {
		return err
	}
	a, err := activityOf(r)
	if err != nil {
		return err
	}
	if a.Status != "ACTIVITY_STATUS_COMPLETED" {
		return fmt.Errorf("%s is %s", typ, a.Status)
	}
	return json.Unmarshal(a.Result[key], result)
}

type object map[string]any

var keyNumber int

// keyParameters create one key of a name of its own.
func keyParameters(curve string) object {
	keyNumber++
	return object{"privateKeys": []object{{
		"privateKeyName": "key " + strconv.Itoa(keyNumber), "curve": curve, "privateKeyTags": []string{}, "addressFormats": []string{},
	}}}
}

const typeCreate = "ACTIVITY_TYPE_CREATE_PRIVATE_KEYS_V2"

func (t *team) newKey(curve string) (id, public string, err error) {
	var out struct {
		PrivateKeys []struct{ PrivateKeyID string }
	}
	if err := t.done("create_private_keys", typeCreate, keyParameters(curve), "createPrivateKeysResultV2", &out); err != nil {
		return "", "", err
	}
	id = out.PrivateKeys[0].PrivateKeyID
	var key struct{ PrivateKey struct{ PublicKey string } }
	err = t.query("get_private_key", object{"organizationId": t.org, "privateKeyId": id}, &key)
	return id, key.PrivateKey.PublicKey, err
}

func (t *team) query(name string, body object, out any) error {
	b, _ := json.Marshal(body)
	r, err := t.w.http.Post(appliance.Query+name, b, t.key())
	if err != nil {
		return err
	}
	if r.Status != http.StatusOK {
		return fmt.Errorf("%s: HTTP %d: %s", name, r.Status, r.Body)
	}
	return json.Unmarshal(r.Body, out)
}

const typeSign = "ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2"

// signParameters sign some text.
func (t *team) signParameters() object {
	return object{
		"signWith": t.keyID, "payload": "abuse", "encoding": "PAYLOAD_ENCODING_TEXT_UTF8", "hashFunction": "HASH_FUNCTION_SHA256",
	}
}

func (t *team) signBody() []byte { return t.body(typeSign, t.signParameters()) }

const signPath = appliance.Submit + "sign_raw_payload"

// An exported is an export and the key that opens it.
type exported struct {
	bundle      []byte
	target      *ecdh.PrivateKey
	fingerprint string
	nonce       []byte
}

const (
	typeExport = "ACTIVITY_TYPE_EXPORT_PRIVATE_KEY"
	exportPath = appliance.Submit + "export_private_key"
)

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
