package activity_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/sallyport/sallyport/enclave/wire"
)

// throughDoor puts a real door between the test and the enclave.
func (w *world) throughDoor() {
	w.Helper()
	address := "unix:" + filepath.Join(w.TempDir(), "door")
	ln, err := wire.Listen(address)
	if err != nil {
		w.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	inside := w.enclave.Enclave
	go func() { done <- wire.ServeEnclave(ctx, ln, inside, nil) }()
	outside := wire.NewEnclaveClient(address)
	w.enclave.Enclave = outside
	w.Cleanup(func() {
		w.enclave.Enclave = inside
		_ = outside.Close()
		stop()
		if err := <-done; err != nil {
			w.Error(err)
		}
	})
}

// long wants the answer of a query to pass a frame of the door, and decodes it.
func (w *world) long(name string, v any) {
	w.Helper()
	reply := w.send("/public/v1/query/"+name, w.whoami(), 0)
	if len(reply.Body) <= wire.MaxBody {
		w.Errorf("%s: %d bytes fit a frame", name, len(reply.Body))
	}
	w.decode(reply, 200, v)
}

func TestThousandsOfPrivateKeysAreListedThroughTheDoor(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.throughDoor()
	const requests, each = 30, 100
	var want []string
	for i := range requests {
		var keys []any
		for j := range each {
			keys = append(keys, map[string]any{
				"privateKeyName": fmt.Sprintf("key %d", i*each+j), "curve": "CURVE_SECP256K1",
				"privateKeyTags": []string{}, "addressFormats": []string{"ADDRESS_FORMAT_ETHEREUM"},
			})
		}
		a := w.submit("create_private_keys", "ACTIVITY_TYPE_CREATE_PRIVATE_KEYS_V2", map[string]any{"privateKeys": keys}, 0)
		var made struct {
			PrivateKeys []struct{ PrivateKeyID string }
		}
		if err := json.Unmarshal(a.Result["createPrivateKeysResultV2"], &made); err != nil || len(made.PrivateKeys) != each {
			t.Fatalf("%d keys were made (%v)", len(made.PrivateKeys), err)
		}
		for _, k := range made.PrivateKeys {
			want = append(want, k.PrivateKeyID)
		}
	}
	var got struct {
		PrivateKeys []struct{ PrivateKeyID, PrivateKeyName string }
	}
	w.long("list_private_keys", &got)
	if len(got.PrivateKeys) != len(want) {
		t.Fatalf("%d keys are listed, want %d", len(got.PrivateKeys), len(want))
	}
	for i, k := range got.PrivateKeys {
		if k.PrivateKeyID != want[i] || k.PrivateKeyName != fmt.Sprintf("key %d", i) {
			t.Fatalf("key %d is %+v, want %s", i, k, want[i])
		}
	}
}

func TestManyUsersAreListedThroughTheDoor(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.throughDoor()
	const requests, each = 15, 100
	for i := range requests {
		var users []any
		for j := range each {
			n := i*each + j
			users = append(users, map[string]any{
				"userName": fmt.Sprintf("user %d", n), "userEmail": fmt.Sprintf("user-%d@example.com", n),
				"apiKeys": []any{
					map[string]any{"apiKeyName": "first", "publicKey": w.newKey().PublicHex(), "curveType": "API_KEY_CURVE_P256"},
					map[string]any{"apiKeyName": "second", "publicKey": w.newKey().PublicHex(), "curveType": "API_KEY_CURVE_P256"},
				},
			})
		}
		w.is(w.submit("create_users", "ACTIVITY_TYPE_CREATE_USERS_V3", map[string]any{"users": users}, 0), completed)
	}
	var got struct{ Users []user }
	w.long("list_users", &got)
	if len(got.Users) != 1+requests*each {
		t.Fatalf("%d users are listed, want %d", len(got.Users), 1+requests*each)
	}
	for i, u := range got.Users[1:] {
		if u.UserName != fmt.Sprintf("user %d", i) || len(u.APIKeys) != 2 {
			t.Fatalf("user %d is %+v", i, u)
		}
	}
}
