package dev

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/host/client"
)

const (
	quorumA = "04aa"
	quorumB = "04bb"
)

// fakeAPI founds organizations as the enclave does: the same body twice is the
// same organization.
type fakeAPI struct {
	t      *testing.T
	folder *folder
	bodies []string
	err    error // returned after the organization was founded
}

func (f *fakeAPI) found(_ context.Context, body []byte, keys []*client.APIKey) (*client.FoundingReply, error) {
	f.t.Helper()
	pending, err := f.folder.read(pendingFile)
	if err != nil || pending == nil || pending.FoundingBody != string(body) {
		f.t.Errorf("the body was sent before it was durable: %v", err)
	}
	f.bodies = append(f.bodies, string(body))
	if f.err != nil {
		return nil, f.err
	}
	var b client.FoundingBody
	if err := json.Unmarshal(body, &b); err != nil {
		f.t.Fatal(err)
	}
	if len(keys) != len(b.RootUsers) {
		f.t.Errorf("%d keys stamp for %d users", len(keys), len(b.RootUsers))
	}
	r := &client.FoundingReply{OrganizationID: client.OrganizationID(body), QuorumPublicKey: b.QuorumPublicKeys[0]}
	for _, u := range b.RootUsers {
		r.Users = append(r.Users, client.FoundedUser{UserID: "id of " + u.UserName, UserName: u.UserName})
	}
	return r, nil
}

// start does what a start of dev does with the folder, without children.
func start(t *testing.T, f *folder, api *fakeAPI, c Command, quorumKey, base string) (*Credentials, error) {
	t.Helper()
	k, err := f.load()
	if err != nil {
		return nil, err
	}
	s, err := c.shape(k)
	if err != nil {
		return nil, err
	}
	a := &appliance{command: &c, folder: f, shape: s, kept: k}
	return a.credentials(t.Context(), []founder{api}, []string{quorumKey}, Credentials{BaseURL: base, QuorumPublicKey: quorumKey})
}

func number(n int) *int { return &n }

func TestSecondStartHasTheSameCredentials(t *testing.T) {
	f := open(t, t.TempDir())
	api := &fakeAPI{t: t, folder: f}
	first, err := start(t, f, api, Command{RootUsers: number(3), Quorum: number(2)}, quorumA, "http://a")
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Users) != 3 || first.Users[2].UserID != "id of root-3" || first.OrganizationID == "" {
		t.Errorf("credentials are %+v", first)
	}
	if got := mode(t, f.path(readyFile)); got != 0o600 {
		t.Errorf("mode of %s is %o", readyFile, got)
	}
	if _, err := os.Stat(f.path(pendingFile)); err == nil {
		t.Error("the pending file is still there")
	}
	second, err := start(t, f, api, Command{}, quorumA, "http://b")
	if err != nil {
		t.Fatal(err)
	}
	want := *first
	want.BaseURL = "http://b"
	if diff := cmp.Diff(&want, second); diff != "" {
		t.Error(diff)
	}
	if len(api.bodies) != 1 {
		t.Errorf("%d organizations were founded", len(api.bodies))
	}
}

func TestCrashAfterFoundingLosesNothing(t *testing.T) {
	f := open(t, t.TempDir())
	api := &fakeAPI{t: t, folder: f, err: errors.New("killed")}
	if _, err := start(t, f, api, Command{RootUsers: number(2)}, quorumA, ""); !errors.Is(err, api.err) {
		t.Fatalf("got %v", err)
	}
	if _, err := os.Stat(f.path(readyFile)); err == nil {
		t.Fatal("ready before the answer")
	}
	api.err = nil
	c, err := start(t, f, api, Command{}, quorumA, "")
	if err != nil {
		t.Fatal(err)
	}
	if len(api.bodies) != 2 || api.bodies[0] != api.bodies[1] {
		t.Errorf("the second attempt sent another body: %q", api.bodies)
	}
	if c.OrganizationID != client.OrganizationID([]byte(api.bodies[0])) {
		t.Errorf("organization %s", c.OrganizationID)
	}
}

func TestCrashBeforeThePendingFileGoesLosesNothing(t *testing.T) {
	f := open(t, t.TempDir())
	api := &fakeAPI{t: t, folder: f}
	first, err := start(t, f, api, Command{}, quorumA, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.path(pendingFile), []byte("rest of a crash"), 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := start(t, f, api, Command{}, quorumA, "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Error(diff)
	}
	if _, err := os.Stat(f.path(pendingFile)); err == nil {
		t.Error("the pending file is still there")
	}
}

func TestPendingOfALostGenesisKeepsItsKeys(t *testing.T) {
	f := open(t, t.TempDir())
	api := &fakeAPI{t: t, folder: f, err: errors.New("killed")}
	if _, err := start(t, f, api, Command{Quorum: number(2), RootUsers: number(2)}, quorumA, ""); err == nil {
		t.Fatal("no error")
	}
	before, err := f.read(pendingFile)
	if err != nil {
		t.Fatal(err)
	}
	api.err = nil
	c, err := start(t, f, api, Command{}, quorumB, "")
	if err != nil {
		t.Fatal(err)
	}
	if c.QuorumPublicKey != quorumB || !strings.Contains(api.bodies[1], quorumB) {
		t.Errorf("quorum key %s, body %s", c.QuorumPublicKey, api.bodies[1])
	}
	if c.Users[1].APIPrivateKey != before.Users[1].APIPrivateKey {
		t.Error("the keys are others")
	}
}

func TestReadyFolderWithAnotherEnclaveIsRefused(t *testing.T) {
	f := open(t, t.TempDir())
	api := &fakeAPI{t: t, folder: f}
	if _, err := start(t, f, api, Command{}, quorumA, ""); err != nil {
		t.Fatal(err)
	}
	_, err := start(t, f, api, Command{}, quorumB, "")
	if err == nil || !strings.Contains(err.Error(), "do not belong together") {
		t.Errorf("got %v", err)
	}
}

func TestOtherShapeThanAtFirstIsRefused(t *testing.T) {
	f := open(t, t.TempDir())
	api := &fakeAPI{t: t, folder: f}
	if _, err := start(t, f, api, Command{RootUsers: number(3), Quorum: number(2)}, quorumA, ""); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		again Command
		want  []string
	}{
		{"the same", Command{RootUsers: number(3), Quorum: number(2)}, nil},
		{"none", Command{}, nil},
		{"one user", Command{RootUsers: number(1)}, []string{"--root-users 1", "--root-users 3"}},
		{"other quorum", Command{Quorum: number(3)}, []string{"--quorum 3", "--quorum 2"}},
		{"other root", Command{Root: "pkcs11:token=x"}, []string{"file", "pkcs11"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := start(t, f, api, tt.again, quorumA, "")
			if (err == nil) != (tt.want == nil) {
				t.Fatalf("got %v", err)
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not name %q", err, w)
				}
			}
		})
	}
}

func TestShapeOfANewFolderHasBounds(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    Command
		want string
	}{
		{"defaults", Command{}, ""},
		{"no users", Command{RootUsers: number(0)}, "--root-users: must be 1 to 64, is 0"},
		{"too many users", Command{RootUsers: number(65)}, "--root-users: must be 1 to 64, is 65"},
		{"no quorum", Command{Quorum: number(0)}, "--quorum: must be 1 to --root-users (1), is 0"},
		{"quorum beyond users", Command{RootUsers: number(2), Quorum: number(3)}, "--quorum: must be 1 to --root-users (2), is 3"},
		{"root of no kind", Command{Root: "file:x"}, "--root: must be a pkcs11: URI"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.c.shape(nil)
			if got := message(err); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestDamagedStateIsNamedAndNeverReplaced(t *testing.T) {
	f := open(t, t.TempDir())
	api := &fakeAPI{t: t, folder: f}
	if _, err := start(t, f, api, Command{}, quorumA, ""); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(f.path(readyFile))
	if err != nil {
		t.Fatal(err)
	}
	var k kept
	if err := json.Unmarshal(whole, &k); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*kept){
		"organization_id": func(k *kept) { k.OrganizationID = "other" },
		"founding_body":   func(k *kept) { k.FoundingBody = "{" },
		"users":           func(k *kept) { k.Users = nil },
		"users[0]":        func(k *kept) { k.Users[0].APIPrivateKey = strings.Repeat("1", 64) },
	} {
		t.Run(name, func(t *testing.T) {
			var damaged kept
			if err := json.Unmarshal(whole, &damaged); err != nil {
				t.Fatal(err)
			}
			change(&damaged)
			if err := f.save(readyFile, &damaged); err != nil {
				t.Fatal(err)
			}
			_, err := start(t, f, api, Command{}, quorumA, "")
			if err == nil || !strings.Contains(err.Error(), name+":") || !strings.Contains(err.Error(), readyFile) {
				t.Errorf("got %v", err)
			}
			if err != nil && strings.Contains(err.Error(), k.Users[0].APIPrivateKey) {
				t.Error("the error holds a private key")
			}
		})
	}
	if len(api.bodies) != 1 {
		t.Error("a second organization was founded")
	}
}

func TestPrintedLineIsExactlyTheCredentials(t *testing.T) {
	f := open(t, t.TempDir())
	c := Command{JSON: true}
	credentials := &Credentials{BaseURL: "http://127.0.0.1:1", Users: []User{{UserID: "u"}}, EnclavePID: 1, HostPID: 2}
	var out strings.Builder
	if err := c.print(&out, credentials, shape{}, f); err != nil {
		t.Fatal(err)
	}
	want := `{"base_url":"http://127.0.0.1:1","organization_id":"","users":[{"user_id":"u","user_name":"","api_public_key":"","api_private_key":""}],` +
		`"quorum_public_key":"","attestation_root":"","enclave_pid":1,"host_pid":2}` + "\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	c.JSON = false
	out.Reset()
	if err := c.print(&out, credentials, shape{Quorum: 1, RootUsers: 1}, f); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"protects nothing", "http://127.0.0.1:1/readyz", "1 of 1"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the text lacks %q: %s", want, out.String())
		}
	}
}
