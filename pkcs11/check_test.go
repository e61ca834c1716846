//go:build cgo

package pkcs11

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	p11 "github.com/miekg/pkcs11"
)

func (r *Report) role(name string) RoleReport {
	i := slices.IndexFunc(r.Roles, func(role RoleReport) bool { return role.Role == name })
	return r.Roles[i]
}

func TestCheckTriesEveryRole(t *testing.T) { each(t, testCheckTriesEveryRole) }

func testCheckTriesEveryRole(t *testing.T, k *tokens) {
	works := map[string]bool{
		"root": true, "signer:p256": true, "signer:p384": true, "operator": true,
		"signer:secp256k1": !k.nss, "signer:ed25519": !k.nss,
	}
	for _, tt := range []struct {
		roles []string
		works bool
	}{
		{nil, true},
		{[]string{"root", "operator"}, true},
		{[]string{"signer:p256"}, true},
		{[]string{"signer"}, !k.nss},
		{[]string{"root", "signer:secp256k1"}, !k.nss},
	} {
		report, err := Check(t.Context(), k.uri("sallyport"), tt.roles, Options{TrustOrigin: k.nss})
		if err != nil {
			t.Fatal(err)
		}
		if report.Works != tt.works || len(report.Roles) != len(works) {
			t.Errorf("%v: %+v", tt.roles, report)
		}
		for role, want := range works {
			if got := report.role(role); got.Works != want || got.Works != (got.Problem == "") || got.Asked != isAsked(role, tt.roles) {
				t.Errorf("%+v", got)
			}
		}
		if len(report.Keys) != 0 {
			t.Errorf("trials left %+v", report.Keys)
		}
	}
}

func TestCheckSaysWhatIsThere(t *testing.T) { each(t, testCheckSaysWhatIsThere) }

func testCheckSaysWhatIsThere(t *testing.T, k *tokens) {
	token := k.ready(t)
	signer, err := token.GenerateSigner(t.Context(), P384, "a signer")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := token.GenerateOperator(t.Context(), "an operator"); err != nil {
		t.Fatal(err)
	}
	mustClose(t, token)
	report, err := Check(t.Context(), k.uri("sallyport"), []string{"root"}, Options{TrustOrigin: k.nss})
	if err != nil {
		t.Fatal(err)
	}
	if report.Module.Path == "" || len(report.Module.SHA256) != 64 || report.Module.Manufacturer == "" || report.Token.Label == "" {
		t.Errorf("%+v, %+v", report.Module, report.Token)
	}
	if !slices.Contains(report.Token.Flags, "CKF_USER_PIN_INITIALIZED") || report.Token.Sessions != DefaultSessions {
		t.Errorf("%+v", report.Token)
	}
	var kinds []string
	for _, key := range report.Keys {
		if len(key.Problems) > 0 || key.HalfWritten {
			t.Errorf("%+v", key)
		}
		kinds = append(kinds, key.Label+", "+key.Kind+", "+key.Role)
	}
	if want := []string{"a signer, p384, signer", "an operator, p256, operator", "sallyport-root, AES-256, root"}; !slices.Equal(kinds, want) {
		t.Errorf("%q of %x", kinds, signer.ID())
	}
	for _, m := range report.Mechanisms {
		if m.Offered != (len(m.Uses) > 0) || len(m.Roles) == 0 || !k.nss && len(m.Missing) > 0 {
			t.Errorf("%+v", m)
		}
	}
	if b, err := json.Marshal(report); err != nil || strings.Contains(string(b), "null") {
		t.Errorf("%s, %v", b, err)
	}
}

// NSS says of every key that it was not made there.
func TestCheckNamesTokensThatDoNotRecordOrigins(t *testing.T) {
	k := newNSS(t)
	report, err := Check(t.Context(), k.uri(""), []string{"root"}, Options{})
	if err != nil || report.Works {
		t.Fatalf("%+v, %v", report, err)
	}
	if got := report.role("root").Problem; !strings.Contains(got, "CKA_LOCAL is false for one that it just made") {
		t.Error(got)
	}
	token, err := Open(k.uri(""), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, token)
	contains(t, token.EnsureKey(t.Context()), "CKA_LOCAL must be true")
}

func TestCheckJudgesWeakKeys(t *testing.T) {
	f := &faulty{template: p11.NewAttribute(p11.CKA_EXTRACTABLE, true)}
	token, err := openFaulty(t, f, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := token.EnsureKey(t.Context()); !errors.Is(err, ErrKey) {
		t.Fatal(err)
	}
	f.template = nil
	report, err := call(t.Context(), token, cap(token.turns), func() (*Report, error) { return token.report([]string{"root"}) })
	if err != nil || len(report.Keys) != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	if k := report.Keys[0]; k.HalfWritten || !slices.Contains(k.Problems, "CKA_EXTRACTABLE must be false") || !slices.Contains(k.Problems, "CKA_NEVER_EXTRACTABLE must be true") {
		t.Errorf("%+v", k)
	}
	if root := report.role("root"); report.Works || root.Works || !strings.Contains(root.Problem, `the key "sallyport-root"`) {
		t.Errorf("%+v", root)
	}
}

func TestCheckRefusesWhatItCannotDo(t *testing.T) {
	k := newTokens(t)
	k.add("sallyport")
	_, err := Check(t.Context(), k.uri("sallyport"), []string{"holder"}, Options{})
	contains(t, err, `role: "holder" must be one of root, signer,`)
	if _, err := Check(t.Context(), k.uriWithPIN("sallyport", "9999"), nil, Options{}); !errors.Is(err, ErrPIN) {
		t.Errorf("got %v", err)
	}
}

// A token without CKM_AES_KEY_WRAP wraps by AES-GCM, with rules of ours.
func TestTokensThatDoNotWrapSeal(t *testing.T) {
	f := &faulty{noWrap: true}
	token, err := openFaulty(t, f, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := token.EnsureKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	wrapped, err := token.Wrap(t.Context(), secret)
	if err != nil || string(wrapped[:4]) != "SPT2" {
		t.Fatalf("%x, %v", wrapped, err)
	}
	if got, err := token.Unwrap(t.Context(), wrapped); err != nil || string(got) != string(secret) {
		t.Errorf("got %q, %v", got, err)
	}
	for i := range wrapped {
		wrapped[i] ^= 1
		if _, err := token.Unwrap(t.Context(), wrapped); !errors.Is(err, ErrUnwrap) {
			t.Errorf("byte %d: %v", i, err)
		}
		wrapped[i] ^= 1
	}
	f.garbleSeal = true
	if got, err := token.Wrap(t.Context(), secret); err == nil || got != nil {
		t.Errorf("garbled: %x, %v", got, err)
	}
}
