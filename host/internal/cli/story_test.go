package cli_test

import (
	"crypto/ed25519"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/host/client"
)

func TestKeySignAndExport(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.newKey("treasury", "ed25519")
	var key client.PrivateKey
	var list struct{ PrivateKeys []client.PrivateKey }
	if w.json(w.as("1", 0, "keys", "list", "--json"), &list); len(list.PrivateKeys) != 1 {
		t.Fatalf("list is %+v", list)
	}
	key = list.PrivateKeys[0]

	var sig struct{ R, S, PublicKey, HashFunction string }
	w.json(w.as("root-1", 0, "sign", "--key", "treasury", "--payload", "hi", "--json"), &sig)
	raw, _ := hex.DecodeString(sig.R + sig.S)
	public, _ := hex.DecodeString(key.PublicKey)
	if sig.HashFunction != client.HashNotApplicable || !ed25519.Verify(public, []byte("hi"), raw) {
		t.Errorf("signature %+v does not verify", sig)
	}

	o := w.as("1", 0, "export", "--key", key.PrivateKeyID, "--out", "secret.hex", "--bundle-out", "bundle.json", "--target", "one.target")
	secret := strings.TrimSpace(w.read("secret.hex"))
	seed, _ := hex.DecodeString(secret)
	if got := hex.EncodeToString(ed25519.NewKeyFromSeed(seed)[32:]); got != key.PublicKey {
		t.Errorf("the exported key is that of %s, want %s", got, key.PublicKey)
	}
	if strings.Contains(o.stdout+o.stderr, secret) {
		t.Error("the secret was printed though it went to a file")
	}
	for _, name := range []string{"secret.hex", "bundle.json"} {
		if f, err := os.Stat(name); err != nil || f.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, f, err)
		}
	}
	if _, err := os.Stat("one.target"); !os.IsNotExist(err) {
		t.Errorf("the target key is still there: %v", err)
	}
	if o := w.as("1", 0, "export", "--key", "treasury", "--stdout"); o.stdout != secret+"\n" {
		t.Errorf("standard output is %q", o.stdout)
	}
	var doc struct{ PrivateKey, Assurance string }
	w.json(w.as("1", 0, "export", "--key", "treasury", "--stdout", "--json"), &doc)
	if doc.PrivateKey != secret || doc.Assurance != "local" {
		t.Errorf("document is %+v", doc)
	}
}

func TestExportThatWaitsIsCollected(t *testing.T) {
	w := newWorld(t, 3, 2)
	w.as("1", 4, "keys", "create", "--name", "k", "--curve", "p256")
	var list struct {
		Activities []struct{ ActivityID, Fingerprint string }
	}
	w.json(w.as("2", 0, "activity", "list", "--status", "pending", "--json"), &list)
	w.as("2", 0, "activity", "approve", list.Activities[0].ActivityID)

	var waits struct{ ActivityID, Fingerprint, Status, TargetFile string }
	o := w.as("1", 4, "export", "--key", "k", "--out", "secret.hex", "--json")
	w.json(o, &waits)
	if !strings.Contains(o.stderr, "hint: another approver runs: sallyport activity approve "+waits.ActivityID) {
		t.Errorf("stderr is %s", o.stderr)
	}
	if _, err := os.Stat("secret.hex"); !os.IsNotExist(err) {
		t.Error("an empty file was left behind")
	}
	if f, err := os.Stat(waits.TargetFile); err != nil || f.Mode().Perm() != 0o600 {
		t.Fatalf("target file %q: %v", waits.TargetFile, err)
	}
	collect := []string{"export", "--activity", waits.ActivityID, "--target", waits.TargetFile, "--out", "secret.hex"}
	w.as("1", 4, collect...)

	shown := w.as("root-3", 0, "activity", "get", waits.ActivityID)
	for _, want := range []string{`EXPORT private key "k"`, waits.Fingerprint, "root-1 submitted", "consensus needed"} {
		if !strings.Contains(shown.stdout, want) {
			t.Errorf("%q is not shown in %s", want, shown.stdout)
		}
	}
	other := "sha256:" + strings.Repeat("0", 64)
	if o := w.as("3", 3, "activity", "approve", waits.ActivityID, "--fingerprint", other); !strings.Contains(o.stderr, "not the one given") {
		t.Errorf("stderr is %s", o.stderr)
	}
	done := w.as("3", 0, "activity", "approve", waits.ActivityID, "--fingerprint", waits.Fingerprint)
	if !strings.Contains(done.stdout, "approved: it is now completed") {
		t.Errorf("stdout is %s", done.stdout)
	}
	w.as("1", 0, collect...)
	if secret := strings.TrimSpace(w.read("secret.hex")); len(secret) != 64 {
		t.Errorf("the secret has %d digits", len(secret))
	}
	if left, _ := filepath.Glob("*.target"); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

func TestRejectedActivityIsRefusedAfterwards(t *testing.T) {
	w := newWorld(t, 2, 2)
	var waits struct{ ActivityID string }
	w.json(w.as("1", 4, "keys", "create", "--name", "k", "--curve", "p256", "--json"), &waits)
	var doc struct {
		Status string
		Votes  []struct{ UserName, Selection string }
	}
	w.json(w.as("2", 0, "activity", "reject", waits.ActivityID, "--json"), &doc)
	if doc.Status != client.StatusRejected || len(doc.Votes) != 2 || doc.Votes[1].Selection != client.SelectionRejected {
		t.Errorf("document is %+v", doc)
	}
	if o := w.as("2", 1, "activity", "approve", waits.ActivityID); !strings.Contains(o.stderr, "takes no more votes") {
		t.Errorf("stderr is %s", o.stderr)
	}
}

func TestOrganizationIsFoundedFromKeyFiles(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.env["SALLYPORT_BASE_URL"], w.env["SALLYPORT_QUORUM_KEY"], w.env["SALLYPORT_LOCAL_ROOT"] = w.url, w.quorum, w.root
	for _, name := range []string{"ann", "bob"} {
		o := w.run("key", "generate", name)
		if o.code != 0 || len(strings.TrimSpace(o.stdout)) != 66 {
			t.Fatalf("key generate: %+v", o)
		}
		if f, err := os.Stat(name + ".key"); err != nil || f.Mode().Perm() != 0o600 {
			t.Errorf("%s.key: %v %v", name, f, err)
		}
	}
	if o := w.run("key", "generate", "ann"); o.code != 2 || !strings.Contains(o.stderr, "ann.key exists") {
		t.Errorf("a key file was made twice: %+v", o)
	}
	var reply client.FoundingReply
	w.json(w.run("org", "create", "--name", "Acme", "--user", "ann=ann.key", "--user", "bob=bob.key", "--quorum", "1", "--body-out", "body.json", "--json"), &reply)
	if reply.OrganizationID != client.OrganizationID([]byte(w.read("body.json"))) || len(reply.Users) != 2 {
		t.Fatalf("reply is %+v", reply)
	}
	w.env["SALLYPORT_ORGANIZATION"], w.env["SALLYPORT_KEY_FILE"] = reply.OrganizationID, "ann.key"
	if o := w.run("key", "generate", "eve"); o.code != 0 {
		t.Fatal(o.stderr)
	} else if o := w.run("users", "create", "--name", "eve", "--public-key", strings.TrimSpace(o.stdout)); o.code != 0 {
		t.Fatal(o.stderr)
	}
	if o := w.run("quorum", "set", "--threshold", "2", "--user", "ann,eve"); o.code != 0 || !strings.Contains(o.stdout, "2 of 2") {
		t.Fatalf("%+v", o)
	}
	if o := w.run("quorum", "set", "--threshold", "1", "--user", "nobody"); o.code != 2 {
		t.Errorf("a user that does not exist: %+v", o)
	}
	if o := w.run("keys", "create", "--name", "k", "--curve", "p256", "--key-file", "bob.key"); o.code != 1 ||
		!strings.Contains(o.stderr, "hint: only users of the root quorum may ask for this") {
		t.Errorf("bob is not of the quorum any more: %+v", o)
	}
	if o := w.run("users", "list"); o.code != 0 || !strings.Contains(o.stdout, "eve") {
		t.Errorf("users: %+v", o)
	}
}
