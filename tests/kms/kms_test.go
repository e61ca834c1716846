package kms_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/tests/kms"
)

var (
	secret   = bytes.Repeat([]byte{0x5a}, 32)
	manifest = bytes.Repeat([]byte{0x11}, 32) // its hash
)

// world is a key, an enclave, and a secret between them.
type world struct {
	*kms.Server
	t          *testing.T
	module     *enclavetest.KMSModule
	ciphertext []byte
	now        time.Time // of KMS
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, module: enclavetest.NewKMSModule(t, manifest, nil), now: time.Now()}
	w.Server = kms.New(t, kms.Options{Trust: w.module.Trust, Now: func() time.Time { return w.now }})
	w.ciphertext = enclavetest.EncryptToKMS(t, w.PublicKey(), secret)
	return w
}

func (w *world) request() enclavetest.KMSRequest { return w.module.Request(w.t, make([]byte, 32)) }

// decrypt is the request that a host makes for an enclave.
func (w *world) decrypt(document []byte) map[string]any {
	m := map[string]any{"KeyId": kms.ARN, "CiphertextBlob": w.ciphertext, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
	if document != nil {
		m["Recipient"] = map[string]any{"AttestationDocument": document, "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
	}
	return m
}

type reply struct {
	Status                            int
	Type                              string `json:"__type"`
	Message                           string `json:"message"`
	Plaintext, CiphertextForRecipient []byte
	PublicKey                         []byte
	KeyMetadata                       struct{ Arn, KeyState string }
}

func (w *world) call(accessKey, operation string, members any) reply {
	w.t.Helper()
	body, err := json.Marshal(members)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.URL+"/", bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "TrentService."+operation)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+accessKey+"/20260101/"+kms.Region+"/kms/aws4_request, SignedHeaders=host, Signature=00")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	out := reply{Status: response.StatusCode}
	if err := json.NewDecoder(response.Body).Decode(&out); err != nil && out.Status == http.StatusOK {
		w.t.Fatal(err)
	}
	return out
}

func (w *world) wants(name string, got reply, code, message string) {
	w.t.Helper()
	if got.Status != http.StatusBadRequest || got.Type != code || !strings.Contains(got.Message, message) || got.CiphertextForRecipient != nil {
		w.t.Errorf("%s: got %+v, want %s with %q", name, got, code, message)
	}
}

// TestAttestedDecrypt goes through both forms of answers.
func TestAttestedDecrypt(t *testing.T) {
	w := newWorld(t)
	for range 2 {
		r := w.request()
		got := w.call(kms.AccessKeyID, "Decrypt", w.decrypt(r.Document()))
		if got.Status != http.StatusOK || got.Plaintext != nil {
			t.Fatalf("got %+v", got)
		}
		opened, err := r.Open(got.CiphertextForRecipient)
		if err != nil || !bytes.Equal(opened, secret) {
			t.Errorf("got %x, %v", opened, err)
		}
	}
	if n := w.Requests(); n != 2 {
		t.Errorf("%d requests were counted", n)
	}
}

// TestWithoutRecipientItTells shows what a key policy is for.
func TestWithoutRecipientItTells(t *testing.T) {
	w := newWorld(t)
	if got := w.call(kms.AccessKeyID, "Decrypt", w.decrypt(nil)); !bytes.Equal(got.Plaintext, secret) {
		t.Errorf("got %+v", got)
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	document := w.request().Document()
	other := enclavetest.NewKMSModule(t, manifest, nil).Request(t, make([]byte, 32)).Document()
	set := func(path string, value any) map[string]any {
		m := w.decrypt(document)
		inner, name := m, path
		if rest, ok := strings.CutPrefix(path, "Recipient."); ok {
			inner, name = m["Recipient"].(map[string]any), rest
		}
		inner[name] = value
		return m
	}
	altered := bytes.Clone(w.ciphertext)
	altered[9] ^= 1
	for _, c := range []struct {
		name    string
		members map[string]any
		code    string
		message string
	}{
		{"no key", set("KeyId", ""), "ValidationException", "keyId"},
		{"another key", set("KeyId", kms.ARN+"0"), "NotFoundException", "does not exist"},
		{"no ciphertext", set("CiphertextBlob", nil), "ValidationException", "ciphertextBlob"},
		{"long ciphertext", set("CiphertextBlob", make([]byte, 6145)), "ValidationException", "ciphertextBlob"},
		{"altered ciphertext", set("CiphertextBlob", altered), "InvalidCiphertextException", ""},
		{"short ciphertext", set("CiphertextBlob", w.ciphertext[:255]), "InvalidCiphertextException", ""},
		{"another algorithm", set("EncryptionAlgorithm", "RSAES_OAEP_SHA_1"), "InvalidCiphertextException", ""},
		{"no algorithm", set("EncryptionAlgorithm", ""), "InvalidKeyUsageException", "SYMMETRIC_DEFAULT"},
		{"unknown algorithm", set("EncryptionAlgorithm", "ROT13"), "ValidationException", "encryptionAlgorithm"},
		{"recipient's algorithm", set("Recipient.KeyEncryptionAlgorithm", "RSAES_OAEP_SHA_1"), "ValidationException", "keyEncryptionAlgorithm"},
		{"no document", set("Recipient.AttestationDocument", nil), "ValidationException", "attestationDocument"},
		{"altered document", set("Recipient.AttestationDocument", append(bytes.Clone(document), 0)), "ValidationException", "attestation"},
		{"document under another root", set("Recipient.AttestationDocument", other), "ValidationException", "root"},
	} {
		w.wants(c.name, w.call(kms.AccessKeyID, "Decrypt", c.members), c.code, c.message)
	}
	w.wants("operation", w.call(kms.AccessKeyID, "Encrypt", w.decrypt(document)), "UnknownOperationException", "")
	w.wants("caller", w.call("AKIANOBODY", "Decrypt", w.decrypt(document)), "UnrecognizedClientException", "token")
}

func TestDocumentsGrowOld(t *testing.T) {
	w := newWorld(t)
	document := w.request().Document()
	for _, c := range []struct {
		later time.Duration
		old   string
	}{
		{4*time.Minute + 50*time.Second, ""},
		{5*time.Minute + 10*time.Second, "too old"},
		{-6 * time.Minute, "future"},
	} {
		w.now = time.Now().Add(c.later)
		got := w.call(kms.AccessKeyID, "Decrypt", w.decrypt(document))
		if c.old == "" && got.Status == http.StatusOK {
			continue
		}
		w.wants(c.later.String(), got, "ValidationException", c.old)
	}
}

func TestKeyStates(t *testing.T) {
	w := newWorld(t)
	decrypt := func() reply { return w.call(kms.AccessKeyID, "Decrypt", w.decrypt(w.request().Document())) }
	describe := func() string {
		return w.call(kms.AccessKeyID, "DescribeKey", w.decrypt(nil)).KeyMetadata.KeyState
	}
	w.Disable()
	w.wants("disabled", decrypt(), "DisabledException", "is disabled")
	w.wants("disabled", w.call(kms.AccessKeyID, "GetPublicKey", w.decrypt(nil)), "DisabledException", "is disabled")
	if got := describe(); got != "Disabled" {
		t.Errorf("the state is %q", got)
	}
	w.ScheduleDeletion()
	w.wants("pending deletion", decrypt(), "KMSInvalidStateException", "pending deletion")
	w.Enable()
	if got := decrypt(); got.Status != http.StatusOK {
		t.Errorf("got %+v", got)
	}
	w.Break(http.StatusServiceUnavailable)
	if got := decrypt(); got.Status != http.StatusServiceUnavailable {
		t.Errorf("got %+v", got)
	}
	w.Break(0)
	if got := w.call(kms.AccessKeyID, "GetPublicKey", w.decrypt(nil)); !bytes.Equal(got.PublicKey, w.PublicKey()) {
		t.Errorf("got %+v", got)
	}
}

// statements is a policy with an administrator and more.
func statements(more string) []byte {
	return []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + kms.Account +
		`:root"},"Action":["kms:Put*","kms:Get*"],"Resource":"*"}` + more + `]}`)
}

func rule(effect, principal, conditions string) string {
	return `,{"Effect":"` + effect + `","Principal":` + principal + `,"Action":"kms:Decrypt","Resource":"*","Condition":` + conditions + `}`
}

func TestPoliciesAreObeyed(t *testing.T) {
	w := newWorld(t)
	m := attestation.LocalMeasurements()
	pcr0, pcr18 := hex.EncodeToString(m.PCR0[:]), hex.EncodeToString(attestation.ExtendPCR(nil, manifest))
	role := `{"AWS":"arn:aws:iam::` + kms.Account + `:role/` + kms.Role + `"}`
	const key = "kms:RecipientAttestation:"
	for _, c := range []struct {
		name, more string
		bare       bool   // without a recipient
		refusal    string // in the message; "" is an answer
	}{
		{"nothing said", "", false, "no resource-based policy allows"},
		{"right image", rule("Allow", role, `{"StringEquals":{"`+key+`ImageSha384":"`+pcr0+`"}}`), false, ""},
		{"in capitals", rule("Allow", role, `{"StringEqualsIgnoreCase":{"`+key+`PCR0":"`+strings.ToUpper(pcr0)+`"}}`), false, ""},
		{"in capitals, with case", rule("Allow", role, `{"StringEquals":{"`+key+`PCR0":"`+strings.ToUpper(pcr0)+`"}}`), false, "no resource"},
		{"one of two", rule("Allow", role, `{"StringEquals":{"`+key+`PCR0":["00","`+pcr0+`"]}}`), false, ""},
		{"another image", rule("Allow", role, `{"StringEquals":{"`+key+`PCR0":"`+pcr18+`"}}`), false, "no resource"},
		{"no document", rule("Allow", role, `{"StringEquals":{"`+key+`PCR0":"`+pcr0+`"}}`), true, "no resource"},
		{"manifest", rule("Allow", role, `{"StringEquals":{"`+key+`PCR0":"`+pcr0+`","`+key+`PCR18":"`+pcr18+`"}}`), false, ""},
		{"another manifest", rule("Allow", role, `{"StringEquals":{"`+key+`PCR0":"`+pcr0+`","`+key+`PCR18":"`+pcr0+`"}}`), false, "no resource"},
		{"another role", rule("Allow", `{"AWS":"arn:aws:iam::`+kms.Account+`:role/x"}`, `{}`), false, "no resource"},
		{"denied", rule("Allow", `"*"`, `{}`) + rule("Deny", `"*"`, `{"StringNotEquals":{"`+key+`PCR0":"00"}}`), false, "explicit deny"},
		{"denied without document", rule("Allow", `"*"`, `{}`) + rule("Deny", `"*"`, `{"StringNotEquals":{"`+key+`PCR0":"`+pcr0+`"}}`), true, "explicit deny"},
		{"not denied", rule("Allow", `"*"`, `{}`) + rule("Deny", `"*"`, `{"StringNotEquals":{"`+key+`PCR0":"`+pcr0+`"}}`), false, ""},
		{"algorithm", rule("Allow", `"*"`, `{"StringEquals":{"kms:EncryptionAlgorithm":"RSAES_OAEP_SHA_256"}}`), false, ""},
	} {
		if err := w.SetPolicy(statements(c.more)); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		document := w.request().Document()
		if c.bare {
			document = nil
		}
		got := w.call(kms.AccessKeyID, "Decrypt", w.decrypt(document))
		if c.refusal == "" && got.Status == http.StatusOK {
			continue
		}
		w.wants(c.name, got, "AccessDeniedException", c.refusal)
	}
}

func TestWrongPoliciesAreRefused(t *testing.T) {
	w := newWorld(t)
	for name, document := range map[string][]byte{
		"no JSON":              []byte("{"),
		"no statement":         []byte(`{"Version":"2012-10-17","Statement":[]}`),
		"old version":          bytes.Replace(statements(""), []byte("2012"), []byte("2008"), 1),
		"unknown member":       bytes.Replace(statements(""), []byte(`"Version"`), []byte(`"Vers":1,"Version"`), 1),
		"unknown operator":     statements(rule("Allow", `"*"`, `{"StringLike":{"kms:EncryptionAlgorithm":"*"}}`)),
		"unknown key":          statements(rule("Allow", `"*"`, `{"StringEquals":{"kms:RecipientAttestation:PCR32":"00"}}`)),
		"a PCR with a zero":    statements(rule("Allow", `"*"`, `{"StringEquals":{"kms:RecipientAttestation:PCR00":"00"}}`)),
		"unknown principal":    statements(rule("Allow", `{"Service":"ec2.amazonaws.com"}`, `{}`)),
		"wrong principal":      statements(rule("Allow", `{"AWS":"me"}`, `{}`)),
		"unknown effect":       statements(rule("Maybe", `"*"`, `{}`)),
		"another resource":     bytes.Replace(statements(""), []byte(`"Resource":"*"`), []byte(`"Resource":"x"`), 1),
		"nobody may change":    []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"kms:Decrypt","Resource":"*"}]}`),
		"longer than 32 KiB":   statements(fmt.Sprintf(`%32768s`, "")),
		"administrator denied": statements(`,{"Effect":"Deny","Principal":"*","NotAction":"kms:Decrypt","Resource":"*"}`),
	} {
		if err := w.SetPolicy(document); err == nil {
			t.Errorf("%s: was taken", name)
		}
	}
	if got := w.call(kms.AccessKeyID, "Decrypt", w.decrypt(nil)); got.Status != http.StatusOK {
		t.Errorf("the old policy is gone: %+v", got)
	}
}
