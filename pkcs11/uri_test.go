package pkcs11

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const softHSM = "/usr/lib/softhsm/libsofthsm2.so"

func write(t testing.TB, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func contains(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestURIsAreRead(t *testing.T) {
	module, err := filepath.EvalSymlinks(softHSM)
	if err != nil {
		t.Fatal(err)
	}
	query := "?module-path=" + softHSM + "&pin-source=env:PIN"
	for _, tt := range []struct {
		text string
		want uri
	}{
		{"pkcs11:token=sallyport" + query, uri{token: "sallyport", object: DefaultObject}},
		{
			"pkcs11:model=SoftHSM%20v2;manufacturer=SoftHSM%20project;serial=4d2e4dcac15c0e42;token=My%20token;object=a%3Bb;id=%00%FF;type=secret-key" + query,
			uri{token: "My token", model: "SoftHSM v2", manufacturer: "SoftHSM project", serial: "4d2e4dcac15c0e42", object: "a;b", id: []byte{0, 0xff}, keyType: "secret-key"},
		},
		{"pkcs11:serial=a+b" + query + "&x-vendor=1&other", uri{}},
		{"pkcs11:serial=a+b" + query + "&x-vendor=1", uri{serial: "a+b", object: DefaultObject}},
	} {
		got, err := parseURI(tt.text)
		if tt.want.object == "" {
			if err == nil {
				t.Errorf("%s was accepted", tt.text)
			}
			continue
		}
		tt.want.modulePath, tt.want.pinSource = module, "env:PIN"
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
		} else if diff := cmp.Diff(&tt.want, got, cmp.AllowUnexported(uri{})); diff != "" {
			t.Errorf("%s: %s", tt.text, diff)
		}
	}
}

func TestURIsWithoutAMeaningAreRefused(t *testing.T) {
	const q = "?module-path=" + softHSM + "&pin-source=env:PIN"
	for text, want := range map[string]string{
		"":                             `must begin with "pkcs11:"`,
		"PKCS11:token=a" + q:           `must begin with "pkcs11:"`,
		"pkcs11:" + q:                  "must name a token by token or serial",
		"pkcs11:model=a" + q:           "must name a token by token or serial",
		"pkcs11:token=a;slot-id=1" + q: "slots select nothing",
		"pkcs11:token=a;color=red" + q: `path attribute "color" is not known`,
		"pkcs11:token=a;token=b" + q:   `attribute "token" appears twice`,
		"pkcs11:token=a;type=cert" + q: "type: must be secret-key or private",
		"pkcs11:token=a;id=" + q:       "id: must be 1 to 64 bytes",
		"pkcs11:token=a;object=" + q:   "object: must not be empty",
		"pkcs11:token=a;;serial=1" + q: "must have the form name=value",
		"pkcs11:token" + q:             "must have the form name=value",
		"pkcs11:token=%zz" + q:         "has a broken percent-encoding",
		"pkcs11:token=a%00b" + q:       "must not contain NUL",
		"pkcs11:token=a b" + q:         "must be percent-encoded ASCII",
		"pkcs11:token=é" + q:           "must be percent-encoded ASCII",
		"pkcs11:token=a":               "must have a module-path",
		"pkcs11:token=a?module-name=softhsm2&pin-source=env:PIN":                    "search paths are not used",
		"pkcs11:token=a?module-path=libsofthsm2.so&pin-source=env:PIN":              "must be an absolute path",
		"pkcs11:token=a?module-path=/usr/lib&pin-source=env:PIN":                    "must be a regular file",
		"pkcs11:token=a?module-path=/nowhere/lib.so&pin-source=env:PIN":             "no such file",
		"pkcs11:token=a?module-path=" + softHSM:                                     "must have pin-source",
		"pkcs11:token=a?module-path=" + softHSM + "&pin-value=1&pin-source=env:PIN": "and not both",
		"pkcs11:token=a?module-path=" + softHSM + "&pin-source=/etc/pin":            "must be file: with an absolute path",
		"pkcs11:token=a?module-path=" + softHSM + "&pin-source=file:pin":            "must be file: with an absolute path",
		"pkcs11:token=a?module-path=" + softHSM + "&pin-source=file://host/pin":     "must be file: with an absolute path",
		"pkcs11:token=a?module-path=" + softHSM + "&pin-source=|cat":                "must be file: with an absolute path",
		"pkcs11:token=a?module-path=" + softHSM + "&pin-source=env:":                "must be file: with an absolute path",
	} {
		_, err := parseURI(text)
		contains(t, err, want)
	}
}

func TestPINFilesFollowTheRule(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		name, content, want string
		mode                os.FileMode
	}{
		{"plain", "1234", "", 0o600},
		{"newline", "1234\n", "", 0o400},
		{"with blanks", " 12 34 \n", "", 0o600},
		{"two newlines", "1234\n\n", "must be one line", 0o600},
		{"two lines", "1234\n5678", "must be one line", 0o600},
		{"CRLF", "1234\r\n", "must be one line", 0o600},
		{"NUL", "12\x0034", "must be one line", 0o600},
		{"empty", "", "must be 1 to 255 bytes", 0o600},
		{"only a newline", "\n", "must be 1 to 255 bytes", 0o600},
		{"255 bytes", strings.Repeat("1", 255) + "\n", "", 0o600},
		{"300 bytes", strings.Repeat("1", 300), "must be 1 to 255 bytes", 0o600},
		{"for all", "1234", "has mode 0644, must be 0600 or less", 0o644},
		{"for the group", "1234", "has mode 0640, must be 0600 or less", 0o640},
	} {
		file := filepath.Join(dir, tt.name)
		write(t, file, tt.content, tt.mode)
		if err := os.Chmod(file, tt.mode); err != nil {
			t.Fatal(err)
		}
		for _, source := range []string{"file:" + file, "file://" + file, "file://localhost" + file} {
			pin, err := (&uri{pinSource: source}).pin()
			if tt.want != "" {
				contains(t, err, tt.want)
			} else if err != nil || pin != strings.TrimSuffix(tt.content, "\n") {
				t.Errorf("%s: got %q, %v", tt.name, pin, err)
			}
		}
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "plain"), link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		link: "must not be a symbolic link", dir: "must be a regular file", filepath.Join(dir, "absent"): "no such file",
	} {
		_, err := (&uri{pinSource: "file:" + path}).pin()
		contains(t, err, want)
	}
}

func TestPINsComeFromTheEnvironment(t *testing.T) {
	t.Setenv("SALLYPORT_TEST_PIN", "1234")
	if pin, err := (&uri{pinSource: "env:SALLYPORT_TEST_PIN"}).pin(); err != nil || pin != "1234" {
		t.Errorf("got %q, %v", pin, err)
	}
	_, err := (&uri{pinSource: "env:SALLYPORT_TEST_NO_PIN"}).pin()
	contains(t, err, "is not set")
}

func FuzzParseURI(f *testing.F) {
	f.Add("pkcs11:token=a;serial=b;id=%01?module-path=" + softHSM + "&pin-source=env:PIN")
	f.Add("pkcs11:token=a?pin-value=hunter2hunter2")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := parseURI(text)
		if err == nil && (u.token == "" && u.serial == "" || u.modulePath == "") {
			t.Errorf("accepted %q", text)
		}
	})
}
