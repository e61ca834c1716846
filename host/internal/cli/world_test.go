package cli_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/fxamacker/cbor/v2"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/host/client"
	"github.com/sallyport/sallyport/host/internal/cli"
	"github.com/sallyport/sallyport/host/internal/turnkey"
)

// A world is an appliance, an organization on it, and a folder that the verbs
// are run in.
type world struct {
	*testing.T
	dir     string
	dev     string // what `sallyport dev --json` would have printed
	root    string // the attestation root, PEM
	url     string
	quorum  string
	org     string
	enclave *enclavetest.Enclave
	env     map[string]string
	// tamper, when set, may change a reply.
	tamper atomic.Pointer[func(r *http.Request, reply *httptest.ResponseRecorder)]
}

func newWorld(t *testing.T, users, quorum int) *world {
	t.Helper()
	w := &world{T: t, dir: t.TempDir(), env: map[string]string{}, enclave: enclavetest.New(t, enclavetest.Options{})}
	t.Chdir(w.dir)
	server := httptest.NewServer(w.host(turnkey.New(w.enclave, turnkey.Config{})))
	t.Cleanup(server.Close)
	w.url = server.URL
	m, err := attestation.ParseManifest(w.enclave.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	w.quorum = hex.EncodeToString(m.QuorumPublicKey)
	w.root = w.file("root.pem", string(w.attestationRoot()))
	w.found(users, quorum, m.QuorumPublicKey)
	return w
}

func (w *world) host(honest http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		reply := httptest.NewRecorder()
		honest.ServeHTTP(reply, r)
		if tamper := w.tamper.Load(); tamper != nil {
			(*tamper)(r, reply)
		}
		for name, values := range reply.Header() {
			if name != "Content-Length" {
				rw.Header()[name] = values
			}
		}
		rw.WriteHeader(reply.Code)
		_, _ = rw.Write(reply.Body.Bytes())
	})
}

// attestationRoot takes the root out of the enclave's own document.
func (w *world) attestationRoot() []byte {
	w.Helper()
	status, err := w.enclave.Status(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	var cose struct {
		_           struct{} `cbor:",toarray"`
		Protected   []byte
		Unprotected cbor.RawMessage
		Payload     []byte
		Signature   []byte
	}
	var document struct {
		CABundle [][]byte `cbor:"cabundle"`
	}
	if err := cbor.Unmarshal(status.AttestationDocument, &cose); err != nil {
		w.Fatal(err)
	}
	if err := cbor.Unmarshal(cose.Payload, &document); err != nil {
		w.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: document.CABundle[0]})
}

// found makes users root-1, ... and the file that dev would have printed.
func (w *world) found(users, quorum int, quorumKey []byte) {
	w.Helper()
	c, err := client.New(client.Config{BaseURL: w.url, Trust: w.enclave.Trust, QuorumPublicKey: quorumKey})
	if err != nil {
		w.Fatal(err)
	}
	var roots []client.RootUser
	var keys []*client.APIKey
	var shown []map[string]string
	for i := range users {
		key, err := client.NewAPIKey()
		if err != nil {
			w.Fatal(err)
		}
		private, err := key.PrivateHex()
		if err != nil {
			w.Fatal(err)
		}
		name := fmt.Sprintf("root-%d", i+1)
		keys = append(keys, key)
		roots = append(roots, client.RootUser{UserName: name, APIKeys: []client.RootAPIKey{
			{APIKeyName: "first", PublicKey: key.PublicHex(), CurveType: client.CurveP256},
		}})
		shown = append(shown, map[string]string{"user_name": name, "api_public_key": key.PublicHex(), "api_private_key": private})
	}
	body, err := c.NewFoundingBody("test", roots, quorum)
	if err != nil {
		w.Fatal(err)
	}
	reply, err := c.CreateOrganization(w.Context(), body, keys...)
	if err != nil {
		w.Fatal(err)
	}
	w.org = reply.OrganizationID
	line, err := json.Marshal(map[string]any{
		"base_url": w.url, "organization_id": w.org, "users": shown,
		"quorum_public_key": w.quorum, "attestation_root": w.root, "enclave_pid": 1, "host_pid": 2,
	})
	if err != nil {
		w.Fatal(err)
	}
	w.dev = w.file("dev.json", string(line)+"\n")
}

func (w *world) file(name, content string) string {
	w.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		w.Fatal(err)
	}
	return path
}

func (w *world) read(name string) string {
	w.Helper()
	b, err := os.ReadFile(filepath.Join(w.dir, name))
	if err != nil {
		w.Fatal(err)
	}
	return string(b)
}

// An outcome is what a verb printed and how it exited.
type outcome struct {
	code           int
	stdout, stderr string
}

// run runs a command line as the program does.
func (w *world) run(args ...string) outcome {
	w.Helper()
	var out, errs bytes.Buffer
	var verbs cli.Verbs
	parser, err := kong.New(&verbs, kong.Exit(func(int) {}), kong.Writers(&out, &errs),
		kong.BindTo(w.Context(), (*context.Context)(nil)),
		kong.Bind(&cli.Streams{Out: &out, Err: &errs, Getenv: func(name string) string { return w.env[name] }}))
	if err != nil {
		w.Fatal(err)
	}
	verb, err := parser.Parse(args)
	if err != nil {
		return outcome{cli.ExitUsage, "", err.Error()}
	}
	o := outcome{}
	if err := verb.Run(); err != nil {
		code, ok := cli.Report(&errs, err)
		if !ok {
			w.Fatalf("%v: an error without an exit code: %v", args, err)
		}
		o.code = code
	}
	o.stdout, o.stderr = out.String(), errs.String()
	return o
}

// as runs a command line as one of dev's users, and wants an exit code.
func (w *world) as(user string, code int, args ...string) outcome {
	w.Helper()
	o := w.run(append(args, "--dev", w.dev, "--as", user)...)
	if o.code != code {
		w.Fatalf("%v: exit code %d, want %d\n%s%s", args, o.code, code, o.stdout, o.stderr)
	}
	return o
}

// json decodes standard output, which must be one document.
func (w *world) json(o outcome, v any) {
	w.Helper()
	if strings.Count(o.stdout, "\n") != 1 || json.Unmarshal([]byte(o.stdout), v) != nil {
		w.Fatalf("not one line of JSON: %q", o.stdout)
	}
}

// newKey makes a private key through the quorum of one.
func (w *world) newKey(name, curve string) {
	w.Helper()
	w.as("1", 0, "keys", "create", "--name", name, "--curve", curve)
}
