package cli_test

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/attestation/proof"
)

func TestHostileHostEndsWithThree(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.newKey("k", "p256")
	for _, tt := range []struct {
		name, want string
		change     func(r *http.Request, reply *httptest.ResponseRecorder)
	}{
		{"no proof", "proof_missing", func(_ *http.Request, reply *httptest.ResponseRecorder) { reply.Header().Del(proof.ReplyHeader) }},
		{"changed reply", "proof_invalid", func(_ *http.Request, reply *httptest.ResponseRecorder) {
			reply.Body = bytes.NewBuffer(append(reply.Body.Bytes(), ' '))
		}},
		{"changed bundle", "proof_invalid", func(r *http.Request, reply *httptest.ResponseRecorder) {
			if strings.HasSuffix(r.URL.Path, "export_private_key") {
				reply.Body = bytes.NewBuffer(bytes.Replace(reply.Body.Bytes(), []byte("dataSignature"), []byte("dataSignaturf"), 1))
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.tamper.Store(&tt.change)
			defer w.tamper.Store(nil)
			o := w.as("1", 3, "export", "--key", "k", "--out", "secret.hex")
			if !strings.Contains(o.stderr, tt.want) || !strings.Contains(o.stderr, "\nhint: do not trust the reply") || o.stdout != "" {
				t.Errorf("printed %q and %q", o.stdout, o.stderr)
			}
			if _, err := os.Stat("secret.hex"); !os.IsNotExist(err) {
				t.Error("a file was left behind")
			}
		})
	}
}

func TestOtherTrustEndsWithThree(t *testing.T) {
	w, other := newWorld(t, 1, 1), newWorld(t, 1, 1)
	pcr := strings.Repeat("11", 48)
	measurements := w.file("pcrs.json", `{"pcr0":"`+pcr+`","pcr1":"`+pcr+`","pcr2":"`+pcr+`"}`)
	for _, tt := range []struct {
		name, want string
		args       []string
	}{
		{"other quorum key", "proof_invalid", []string{"--quorum-key", other.quorum}},
		{"other root", "attestation", []string{"--local-root", other.root}},
		{"Nitro expected", "assurance", []string{"--measurements", measurements}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if o := w.as("1", 3, append([]string{"status"}, tt.args...)...); !strings.Contains(o.stderr, tt.want) {
				t.Errorf("stderr is %s", o.stderr)
			}
		})
	}
}

func TestNoAnswerEndsWithFive(t *testing.T) {
	w := newWorld(t, 1, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if o := w.as("1", 5, "status", "--base-url", "http://"+l.Addr().String()); !strings.Contains(o.stderr, "\nhint: check --base-url") {
		t.Errorf("stderr is %s", o.stderr)
	}
	down := func(_ *http.Request, reply *httptest.ResponseRecorder) {
		reply.Header().Del(proof.ReplyHeader)
		reply.Code, reply.Body = 503, bytes.NewBufferString(`{"code":14,"message":"the enclave cannot be reached"}`)
	}
	w.tamper.Store(&down)
	if o := w.as("1", 5, "keys", "list"); !strings.Contains(o.stderr, "the enclave cannot be reached") {
		t.Errorf("stderr is %s", o.stderr)
	}
}

func TestWrongCommandsEndWithTwo(t *testing.T) {
	w := newWorld(t, 1, 1)
	taken := w.file("taken", "mine")
	for _, tt := range []struct {
		name, want string
		args       []string
	}{
		{"nothing to sign", "--payload or --hex: one must be given", []string{"sign", "--key", "k"}},
		{"two things to sign", "--payload and --hex can't be used together", []string{"sign", "--key", "k", "--payload", "a", "--hex", "00"}},
		{"nowhere to export to", "--out or --stdout: one must be given", []string{"export", "--key", "k"}},
		{"nothing to export", "--key, --activity or --combine: one must be given", []string{"export", "--stdout"}},
		{"combining without target key", "--combine: needs --target", []string{"export", "--combine", "a", "--stdout"}},
		{"combining a key by name", "goes without --key", []string{"export", "--combine", "a", "--key", "k", "--target", "t", "--stdout"}},
		{"xprv of one key", "--format: goes with --combine", []string{"export", "--key", "k", "--format", "xprv", "--stdout"}},
		{"collecting without target key", "--activity: needs --target", []string{"export", "--activity", "a", "--stdout"}},
		{"unknown curve", "must be one of", []string{"keys", "create", "--name", "k", "--curve", "p384"}},
		{"existing file", "taken exists", []string{"export", "--key", "k", "--out", taken, "--dev", w.dev}},
		{"unknown key", "no private key has the id, name or address", []string{"export", "--key", "nobody", "--stdout", "--dev", w.dev}},
		{"nothing configured", "missing: --base-url\nhint: flags", []string{"keys", "list"}},
		{"no trust", "missing: --measurements or --local-root", []string{"status", "--base-url", w.url, "--quorum-key", w.quorum}},
		{"both trusts", "only one can be trusted", []string{"status", "--local-root", w.root, "--measurements", w.root}},
		{"quorum key is short", "quorum public key: must be 130", []string{"status", "--dev", w.dev, "--quorum-key", "04"}},
		{"unknown user", "--as: there is no user \"eve\"\nhint: one of: root-1", []string{"keys", "list", "--dev", w.dev, "--as", "eve"}},
		{"as without dev", "--as: needs --dev", []string{"keys", "list", "--as", "1"}},
		{"dev file is something else", "is not what sallyport dev prints", []string{"status", "--dev", taken}},
		{"root is no certificate", "holds no PEM certificate", []string{"status", "--dev", w.dev, "--local-root", taken}},
		{"no such key file", "API key: stat", []string{"keys", "list", "--dev", w.dev, "--key-file", "nowhere.key"}},
		{"user without file", "--user: \"ann\" must be NAME=KEYFILE", []string{"org", "create", "--dev", w.dev, "--name", "n", "--quorum", "1", "--user", "ann"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := w.run(tt.args...)
			if o.code != 2 || !strings.Contains(o.stderr, tt.want) || o.stdout != "" {
				t.Errorf("exit code %d, stdout %q, stderr %q", o.code, o.stdout, o.stderr)
			}
		})
	}
	if w.read("taken") != "mine" {
		t.Error("a file was overwritten")
	}
}

func TestValuesComeFromTheNearestSource(t *testing.T) {
	w := newWorld(t, 2, 1)
	dir := filepath.Join(w.dir, "conf")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	w.file("conf/root.pem", w.read("root.pem"))
	config := w.file("conf/config.json", `{"base_url":"`+w.url+`","quorum_key":"`+w.quorum+`","local_root":"root.pem"}`)
	w.env["SALLYPORT_CONFIG"] = config
	o := w.run("status")
	if o.code != 0 || !strings.Contains(o.stdout, "Assurance:         local") {
		t.Fatalf("configuration file: %+v", o)
	}
	if !strings.HasPrefix(o.stderr, "warning: local platform: ") || strings.Count(o.stderr, "\n") != 1 {
		t.Errorf("stderr is %q", o.stderr)
	}
	w.env["SALLYPORT_BASE_URL"] = "http://127.0.0.1:1"
	if o := w.run("status"); o.code != 5 {
		t.Errorf("the environment goes before the configuration file: %+v", o)
	}
	if o := w.run("status", "--dev", w.dev); o.code != 0 {
		t.Errorf("--dev goes before the environment: %+v", o)
	}
	if o := w.run("status", "--base-url", w.url); o.code != 0 {
		t.Errorf("flags go before the environment: %+v", o)
	}
	if o := w.run("status", "--config", w.file("bad.json", `{"baseurl":"x"}`)); o.code != 2 {
		t.Errorf("a misspelt member: %+v", o)
	}
	// A file with a private key that others may read is named.
	key := w.file("open.key", "{}")
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	if o := w.run("keys", "list", "--dev", w.dev, "--key-file", key); !strings.Contains(o.stderr, "open to others") {
		t.Errorf("stderr is %q", o.stderr)
	}
}

func TestNamesCannotMoveTheTerminal(t *testing.T) {
	w := newWorld(t, 1, 1)
	name := "safe\u202eevil\u0085"
	w.newKey(name, "p256")
	o := w.as("1", 0, "keys", "list")
	if strings.Contains(o.stdout, "\u202e") || !strings.Contains(o.stdout, `safe\u202eevil\u0085`) {
		t.Errorf("stdout is %q", o.stdout)
	}
}
