package keys

import (
	"bytes"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"strings"
	"testing"
	"text/template"

	"github.com/fxamacker/cbor/v2"
)

// canary has a form of its own in text, in hex, in decimal and in base64.
var canary = []byte("CANARY-canary-CANARY-canary-1234")

// leaks reports whether out shows the canary in any usual form.
func leaks(out string) bool {
	decimal := strings.Trim(fmt.Sprintf("%d", canary[:4]), "[]")
	for _, form := range []string{
		string(canary[:6]), hex.EncodeToString(canary[:4]), decimal, strings.ReplaceAll(decimal, " ", ", "),
		"0x43, 0x41, 0x4e", "Q0FOQVJZ", "1000011 1000001",
	} {
		if strings.Contains(strings.ToLower(out), strings.ToLower(form)) {
			return true
		}
	}
	return false
}

type holder struct {
	Public     *Secret
	Value      Secret
	unexported Secret
	pointer    *Secret
	list       []Share
	byName     map[string]Secret
	any        any
}

func holding() holder {
	s := NewSecret(canary)
	return holder{s, *s, *s, s, []Share{{1, s}}, map[string]Secret{"k": *s}, *s}
}

func TestNoFormatVerbShowsASecret(t *testing.T) {
	h := holding()
	for _, verb := range strings.Split("v +v #v s q x X d b o O c U e g t T p w 08x # v", " ") {
		for _, arg := range []any{h.Public, h.Value, h, &h, h.list, h.byName, []Secret{h.Value}, [1]*Secret{h.pointer}, Share{1, h.Public}} {
			out := fmt.Sprintf("%"+verb, arg)
			if leaks(out) {
				t.Errorf("%%%s of %T: %s", verb, arg, out)
			}
		}
	}
	if got := fmt.Sprint(h.Public, h.Value); got != "[secret] [secret]" {
		t.Errorf("got %q", got)
	}
}

func TestNoLogShowsASecret(t *testing.T) {
	h := holding()
	var out bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		l := slog.New(handler)
		l.Info("x", "pointer", h.Public, "value", h.Value, "struct", h, "list", h.list, "error", fmt.Errorf("with %v", h.Public))
	}
	log.New(&out, "", 0).Print(h.Public, h.Value, h)
	if leaks(out.String()) {
		t.Error(out.String())
	}
	if !strings.Contains(out.String(), redacted) {
		t.Error("nothing was logged")
	}
}

func TestNoEncoderTakesASecret(t *testing.T) {
	h := holding()
	for name, encode := range map[string]func(any) ([]byte, error){
		"json": json.Marshal,
		"xml":  xml.Marshal,
		"cbor": cbor.Marshal,
		"gob": func(v any) ([]byte, error) {
			var b bytes.Buffer
			return b.Bytes(), gob.NewEncoder(&b).Encode(v)
		},
		"template": func(v any) ([]byte, error) {
			var b bytes.Buffer
			err := template.Must(template.New("").Parse("{{.}} {{printf `%x` .}}")).Execute(&b, v)
			return b.Bytes(), errors.Join(err, errSecret)
		},
	} {
		for _, v := range []any{h.Public, h.Value, Share{1, h.Public}, []Secret{h.Value}, struct{ S Secret }{h.Value}} {
			out, err := encode(v)
			if err == nil {
				t.Errorf("%s took %T", name, v)
			}
			if leaks(string(out)) {
				t.Errorf("%s of %T: %s", name, v, out)
			}
		}
	}
	for name, encode := range map[string]func() ([]byte, error){
		"text": h.Value.MarshalText, "binary": h.Value.MarshalBinary, "json": h.Value.MarshalJSON,
		"cbor": h.Value.MarshalCBOR, "gob": h.Value.GobEncode,
	} {
		if out, err := encode(); err == nil || out != nil {
			t.Errorf("%s: got %q, %v", name, out, err)
		}
	}
}

func TestPanicsShowNoSecret(t *testing.T) {
	defer func() {
		if out := fmt.Sprint(recover()); leaks(out) {
			t.Error(out)
		}
	}()
	panic(holding())
}

func TestEraseZeroesTheBytes(t *testing.T) {
	s := NewSecret(canary)
	copied := *s
	raw := s.Expose()
	s.Erase()
	if !bytes.Equal(raw, make([]byte, len(canary))) {
		t.Errorf("bytes after Erase: %x", raw)
	}
	if s.Expose() != nil || copied.Expose() != nil {
		t.Error("an erased secret can be exposed")
	}
	s.Erase()
	(*Secret)(nil).Erase()
	(&Secret{}).Erase()
	if (*Secret)(nil).Expose() != nil || (&Secret{}).Expose() != nil {
		t.Error("nothing has bytes")
	}
}

func TestSecretsCompareByValue(t *testing.T) {
	a, b := NewSecret(canary), NewSecret(canary)
	if !a.Equal(b) || !a.Equal(a) {
		t.Error("equal secrets differ")
	}
	if a.Equal(NewSecret(canary[:31])) || a.Equal(NewSecret(make([]byte, 32))) || a.Equal(nil) {
		t.Error("different secrets are equal")
	}
}

func TestNewSecretCopies(t *testing.T) {
	b := bytes.Clone(canary)
	s := NewSecret(b)
	clear(b)
	if !bytes.Equal(s.Expose(), canary) {
		t.Error("the secret changed with the caller's bytes")
	}
}

func TestWithSecretRunsTheFunction(t *testing.T) {
	var sig Signature
	WithSecret(func() {
		s := NewSecret(canary)
		defer s.Erase()
		sig, _ = Sign(Secp256k1, s, make([]byte, 32))
	})
	if sig == (Signature{}) {
		t.Error("no result came out")
	}
}
