// Package activity_test drives the activity API of an enclave in this process,
// request by request, with a host that the tests own.
package activity_test

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/client"
)

// A world is one organization on one enclave.
type world struct {
	*testing.T
	enclave *enclavetest.Enclave
	host    *enclavetest.Host
	org     string
	users   []client.FoundedUser
	keys    []*client.APIKey
	now     time.Time
	stamps  int64 // makes each timestamp of the test its own
}

// newWorld founds an organization of so many root users with a quorum.
func newWorld(t *testing.T, users, quorum int) *world {
	t.Helper()
	return newWorldWith(t, users, quorum, func(*world, *enclavetest.Options) {})
}

// newWorldWith lets the test change the enclave's options.
func newWorldWith(t *testing.T, users, quorum int, change func(*world, *enclavetest.Options)) *world {
	t.Helper()
	w := &world{T: t, host: enclavetest.NewHost(), now: time.Now().Truncate(time.Millisecond)}
	options := enclavetest.Options{Host: w.host, Now: func() time.Time { return w.now }}
	change(w, &options)
	w.enclave = enclavetest.New(t, options)
	w.org, w.users, w.keys = w.found("world", users, quorum)
	return w
}

func (w *world) found(name string, users, quorum int) (string, []client.FoundedUser, []*client.APIKey) {
	w.Helper()
	m, err := attestation.ParseManifest(w.enclave.Manifest)
	if err != nil {
		w.Fatal(err)
	}
	body := client.FoundingBody{
		Type: "SALLYPORT_ORGANIZATION_V1", OrganizationName: name, RootQuorumThreshold: quorum,
		QuorumPublicKeys: []string{hex.EncodeToString(m.QuorumPublicKey)},
	}
	salt := make([]byte, 32)
	rand.Read(salt)
	body.Salt = hex.EncodeToString(salt)
	var keys []*client.APIKey
	for i := range users {
		key := w.newKey()
		keys = append(keys, key)
		body.RootUsers = append(body.RootUsers, client.RootUser{
			UserName: fmt.Sprintf("root %d", i+1),
			APIKeys:  []client.RootAPIKey{{APIKeyName: "first", PublicKey: key.PublicHex(), CurveType: client.CurveP256}},
		})
	}
	raw, err := body.Encode()
	if err != nil {
		w.Fatal(err)
	}
	request, err := client.NewFoundingRequest(raw, keys...)
	if err != nil {
		w.Fatal(err)
	}
	var reply client.FoundingReply
	w.decode(w.do(&wire.Request{API: wire.APISallyport, Path: "/sallyport/v1/organizations", Body: request}), 200, &reply)
	if err := reply.Check(raw); err != nil {
		w.Fatal(err)
	}
	return reply.OrganizationID, reply.Users, keys
}

func (w *world) newKey() *client.APIKey {
	w.Helper()
	key, err := client.NewAPIKey()
	if err != nil {
		w.Fatal(err)
	}
	return key
}

func (w *world) do(req *wire.Request) *wire.Reply {
	w.Helper()
	reply, err := w.enclave.Do(w.Context(), req)
	if err != nil {
		w.Fatalf("%s: %v", req.Path, err)
	}
	return reply
}

func (w *world) decode(reply *wire.Reply, status int, v any) {
	w.Helper()
	if reply.Status != status {
		w.Fatalf("status %d, want %d: %s", reply.Status, status, reply.Body)
	}
	if err := json.Unmarshal(reply.Body, v); err != nil {
		w.Fatalf("%v in %s", err, reply.Body)
	}
}

// timestamp is now, and never the same twice.
func (w *world) timestamp() string {
	w.stamps++
	return strconv.FormatInt(w.now.UnixMilli()-100_000+w.stamps, 10)
}

// body makes the body of an activity in this organization.
func (w *world) body(typ string, parameters any) []byte {
	w.Helper()
	b, err := json.Marshal(map[string]any{
		"type": typ, "timestampMs": w.timestamp(), "organizationId": w.org, "parameters": parameters,
	})
	if err != nil {
		w.Fatal(err)
	}
	return b
}

func (w *world) stamped(path string, body []byte, key *client.APIKey) *wire.Request {
	w.Helper()
	stamp, err := client.Stamp(body, key)
	if err != nil {
		w.Fatal(err)
	}
	return &wire.Request{API: wire.APIActivity, Path: path, Body: body, StampKind: wire.StampAPIKey, Stamp: []byte(stamp)}
}

// send stamps a body by a root user, counted from 0, and sends it.
func (w *world) send(path string, body []byte, user int) *wire.Reply {
	w.Helper()
	return w.do(w.stamped(path, body, w.keys[user]))
}

// An activity is the part of an activity's JSON that the tests look at.
type activity struct {
	ID          string
	Status      string
	Type        string
	Fingerprint string
	Intent      map[string]json.RawMessage
	Result      map[string]json.RawMessage
	Votes       []struct {
		UserID, Selection, Message, PublicKey, Signature, Scheme string
	}
	CanApprove, CanReject bool
	Failure               *refusal
}

type refusal struct {
	Code    int
	Message string
	Details []map[string]any
}

// submit sends an activity and wants 200.
func (w *world) submit(name, typ string, parameters any, user int) activity {
	w.Helper()
	return w.activity(w.send("/public/v1/submit/"+name, w.body(typ, parameters), user))
}

func (w *world) activity(reply *wire.Reply) activity {
	w.Helper()
	var out struct{ Activity activity }
	w.decode(reply, 200, &out)
	return out.Activity
}

// refused wants a refusal with a status and code.
func (w *world) refused(reply *wire.Reply, status, code int) refusal {
	w.Helper()
	var r refusal
	w.decode(reply, status, &r)
	if r.Code != code || r.Message == "" || r.Details == nil {
		w.Fatalf("refusal %+v, want code %d, a message and details", r, code)
	}
	return r
}

func (w *world) query(name string, body any, user int, v any) {
	w.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		w.Fatal(err)
	}
	w.decode(w.send("/public/v1/query/"+name, raw, user), 200, v)
}

// newPrivateKey makes a key and returns its id.
func (w *world) newPrivateKey(name, curve string, formats ...string) string {
	w.Helper()
	a := w.submit("create_private_keys", "ACTIVITY_TYPE_CREATE_PRIVATE_KEYS_V2", map[string]any{
		"privateKeys": []any{map[string]any{
			"privateKeyName": name, "curve": curve, "privateKeyTags": []string{}, "addressFormats": append([]string{}, formats...),
		}},
	}, 0)
	var r struct {
		PrivateKeys []struct{ PrivateKeyID string }
	}
	if err := json.Unmarshal(a.Result["createPrivateKeysResultV2"], &r); err != nil || len(r.PrivateKeys) != 1 {
		w.Fatalf("no key in %+v (%v)", a, err)
	}
	return r.PrivateKeys[0].PrivateKeyID
}
