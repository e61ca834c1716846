//go:build cgo

package pkcs11

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	p11 "github.com/miekg/pkcs11"
)

var secret = []byte("CANARY-canary-CANARY-canary-1234")

func TestSecretsComeBack(t *testing.T) {
	each(t, testSecretsComeBack)
}

func testSecretsComeBack(t *testing.T, k *tokens) {
	token := k.ready(t)
	first, err := token.Wrap(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	second, err := token.Wrap(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(first, second) || bytes.Contains(first, secret[:8]) {
		t.Error("wrapping is not randomized, or shows the secret")
	}
	for _, wrapped := range [][]byte{first, second} {
		got, err := token.Unwrap(t.Context(), wrapped)
		if err != nil || !bytes.Equal(got, secret) {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

func TestSecretsSurviveReopening(t *testing.T) {
	each(t, testSecretsSurviveReopening)
}

func testSecretsSurviveReopening(t *testing.T, k *tokens) {
	token := k.ready(t)
	wrapped, err := token.Wrap(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, token)

	again := mustOpen(t, k.uri("sallyport"))
	if err := again.EnsureKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := again.Unwrap(t.Context(), wrapped)
	if err != nil || !bytes.Equal(got, secret) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestSecretsSurviveTheProcess(t *testing.T) {
	each(t, testSecretsSurviveTheProcess)
}

func testSecretsSurviveTheProcess(t *testing.T, k *tokens) {
	token := k.ready(t)
	wrapped, err := token.Wrap(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperWrapped+"="+k.uri("sallyport")+" "+hex.EncodeToString(wrapped))
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != hex.EncodeToString(secret) {
		t.Errorf("got %s, %v", out, err)
	}
}

func unwrapHelper(argument string) int {
	uri, digits, _ := strings.Cut(argument, " ")
	wrapped, err := hex.DecodeString(digits)
	if err != nil {
		return 2
	}
	token, err := Open(uri, Options{TrustOrigin: strings.Contains(uri, "softokn")})
	if err != nil {
		fmt.Print(err)
		return 1
	}
	got, err := token.Unwrap(context.Background(), wrapped)
	if err != nil {
		fmt.Print(err)
		return 1
	}
	fmt.Print(hex.EncodeToString(got))
	if token.Close() != nil {
		return 1
	}
	return 0
}

func TestAWrongPINIsFatalAndTriedOnce(t *testing.T) {
	each(t, testAWrongPINIsFatalAndTriedOnce)
}

func testAWrongPINIsFatalAndTriedOnce(t *testing.T, k *tokens) {
	_, err := Open(k.uriWithPIN("sallyport", "9999"), Options{})
	if !errors.Is(err, ErrPIN) {
		t.Fatalf("got %v", err)
	}
	if strings.Contains(err.Error(), "9999") {
		t.Errorf("the error shows the PIN: %v", err)
	}
	token := mustOpen(t, k.uri("sallyport")) // nothing is left behind
	if err := token.EnsureKey(t.Context()); err != nil {
		t.Error(err)
	}
}

// A login counts for the process: a second one with a wrong PIN would "work".
func TestATokenOpensOnceInAProcess(t *testing.T) {
	k, token := ready(t)
	_, err := Open(k.uriWithPIN("sallyport", "9999"), Options{})
	contains(t, err, "is open in this process already")
	k.add("other")
	mustClose(t, token)
	mustOpen(t, k.uri("sallyport"))
	if _, err := mustOpen(t, k.uri("other")).Wrap(t.Context(), secret); !errors.Is(err, ErrKey) {
		t.Errorf("the other token of one module: %v", err)
	}
}

func TestExactlyOneTokenIsSelected(t *testing.T) {
	k := newTokens(t)
	k.add("one")
	k.add("twin")
	k.add("twin")

	_, err := Open(k.uri("three"), Options{})
	if !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	contains(t, err, `no token matches the URI; there are "`)
	contains(t, err, `"one" (serial `)

	_, err = Open(k.uri("twin"), Options{})
	contains(t, err, "2 tokens match the URI, add serial to it")

	one := mustOpen(t, k.uri("one"))
	serial := one.serial
	mustClose(t, one)
	by := strings.Replace(k.uri("one"), "token=one", "serial="+serial, 1)
	if got := mustOpen(t, by).Describe(); got != `PKCS#11 token "one", serial `+serial {
		t.Errorf("by serial: %s", got)
	}
	both := strings.Replace(k.uri("one"), "token=one", "token=twin;serial="+serial, 1)
	_, err = Open(both, Options{})
	contains(t, err, "no token matches")
}

func TestAFileThatIsNoModuleIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "module.so")
	write(t, file, "not a library", 0o600)
	_, err := Open("pkcs11:token=a?module-path="+file+"&pin-value=1", Options{})
	contains(t, err, "is not a PKCS#11 module that can be loaded")
}

func TestNoTokenAtAll(t *testing.T) {
	k := newTokens(t)
	_, err := Open(k.uri("sallyport"), Options{})
	contains(t, err, "the module has no initialized token")
}

func TestEnsureKeyMakesOneKey(t *testing.T) {
	each(t, testEnsureKeyMakesOneKey)
}

func testEnsureKeyMakesOneKey(t *testing.T, k *tokens) {
	token := k.ready(t)
	for range 3 {
		if err := token.EnsureKey(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	raw(t, token, func(api cryptoki, s p11.SessionHandle) error {
		key, id, err := token.findKey(s, nil, token.method)
		if err != nil || len(id) != ownIDSize {
			t.Errorf("id %x, %v", id, err)
		}
		value, err := api.GetAttributeValue(s, key, []*p11.Attribute{p11.NewAttribute(p11.CKA_VALUE, nil)})
		if err == nil {
			t.Errorf("the key can be read: %d attributes", len(value))
		}
		return nil
	})
}

func TestWeakKeysAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change *p11.Attribute
		want   string
	}{
		{"extractable", p11.NewAttribute(p11.CKA_EXTRACTABLE, true), "CKA_EXTRACTABLE must be false"},
		{"readable", p11.NewAttribute(p11.CKA_SENSITIVE, false), "CKA_SENSITIVE must be true"},
		{"modifiable", p11.NewAttribute(p11.CKA_MODIFIABLE, true), "CKA_MODIFIABLE must be false"},
		{"decrypting", p11.NewAttribute(p11.CKA_DECRYPT, true), "CKA_DECRYPT must be false"},
		{"signing", p11.NewAttribute(p11.CKA_SIGN, true), "CKA_SIGN must be false"},
		{"not wrapping", p11.NewAttribute(p11.CKA_WRAP, false), "CKA_WRAP must be true"},
		{"AES-128", p11.NewAttribute(p11.CKA_VALUE_LEN, 16), "CKA_VALUE_LEN is not that of AES-256"},
		{"public", p11.NewAttribute(p11.CKA_PRIVATE, false), "CKA_PRIVATE must be true"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newTokens(t)
			k.add("sallyport")
			token := mustOpen(t, k.uri("sallyport"))
			token.api = &faulty{cryptoki: token.api, template: tt.change}
			err := token.EnsureKey(t.Context())
			if err == nil { // made badly just now, found badly from here on
				err = token.EnsureKey(t.Context())
			}
			if !errors.Is(err, ErrKey) {
				t.Errorf("got %v", err)
			}
			contains(t, err, tt.want)
			if _, err := token.Wrap(t.Context(), secret); !errors.Is(err, ErrKey) {
				t.Errorf("Wrap: %v", err)
			}
		})
	}
}

// An imported key is protected now, but somebody had it in the clear.
func TestImportedKeysAreRefused(t *testing.T) {
	k := newTokens(t)
	k.add("sallyport")
	token := mustOpen(t, k.uri("sallyport"))
	raw(t, token, func(api cryptoki, s p11.SessionHandle) error {
		template := []*p11.Attribute{
			p11.NewAttribute(p11.CKA_CLASS, p11.CKO_SECRET_KEY), p11.NewAttribute(p11.CKA_KEY_TYPE, p11.CKK_AES),
			p11.NewAttribute(p11.CKA_VALUE, make([]byte, 32)), p11.NewAttribute(p11.CKA_LABEL, DefaultObject), p11.NewAttribute(p11.CKA_ID, []byte{1}),
		}
		_, err := api.CreateObject(s, append(template, byKeyWrap.profile.template(true)...))
		return err
	})
	contains(t, token.EnsureKey(t.Context()), "CKA_LOCAL must be true")
}

func TestTwoKeysOfOneNameAreRefusedUntilTheIdIsNamed(t *testing.T) {
	k, token := ready(t)
	wrapped, err := token.Wrap(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	id := wrapped[5 : 5+ownIDSize]
	raw(t, token, func(_ cryptoki, s p11.SessionHandle) error { return token.makeKey(s) })
	err = token.EnsureKey(t.Context())
	if !errors.Is(err, ErrKey) {
		t.Errorf("got %v", err)
	}
	contains(t, err, fmt.Sprintf("%x", id))
	if _, err := token.Wrap(t.Context(), secret); !errors.Is(err, ErrKey) {
		t.Errorf("Wrap: %v", err)
	}
	if got, err := token.Unwrap(t.Context(), wrapped); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("Unwrap names its key: %q, %v", got, err)
	}
	mustClose(t, token)

	var encoded strings.Builder
	for _, b := range id {
		fmt.Fprintf(&encoded, "%%%02x", b)
	}
	again := mustOpen(t, strings.Replace(k.uri("sallyport"), "?", ";id="+encoded.String()+"?", 1))
	if err := again.EnsureKey(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestANamedKeyIsNotMade(t *testing.T) {
	k := newTokens(t)
	k.add("sallyport")
	token := mustOpen(t, strings.Replace(k.uri("sallyport"), "?", ";id=%01%02?", 1))
	contains(t, token.EnsureKey(t.Context()), "there is none of that name")
}

func TestChangedWrappedSecretsDoNotOpen(t *testing.T) {
	each(t, testChangedWrappedSecretsDoNotOpen)
}

func testChangedWrappedSecretsDoNotOpen(t *testing.T, k *tokens) {
	token := k.ready(t)
	wrapped, err := token.Wrap(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	for i := range wrapped {
		changed := bytes.Clone(wrapped)
		changed[i] ^= 1
		if got, err := token.Unwrap(t.Context(), changed); !errors.Is(err, ErrUnwrap) || got != nil {
			t.Errorf("byte %d: got %q, %v", i, got, err)
		}
	}
	for n := range wrapped {
		if got, err := token.Unwrap(t.Context(), wrapped[:n]); !errors.Is(err, ErrUnwrap) || got != nil {
			t.Errorf("%d bytes: got %q, %v", n, got, err)
		}
	}
	if _, err := token.Unwrap(t.Context(), append(bytes.Clone(wrapped), 0)); !errors.Is(err, ErrUnwrap) {
		t.Errorf("longer: %v", err)
	}
	if got, err := token.Unwrap(t.Context(), wrapped); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("the unchanged one: %q, %v", got, err)
	}
}

func TestAnotherTokenDoesNotOpenIt(t *testing.T) {
	k, token := ready(t)
	wrapped, err := token.Wrap(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, token)
	k.add("other")
	other := mustOpen(t, k.uri("other"))
	if err := other.EnsureKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Unwrap(t.Context(), wrapped); !errors.Is(err, ErrUnwrap) {
		t.Errorf("got %v", err)
	}
}

func TestOnlySecretsOf32BytesAreWrapped(t *testing.T) {
	each(t, testOnlySecretsOf32BytesAreWrapped)
}

func testOnlySecretsOf32BytesAreWrapped(t *testing.T, k *tokens) {
	token := k.ready(t)
	for _, n := range []int{0, 16, 31, 33, 40} {
		if _, err := token.Wrap(t.Context(), make([]byte, n)); err == nil {
			t.Errorf("%d bytes were wrapped", n)
		}
	}
}

func TestManyCallersShareAToken(t *testing.T) {
	each(t, testManyCallersShareAToken)
}

func testManyCallersShareAToken(t *testing.T, k *tokens) {
	token := k.ready(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			own := make([]byte, 32)
			_, _ = rand.Read(own)
			for range 5 {
				wrapped, err := token.Wrap(t.Context(), own)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := token.Unwrap(t.Context(), wrapped); err != nil || !bytes.Equal(got, own) {
					t.Errorf("got %x, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestAClosedTokenAnswersNothing(t *testing.T) {
	each(t, testAClosedTokenAnswersNothing)
}

func testAClosedTokenAnswersNothing(t *testing.T, k *tokens) {
	token := k.ready(t)
	mustClose(t, token)
	mustClose(t, token)
	if err := token.EnsureKey(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := token.Unwrap(t.Context(), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestATokenThatGoesAwayIsUnavailableAndComesBack(t *testing.T) {
	k, token := ready(t)
	wrapped, err := token.Wrap(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	away := filepath.Join(t.TempDir(), "away")
	folder := tokenFolder(t, k.dir)
	if err := os.Rename(folder, away); err != nil {
		t.Fatal(err)
	}
	if _, err := token.Unwrap(t.Context(), wrapped); !errors.Is(err, ErrUnavailable) {
		t.Errorf("without the token: %v", err)
	}
	if err := os.Rename(away, folder); err != nil {
		t.Fatal(err)
	}
	if got, err := token.Unwrap(t.Context(), wrapped); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("with the token again: %q, %v", got, err)
	}
}

func tokenFolder(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*", "token.object"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	return filepath.Dir(found[0])
}

func TestLogsHaveNoPINAndWarnOfPinValue(t *testing.T) {
	k := newTokens(t)
	k.add("sallyport")
	var out bytes.Buffer
	uri := fmt.Sprintf("pkcs11:token=sallyport?module-path=%s&pin-value=1234", softHSM)
	token, err := Open(uri, Options{Log: slog.New(slog.NewTextHandler(&out, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, token)
	if err := token.EnsureKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		for field := range strings.FieldsSeq(line) {
			if _, value, _ := strings.Cut(field, "="); value == "1234" {
				t.Error(line)
			}
		}
	}
	if !strings.Contains(out.String(), "use pin-source") {
		t.Error("no warning")
	}
}

func BenchmarkUnwrap(b *testing.B) {
	_, token := ready(b)
	wrapped, err := token.Wrap(b.Context(), secret)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := token.Unwrap(b.Context(), wrapped); err != nil {
			b.Fatal(err)
		}
	}
}
