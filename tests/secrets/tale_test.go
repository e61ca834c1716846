package secrets

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/attestation/bundle"
	"github.com/sallyport/sallyport/host/client"
	"github.com/sallyport/sallyport/tests/appliance"
)

// A tale is one organization's work, and the secrets that come of it.
type tale struct {
	*testing.T
	http    *appliance.HTTP
	org     string
	key     *client.APIKey
	keyIDs  []string
	secrets []Secret
	// slips are secrets that a client sends by mistake. The host sees them
	// arrive, so that they stand in frames; they must stand nowhere else.
	slips []Secret
}

func (x *tale) secret(name string, b []byte) { x.secrets = append(x.secrets, Secret{name, b}) }

// keep notes an API key's private half.
func (x *tale) keep(name string, key *client.APIKey) {
	x.Helper()
	private, err := key.PrivateHex()
	if err != nil {
		x.Fatal(err)
	}
	x.secret(name, unhex(x, private))
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func random(t testing.TB) []byte {
	t.Helper()
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	b[0] &= 0x7f // below the order of every curve
	return b
}

// found starts an organization of one.
func found(t *testing.T, base string) *tale {
	t.Helper()
	x := &tale{T: t, http: appliance.NewHTTP(base)}
	r, err := x.http.Do(http.MethodGet, "/sallyport/v1/status", nil)
	if err != nil {
		t.Fatal(err)
	}
	var status struct{ QuorumPublicKey string }
	if err := json.Unmarshal(r.Body, &status); err != nil {
		t.Fatal(err)
	}
	if x.key, err = client.NewAPIKey(); err != nil {
		t.Fatal(err)
	}
	x.keep("the API key", x.key)
	body, err := (&client.FoundingBody{
		Type: client.FoundingType, OrganizationName: "secrets", RootQuorumThreshold: 1,
		QuorumPublicKeys: []string{status.QuorumPublicKey}, Salt: hex.EncodeToString(random(t)),
		RootUsers: []client.RootUser{{UserName: "root", APIKeys: []client.RootAPIKey{
			{APIKeyName: "key", PublicKey: x.key.PublicHex(), CurveType: client.CurveP256},
		}}},
	}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	request, err := client.NewFoundingRequest(body, x.key)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := x.http.Do(http.MethodPost, "/sallyport/v1/organizations", request); err != nil || r.Status != http.StatusOK {
		t.Fatalf("founding: %+v, %v", r, err)
	}
	x.org = client.OrganizationID(body)
	return x
}

type object = map[string]any

// do submits an activity that must complete and returns its result.
func (x *tale) do(name, typ, result string, parameters object, out any) {
	x.Helper()
	r, err := x.http.Post(appliance.Submit+name, appliance.Body(typ, x.org, appliance.Now(), parameters), x.key)
	if err != nil {
		x.Fatal(err)
	}
	var reply struct {
		Activity struct {
			Status string
			Result map[string]json.RawMessage
		}
	}
	if err := json.Unmarshal(r.Body, &reply); err != nil || reply.Activity.Status != "ACTIVITY_STATUS_COMPLETED" {
		x.Fatalf("%s: HTTP %d: %s", name, r.Status, r.Body)
	}
	if err := json.Unmarshal(reply.Activity.Result[result], out); err != nil {
		x.Fatal(err)
	}
}

// create makes a key on each curve.
func (x *tale) create() {
	x.Helper()
	for _, curve := range []string{"CURVE_SECP256K1", "CURVE_P256", "CURVE_ED25519"} {
		var out struct {
			PrivateKeys []struct{ PrivateKeyID string }
		}
		x.do("create_private_keys", "ACTIVITY_TYPE_CREATE_PRIVATE_KEYS_V2", "createPrivateKeysResultV2", object{"privateKeys": []object{{
			"privateKeyName": curve + " " + appliance.Now(), "curve": curve, "privateKeyTags": []string{}, "addressFormats": []string{},
		}}}, &out)
		x.keyIDs = append(x.keyIDs, out.PrivateKeys[0].PrivateKeyID)
	}
}

// use signs with every key and takes it out.
func (x *tale) use() {
	x.Helper()
	for i, id := range x.keyIDs {
		hash := "HASH_FUNCTION_SHA256"
		if i%3 == 2 { // Ed25519 hashes by itself
			hash = "HASH_FUNCTION_NOT_APPLICABLE"
		}
		var signature object
		x.do("sign_raw_payload", "ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2", "signRawPayloadResult",
			object{"signWith": id, "payload": "tale", "encoding": "PAYLOAD_ENCODING_TEXT_UTF8", "hashFunction": hash}, &signature)
		x.export(id)
	}
}

// export takes a key out. It is a secret from then on, and so is the target.
func (x *tale) export(id string) {
	x.Helper()
	target, err := bundle.NewTarget(rand.Reader)
	if err != nil {
		x.Fatal(err)
	}
	var out struct{ ExportBundle string }
	x.do("export_private_key", "ACTIVITY_TYPE_EXPORT_PRIVATE_KEY", "exportPrivateKeyResult",
		object{"privateKeyId": id, "targetPublicKey": hex.EncodeToString(target.PublicKey().Bytes())}, &out)
	x.secret("private key "+id, x.decrypt([]byte(out.ExportBundle), target))
	x.secret("target key of "+id, target.Bytes())
}

// decrypt opens a bundle as an unmodified client would.
func (x *tale) decrypt(b []byte, target *ecdh.PrivateKey) []byte {
	x.Helper()
	plain, err := openBundle(b, target)
	if err != nil {
		x.Fatal(err)
	}
	if len(plain) != 32 {
		x.Fatalf("the exported key has %d bytes", len(plain))
	}
	return plain
}

// slip does what clients do wrong: each time with a secret where none belongs,
// or with a key that nobody knows.
func (x *tale) slip() {
	x.Helper()
	slip := func(name string) string {
		b := random(x)
		x.slips = append(x.slips, Secret{name, b})
		return hex.EncodeToString(b)
	}
	sign := func(parameters object) []byte {
		return appliance.Body("ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2", x.org, appliance.Now(), parameters)
	}
	stranger, err := client.NewAPIKey()
	if err != nil {
		x.Fatal(err)
	}
	x.keep("a stranger's API key", stranger)
	honest := sign(object{"signWith": x.keyIDs[0], "payload": "x", "encoding": "PAYLOAD_ENCODING_TEXT_UTF8", "hashFunction": "HASH_FUNCTION_SHA256"})
	stamp, err := client.Stamp(honest, x.key)
	if err != nil {
		x.Fatal(err)
	}
	x.refused("sign_raw_payload", honest, stranger, "")
	x.refused("sign_raw_payload", append(bytes.Clone(honest), ' '), nil, stamp)
	x.refused("sign_raw_payload", honest, nil, slip("a private key as a stamp"))
	x.refused("export_private_key", appliance.Body("ACTIVITY_TYPE_EXPORT_PRIVATE_KEY", x.org, appliance.Now(),
		object{"privateKeyId": x.keyIDs[0], "targetPublicKey": slip("a private key as a target")}), x.key, "")
	x.refused("sign_raw_payload", sign(object{
		"signWith": slip("a private key to sign with"), "payload": "x",
		"encoding": "PAYLOAD_ENCODING_TEXT_UTF8", "hashFunction": "HASH_FUNCTION_SHA256",
	}), x.key, "")
	x.refused("sign_raw_payload", sign(object{
		"signWith": x.keyIDs[0], "payload": "x", "privateKey": slip("a member with a private key"),
		"encoding": "PAYLOAD_ENCODING_TEXT_UTF8", "hashFunction": "HASH_FUNCTION_SHA256",
	}), x.key, "")
	x.refused("sign_raw_payload", sign(object{
		"signWith": x.keyIDs[0], "payload": "zz" + slip("a private key as a payload"),
		"encoding": "PAYLOAD_ENCODING_HEXADECIMAL", "hashFunction": "HASH_FUNCTION_NO_OP",
	}), x.key, "")
	x.refused("create_api_keys", appliance.Body("ACTIVITY_TYPE_CREATE_API_KEYS_V2", x.org, appliance.Now(), object{
		"userId": x.keyIDs[0], "apiKeys": []object{{"apiKeyName": "k", "publicKey": slip("a private key as a public key"), "curveType": "API_KEY_CURVE_P256"}},
	}), x.key, "")
}

// refused sends a body that must not be served. The answer must not repeat
// what was sent by mistake.
func (x *tale) refused(name string, body []byte, key *client.APIKey, stamp string) {
	x.Helper()
	var err error
	if key != nil {
		if stamp, err = client.Stamp(body, key); err != nil {
			x.Fatal(err)
		}
	}
	r, err := x.http.Do(http.MethodPost, appliance.Submit+name, body, "X-Stamp", stamp)
	if err != nil {
		x.Fatal(err)
	}
	if r.Status < 400 || r.Status > 499 {
		x.Fatalf("%s was not refused: HTTP %d: %s", name, r.Status, r.Body)
	}
	scanner, err := NewScanner(append(x.slips, x.secrets...)...)
	if err != nil {
		x.Fatal(err)
	}
	if found := scanner.Find(r.Body); len(found) > 0 {
		x.Errorf("the refusal of %s holds %s: %s", name, strings.Join(found, ", "), r.Body)
	}
}

// read asks for everything that queries show.
func (x *tale) read() {
	x.Helper()
	for _, name := range []string{"whoami", "list_activities", "list_private_keys", "list_users"} {
		b, err := json.Marshal(object{"organizationId": x.org})
		if err != nil {
			x.Fatal(err)
		}
		r, err := x.http.Post(appliance.Query+name, b, x.key)
		if err != nil || r.Status != http.StatusOK {
			x.Fatalf("%s: %+v, %v", name, r, err)
		}
	}
}

// openBundle decrypts with nothing but the standard library's HPKE.
func openBundle(b []byte, target *ecdh.PrivateKey) ([]byte, error) {
	outer, err := bundle.Parse(b)
	if err != nil {
		return nil, err
	}
	var d bundle.Data
	if err := json.Unmarshal(outer.Data, &d); err != nil {
		return nil, err
	}
	plain, err := unseal(target, d)
	if err != nil {
		return nil, fmt.Errorf("opening an export: %w", err)
	}
	return plain, nil
}
