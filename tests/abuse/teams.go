package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/sallyport/sallyport/host/client"
	"github.com/sallyport/sallyport/tests/appliance"
)

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

// register makes the parameters that give the first user of a team a key.
func (t *team) register(curve, public, expiration string) object {
	k := object{"apiKeyName": "another", "publicKey": public, "curveType": curve}
	if expiration != "" {
		k["expirationSeconds"] = expiration
	}
	return object{"userId": t.users[0].UserID, "apiKeys": []object{k}}
}

// addKey registers one more key of the first user.
func (t *team) addKey(curve, public, expiration string) (id string, err error) {
	var out struct{ APIKeyIDs []string }
	err = t.done("create_api_keys", typeKeys, t.register(curve, public, expiration), "createApiKeysResult", &out)
	if err != nil {
		return "", err
	}
	if len(out.APIKeyIDs) != 1 {
		return "", errors.New("no id of the key")
	}
	return out.APIKeyIDs[0], nil
}

// addUser makes a user with a key, or with none.
func (t *team) addUser(key *client.APIKey) (string, error) {
	keys := []object{}
	if key != nil {
		keys = append(keys, object{"apiKeyName": "k", "publicKey": key.PublicHex(), "curveType": client.CurveP256})
	}
	var out struct{ UserIDs []string }
	err := t.done("create_users", typeUsers, object{"users": []object{{
		"userName": "user", "apiKeys": keys, "authenticators": []object{}, "oauthProviders": []object{}, "userTags": []string{},
	}}}, "createUsersResult", &out)
	if err != nil || len(out.UserIDs) != 1 {
		return "", fmt.Errorf("creating a user: %w", err)
	}
	return out.UserIDs[0], nil
}

// body makes an activity's body with a time of its own.
func (t *team) body(typ string, parameters any) []byte {
	return appliance.Body(typ, t.org, appliance.Now(), parameters)
}

// submit sends an activity by the first user's key.
func (t *team) submit(name, typ string, parameters any) (*appliance.Reply, error) {
	return t.w.http.Post(appliance.Submit+name, t.body(typ, parameters), t.key())
}

// done submits an activity that must complete.
func (t *team) done(name, typ string, parameters any, key string, result any) error {
	a, err := served(t.submit(name, typ, parameters))
	if err != nil {
		return fmt.Errorf("%s: %w", typ, err)
	}
	return json.Unmarshal(a.Result[key], result)
}

func (t *team) query(name string, body object, out any) error {
	r, err := t.w.http.Post(appliance.Query+name, toJSON(body), t.key())
	if err != nil {
		return err
	}
	if r.Status != http.StatusOK {
		return fmt.Errorf("%s: HTTP %d: %s", name, r.Status, r.Body)
	}
	return json.Unmarshal(r.Body, out)
}

var keyNumber int

// keyParameters create one key of a name of its own.
func keyParameters(curve string) object {
	keyNumber++
	return object{"privateKeys": []object{{
		"privateKeyName": "key " + strconv.Itoa(keyNumber), "curve": curve, "privateKeyTags": []string{}, "addressFormats": []string{},
	}}}
}

// signParameters sign some text.
func (t *team) signParameters() object {
	return object{
		"signWith": t.keyID, "payload": "abuse", "encoding": "PAYLOAD_ENCODING_TEXT_UTF8", "hashFunction": "HASH_FUNCTION_SHA256",
	}
}

func (t *team) signBody() []byte { return t.body(typeSign, t.signParameters()) }
