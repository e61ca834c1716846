package activity_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/enclave/wire"
)

type user struct {
	UserID, UserName, UserEmail, UserPhoneNumber string
	APIKeys                                      []struct {
		Credential        struct{ PublicKey, Type string }
		APIKeyID          string
		APIKeyName        string
		ExpirationSeconds string
	}
}

func (w *world) user(i int) user {
	w.Helper()
	var out struct{ User user }
	w.query("get_user", map[string]string{"organizationId": w.org, "userId": w.users[i].UserID}, 0, &out)
	return out.User
}

const createUsersPath = "/public/v1/submit/create_users"

func TestUsersOfEveryVersionAreMade(t *testing.T) {
	w := newWorld(t, 1, 1)
	signers := newSigners(t)
	for i, c := range []struct{ typ, user, key string }{
		{"ACTIVITY_TYPE_CREATE_USERS_V2", `"authenticators":[],"userTags":[]`, ``},
		{"ACTIVITY_TYPE_CREATE_USERS_V3", `"userPhoneNumber":"+15550100","authenticators":[],"oauthProviders":[],"userTags":[]`, `,"curveType":"API_KEY_CURVE_SECP256K1"`},
		{"ACTIVITY_TYPE_CREATE_USERS_V4", `"userEmail":null,"userPhoneNumber":null,"authenticators":[],"oauthProviders":[],"userTags":[]`, `,"curveType":"API_KEY_CURVE_ED25519","expirationSeconds":"3600"`},
	} {
		s := signers[i]
		body := []byte(fmt.Sprintf(`{"type":"%s","timestampMs":"%s","organizationId":"%s","parameters":{"users":[{"userName":"u%d",%s,"apiKeys":[`+
			`{"apiKeyName":"k","publicKey":"%s"%s}]}]}}`, c.typ, w.timestamp(), w.org, i, c.user, s.public, c.key))
		a := w.activity(w.send(createUsersPath, body, 0))
		w.is(a, completed)
		var r struct{ UserIDs []string }
		if err := json.Unmarshal(a.Result["createUsersResult"], &r); err != nil || len(r.UserIDs) != 1 {
			t.Fatalf("result %s", a.Result)
		}
		if want := strings.Replace("createUsersIntentV"+c.typ[len(c.typ)-1:], " ", "", 1); a.Intent[want] == nil {
			t.Errorf("intent of %s: %v", c.typ, a.Intent)
		}
		var who struct{ UserID, Username, OrganizationName string }
		w.decode(w.do(apiStamp(whoamiPath, w.whoami(), encodeStamp(s.json(w.whoami())))), 200, &who)
		if who.UserID != r.UserIDs[0] || who.Username != fmt.Sprint("u", i) || who.OrganizationName != "world" {
			t.Errorf("whoami: %+v", who)
		}
	}
	var list struct{ Users []user }
	w.query("list_users", map[string]string{"organizationId": w.org}, 0, &list)
	if len(list.Users) != 4 || list.Users[3].APIKeys[0].ExpirationSeconds != "3600" || list.Users[2].UserPhoneNumber != "+15550100" ||
		list.Users[1].APIKeys[0].Credential.Type != "CREDENTIAL_TYPE_API_KEY_P256" {
		t.Errorf("users: %+v", list.Users)
	}
}

func TestUserRequestsAreJudgedBeforeTheyAreRecorded(t *testing.T) {
	w := newWorld(t, 1, 1)
	free := newSigners(t)[0].public
	key := func(public string, changes ...any) map[string]any {
		k := map[string]any{"apiKeyName": "k", "publicKey": public, "curveType": "API_KEY_CURVE_P256"}
		for i := 0; i < len(changes); i += 2 {
			k[changes[i].(string)] = changes[i+1]
		}
		return k
	}
	user := func(keys []any, changes ...any) map[string]any {
		u := map[string]any{"userName": "u", "apiKeys": keys, "authenticators": []any{}, "oauthProviders": []any{}, "userTags": []any{}}
		for i := 0; i < len(changes); i += 2 {
			u[changes[i].(string)] = changes[i+1]
		}
		return u
	}
	var eleven []any
	for range 11 {
		eleven = append(eleven, key(newSigners(t)[0].public))
	}
	tooMany := make([]any, 101)
	for i := range tooMany {
		tooMany[i] = user(nil)
	}
	for name, c := range map[string]struct {
		users  []any
		status int
		names  string
	}{
		"none":                   {[]any{}, 400, "users"},
		"too many":               {tooMany, 400, "users"},
		"no name":                {[]any{user(nil, "userName", "")}, 400, "users[0].userName"},
		"email a number":         {[]any{user(nil, "userEmail", 1)}, 400, "users[0].userEmail"},
		"long email":             {[]any{user(nil, "userEmail", strings.Repeat("e", 300))}, 400, "users[0].userEmail"},
		"newline in the phone":   {[]any{user(nil, "userPhoneNumber", "1\n2")}, 400, "users[0].userPhoneNumber"},
		"registered key":         {[]any{user([]any{key(w.keys[0].PublicHex())})}, 400, "apiKeys[0].publicKey"},
		"one key for two users":  {[]any{user([]any{key(free)}), user([]any{key(free)})}, 400, "users[1].apiKeys[0].publicKey"},
		"one key twice":          {[]any{user([]any{key(free), key(free)})}, 400, "apiKeys[1].publicKey"},
		"eleven keys":            {[]any{user(eleven)}, 400, "apiKeys"},
		"authenticator":          {[]any{user(nil, "authenticators", []any{map[string]any{"authenticatorName": "x"}})}, 400, "authenticators"},
		"OAuth provider":         {[]any{user(nil, "oauthProviders", []any{map[string]any{"providerName": "x"}})}, 400, "oauthProviders"},
		"unknown tag":            {[]any{user(nil, "userTags", []any{"00000000-0000-8000-8000-000000000000"})}, 404, "userTags"},
		"expiration a number":    {[]any{user([]any{key(free, "expirationSeconds", 60)})}, 400, "expirationSeconds"},
		"expiration 0":           {[]any{user([]any{key(free, "expirationSeconds", "0")})}, 400, "expirationSeconds"},
		"expiration negative":    {[]any{user([]any{key(free, "expirationSeconds", "-1")})}, 400, "expirationSeconds"},
		"expiration padded":      {[]any{user([]any{key(free, "expirationSeconds", "060")})}, 400, "expirationSeconds"},
		"expiration overflowing": {[]any{user([]any{key(free, "expirationSeconds", "9223372036854775807")})}, 400, "expirationSeconds"},
		"no key name":            {[]any{user([]any{key(free, "apiKeyName", "")})}, 400, "apiKeyName"},
	} {
		t.Run(name, func(t *testing.T) {
			code := map[int]int{400: 3, 404: 5}[c.status]
			w.adds(0, func() {
				r := w.refused(w.send(createUsersPath, w.body("ACTIVITY_TYPE_CREATE_USERS_V3", map[string]any{"users": c.users}), 0), c.status, code)
				if !strings.Contains(r.Message, c.names) {
					t.Errorf("message %q does not name %s", r.Message, c.names)
				}
			})
		})
	}
}

func TestAPIKeyRequestsAreJudgedBeforeTheyAreRecorded(t *testing.T) {
	w := newWorld(t, 2, 1)
	create := func(uid string, keys ...any) *wire.Reply {
		return w.send("/public/v1/submit/create_api_keys", w.body("ACTIVITY_TYPE_CREATE_API_KEYS_V2", map[string]any{"userId": uid, "apiKeys": append([]any{}, keys...)}), 0)
	}
	key := func() map[string]any {
		return map[string]any{"apiKeyName": "k", "publicKey": newSigners(t)[0].public, "curveType": "API_KEY_CURVE_P256"}
	}
	w.adds(0, func() {
		w.refused(create(w.users[0].UserID), 400, 3)
		w.refused(create("00000000-0000-8000-8000-000000000000", key()), 404, 5)
		w.refused(create("nobody", key()), 400, 3)
	})
	for range 9 {
		w.is(w.activity(create(w.users[0].UserID, key())), completed)
	}
	w.adds(0, func() { w.refused(create(w.users[0].UserID, key()), 400, 3) })

	remove := func(uid string, kids ...string) *wire.Reply {
		return w.send("/public/v1/submit/delete_api_keys", w.body("ACTIVITY_TYPE_DELETE_API_KEYS", map[string]any{"userId": uid, "apiKeyIds": append([]string{}, kids...)}), 0)
	}
	kid := w.user(1).APIKeys[0].APIKeyID
	w.adds(0, func() {
		w.refused(remove(w.users[0].UserID), 400, 3)
		w.refused(remove(w.users[0].UserID, "00000000-0000-8000-8000-000000000000"), 404, 5)
		w.refused(remove(w.users[0].UserID, kid), 404, 5)
		w.refused(remove(w.users[1].UserID, kid, kid), 400, 3)
	})
	w.is(w.activity(remove(w.users[1].UserID, kid)), completed)
	w.adds(0, func() {
		w.refused(w.send(whoamiPath, w.whoami(), 1), 401, 16)
		w.refused(remove(w.users[1].UserID, kid), 404, 5)
	})
}

func TestQuorumKeepsEnoughKeysToBeMet(t *testing.T) {
	w := newWorld(t, 1, 1)
	kid := w.user(0).APIKeys[0].APIKeyID
	body := w.body("ACTIVITY_TYPE_DELETE_API_KEYS", map[string]any{"userId": w.users[0].UserID, "apiKeyIds": []string{kid}})
	w.adds(0, func() { w.refused(w.send("/public/v1/submit/delete_api_keys", body, 0), 400, 3) })
}

func TestQuorumDoesNotCountKeysThatHaveExpired(t *testing.T) {
	w := newWorld(t, 1, 1)
	short := w.newKey()
	made := w.submit("create_users", "ACTIVITY_TYPE_CREATE_USERS_V3", map[string]any{"users": []any{map[string]any{
		"userName": "short-lived",
		"apiKeys": []any{map[string]any{
			"apiKeyName": "k", "publicKey": short.PublicHex(), "curveType": "API_KEY_CURVE_P256", "expirationSeconds": "10",
		}},
	}}}, 0)
	var r struct{ UserIDs []string }
	if err := json.Unmarshal(made.Result["createUsersResult"], &r); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(11 * time.Second)
	w.adds(0, func() {
		w.refused(w.send("/public/v1/submit/update_root_quorum", w.body("ACTIVITY_TYPE_UPDATE_ROOT_QUORUM",
			map[string]any{"threshold": 1, "userIds": r.UserIDs}), 0), 400, 3)
	})
}
