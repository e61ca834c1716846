package activity_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// The shapes of Turnkey's published types (@turnkey/http, public_api.types):
// every required member, and every optional one that may appear. A member
// with a ? is optional; a value is the JSON type, or the name of a shape, with
// [] for lists.
var shapes = map[string]map[string]string{
	"v1Activity": {
		"id": "uuid", "organizationId": "uuid", "status": "string", "type": "string", "intent": "object", "result": "object",
		"votes": "[]v1Vote", "appProofs?": "[]object", "fingerprint": "string", "canApprove": "bool", "canReject": "bool",
		"createdAt": "timestamp", "updatedAt": "timestamp", "failure?": "rpcStatus|null",
	},
	"v1Vote": {
		"id": "uuid", "userId": "uuid", "user": "v1User", "activityId": "uuid", "selection": "string", "message": "string",
		"publicKey": "string", "signature": "string", "scheme": "string", "createdAt": "timestamp",
	},
	"v1User": {
		"userId": "uuid", "userName": "string", "userEmail?": "string", "userPhoneNumber?": "string", "authenticators": "[]object",
		"apiKeys": "[]v1ApiKey", "userTags": "[]string", "oauthProviders": "[]object", "createdAt": "timestamp", "updatedAt": "timestamp",
		"mfaPolicies": "[]object",
	},
	"v1ApiKey": {
		"credential": "credential", "apiKeyId": "uuid", "apiKeyName": "string", "createdAt": "timestamp", "updatedAt": "timestamp",
		"expirationSeconds?": "decimal",
	},
	"credential": {"publicKey": "string", "type": "string"},
	"v1PrivateKey": {
		"privateKeyId": "uuid", "publicKey": "string", "privateKeyName": "string", "curve": "string", "addresses": "[]address",
		"privateKeyTags": "[]string", "createdAt": "timestamp", "updatedAt": "timestamp", "exported": "bool", "imported": "bool",
	},
	"address":   {"format": "string", "address": "string"},
	"timestamp": {"seconds": "decimal", "nanos": "decimal"},
	"rpcStatus": {"code": "number", "message": "string", "details": "[]object"},
	"whoami":    {"organizationId": "uuid", "organizationName": "string", "userId": "uuid", "username": "string"},
}

// shaped returns what is wrong with a value.
func shaped(where string, v any, shape string) error {
	if list, ok := strings.CutPrefix(shape, "[]"); ok {
		items, ok := v.([]any)
		if !ok {
			return fmt.Errorf("%s is %T, want a list", where, v)
		}
		for i, item := range items {
			if err := shaped(fmt.Sprintf("%s[%d]", where, i), item, list); err != nil {
				return err
			}
		}
		return nil
	}
	if other, ok := strings.CutSuffix(shape, "|null"); ok {
		if v == nil {
			return nil
		}
		shape = other
	}
	var ok bool
	switch shape {
	case "string":
		_, ok = v.(string)
	case "uuid":
		s, _ := v.(string)
		ok = len(s) == 36 && s[14] == '8'
	case "decimal":
		s, _ := v.(string)
		ok = s != "" && strings.Trim(s, "0123456789") == ""
	case "bool":
		_, ok = v.(bool)
	case "number":
		_, ok = v.(float64)
	case "object":
		_, ok = v.(map[string]any)
	default:
		return shapedObject(where, v, shapes[shape])
	}
	if !ok {
		return fmt.Errorf("%s is %v, want %s", where, v, shape)
	}
	return nil
}

func shapedObject(where string, v any, members map[string]string) error {
	object, ok := v.(map[string]any)
	if !ok || members == nil {
		return fmt.Errorf("%s is %T, want an object", where, v)
	}
	known := map[string]bool{}
	for name, shape := range members {
		name, optional := strings.CutSuffix(name, "?")
		known[name] = true
		value, there := object[name]
		if !there && optional {
			continue
		}
		if !there {
			return fmt.Errorf("%s.%s is missing", where, name)
		}
		if err := shaped(where+"."+name, value, shape); err != nil {
			return err
		}
	}
	for name := range object {
		if !known[name] {
			return fmt.Errorf("%s.%s is not of the published type", where, name)
		}
	}
	return nil
}

func (w *world) shape(body []byte, member, shape string) {
	w.Helper()
	var v map[string]any
	if err := json.Unmarshal(body, &v); err != nil {
		w.Fatal(err)
	}
	value := any(v)
	if member != "" {
		if len(v) != 1 {
			w.Errorf("reply has %d members: %s", len(v), body)
		}
		value = v[member]
	}
	if err := shaped(member, value, shape); err != nil {
		w.Errorf("%v in %s", err, body)
	}
}

func TestRepliesHaveThePublishedShapes(t *testing.T) {
	w := newWorld(t, 2, 2)
	u := w.addUser("outsider", 2)
	create := w.body(createKeysType, map[string]any{"privateKeys": []any{
		map[string]any{"privateKeyName": "a", "curve": "CURVE_SECP256K1", "privateKeyTags": []any{}, "addressFormats": []any{"ADDRESS_FORMAT_ETHEREUM"}},
		map[string]any{"privateKeyName": "b", "curve": "CURVE_P256"},
	}})
	w.shape(w.send(createKeysPath, create, 0).Body, "activity", "v1Activity")
	done := w.send(createKeysPath, create, 1)
	w.shape(done.Body, "activity", "v1Activity")
	kid := keyIDs(t, w.activity(done))[0]

	pending, _ := w.propose("c", 0)
	w.shape(w.send(rejectPath, w.body(rejectType, fingerprintOf(pending)), 1).Body, "activity", "v1Activity")
	w.refused(w.send(createKeysPath, w.body(createKeysType, keyParams("d")), u), 403, 7)
	double, _ := w.propose("a1", 0)
	again, _ := w.propose("a1", 0)
	w.is(w.approve(double, 1), completed)
	w.is(w.approve(again, 1), failed)

	ask := func(name string, extra map[string]any) []byte {
		body := map[string]any{"organizationId": w.org}
		for k, v := range extra {
			body[k] = v
		}
		raw, _ := json.Marshal(body)
		reply := w.send("/public/v1/query/"+name, raw, 0)
		if reply.Status != 200 {
			t.Fatalf("%s: %s", name, reply.Body)
		}
		return reply.Body
	}
	list := ask("list_activities", nil)
	w.shape(list, "activities", "[]v1Activity")
	for _, status := range []string{completed, rejected, failed} {
		if !strings.Contains(string(list), status) {
			t.Errorf("the list holds nothing that is %s", status)
		}
	}
	w.shape(ask("get_activity", map[string]any{"activityId": pending.ID}), "activity", "v1Activity")
	w.shape(ask("get_private_key", map[string]any{"privateKeyId": kid}), "privateKey", "v1PrivateKey")
	w.shape(ask("list_private_keys", nil), "privateKeys", "[]v1PrivateKey")
	w.shape(ask("get_user", map[string]any{"userId": w.users[0].UserID}), "user", "v1User")
	w.shape(ask("list_users", nil), "users", "[]v1User")
	w.shape(ask("whoami", nil), "", "whoami")
}

func TestEmptyListsAreListsAndNotNull(t *testing.T) {
	w := newWorld(t, 1, 1)
	for name, want := range map[string]string{"list_private_keys": `{"privateKeys":[]}`, "list_activities": `{"activities":[]}`} {
		if got := w.send("/public/v1/query/"+name, w.whoami(), 0); string(got.Body) != want {
			t.Errorf("%s: %s", name, got.Body)
		}
	}
}

// A vote can be verified by anybody who has it: the message is the exact body
// that the stamp signs.
func TestVotesCanBeVerifiedOffline(t *testing.T) {
	w := newWorld(t, 1, 1)
	for _, s := range newSigners(t) {
		w.register(s)
		body := append(w.body(createKeysType, keyParams(s.curve)), '\n')
		stamp := s.json(body)
		v := w.activity(w.do(apiStamp(createKeysPath, body, encodeStamp(stamp)))).Votes[0]
		if v.Message != string(body) || v.Signature != stamp["signature"] || v.PublicKey != s.public || v.Scheme != s.scheme {
			t.Errorf("vote %+v", v)
		}
	}
}

// The intent is what the submitter wrote, and member by member.
func TestIntentShowsTheParametersOfTheBody(t *testing.T) {
	w := newWorld(t, 1, 1)
	body := w.body(createKeysType, map[string]any{"privateKeys": []any{map[string]any{
		"privateKeyName": "a <b> & \"c\" \u2028 \\ é", "curve": "CURVE_P256", "privateKeyTags": []any{}, "addressFormats": nil,
	}}})
	a := w.activity(w.send(createKeysPath, body, 0))
	var sent struct{ Parameters map[string]any }
	var shown map[string]any
	if err := json.Unmarshal(body, &sent); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(a.Intent["createPrivateKeysIntentV2"], &shown); err != nil {
		t.Fatal(err)
	}
	delete(sent.Parameters["privateKeys"].([]any)[0].(map[string]any), "addressFormats") // null is absent
	if fmt.Sprint(shown) != fmt.Sprint(sent.Parameters) || len(a.Intent) != 1 {
		t.Errorf("intent %v, sent %v", shown, sent.Parameters)
	}
}
