package kms_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/host/internal/kms"
	double "github.com/sallyport/sallyport/tests/kms"
)

var (
	secret   = bytes.Repeat([]byte{0x5a}, 32)
	manifest = bytes.Repeat([]byte{0x11}, 32) // its hash
	local    = []attestation.Measurements{attestation.LocalMeasurements()}
)

// world is an enclave, its host's client, and KMS with the policy for both.
type world struct {
	*kms.Client
	t          *testing.T
	kms        *double.Server
	module     *enclavetest.KMSModule
	ciphertext []byte
}

func newWorld(t *testing.T) *world {
	t.Helper()
	credentials(t, double.AccessKeyID)
	w := &world{t: t, module: enclavetest.NewKMSModule(t, manifest, nil)}
	w.kms = double.New(t, double.Options{Trust: w.module.Trust, Policy: policy(t, local, manifest)})
	w.Client = client(t, w.kms.URL)
	w.ciphertext = enclavetest.EncryptToKMS(t, w.kms.PublicKey(), secret)
	return w
}

// credentials are all that the AWS SDK finds; the region there is a wrong one.
func credentials(t *testing.T, accessKeyID string) {
	t.Helper()
	none := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": accessKeyID, "AWS_SECRET_ACCESS_KEY": "example", "AWS_SESSION_TOKEN": "", "AWS_REGION": "us-east-1",
		"AWS_PROFILE": "", "AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
}

func client(t *testing.T, endpoint string) *kms.Client {
	t.Helper()
	c, err := kms.New(t.Context(), kms.Options{Endpoint: endpoint, Attempts: 1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func policy(t *testing.T, measurements []attestation.Measurements, manifestHash []byte) []byte {
	t.Helper()
	p, err := kms.Policy(double.Account, double.Role, double.ARN, measurements, manifestHash)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (w *world) request() enclavetest.KMSRequest { return w.module.Request(w.t, make([]byte, 32)) }

// ask makes a request and returns its error.
func (w *world) ask() error {
	_, err := w.Decrypt(w.t.Context(), double.ARN, w.ciphertext, w.request().Document())
	return err
}

func TestSecretComesBackToTheEnclave(t *testing.T) {
	w := newWorld(t)
	public, err := w.PublicKey(t.Context(), double.ARN)
	if err != nil || !bytes.Equal(public, w.kms.PublicKey()) {
		t.Fatalf("got %x, %v", public, err)
	}
	for range 2 { // both forms of answers
		r := w.request()
		answer, err := w.Decrypt(t.Context(), double.ARN, w.ciphertext, r.Document())
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(answer, secret) {
			t.Error("the host sees the secret")
		}
		if got, err := r.Open(answer); err != nil || !bytes.Equal(got, secret) {
			t.Errorf("got %x, %v", got, err)
		}
		if _, err := w.request().Open(answer); err == nil {
			t.Error("the answer opens for another request")
		}
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	w := newWorld(t)
	wants := func(name string, err, kind error, says string) {
		t.Helper()
		if !errors.Is(err, kind) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want %v with %q", name, err, kind, says)
		}
	}
	if err := w.ask(); err != nil {
		t.Fatal(err)
	}
	_, err := w.Decrypt(t.Context(), double.ARN+"0", w.ciphertext, w.request().Document())
	wants("another key", err, kms.ErrNoSuchKey, "does not exist")
	_, err = w.Decrypt(t.Context(), strings.Replace(double.ARN, double.Region, "eu-west-1", 1), w.ciphertext, w.request().Document())
	wants("another region", err, kms.ErrNotAllowed, "region")
	_, err = w.Decrypt(t.Context(), double.ARN, w.ciphertext, []byte("document"))
	wants("no document", err, kms.ErrRefused, "ValidationException")
	_, err = w.Decrypt(t.Context(), double.ARN, w.ciphertext, enclavetest.NewKMSModule(t, manifest, nil).Request(t, manifest).Document())
	wants("document of another root", err, kms.ErrRefused, "root")
	_, err = w.Decrypt(t.Context(), double.ARN, w.ciphertext[1:], w.request().Document())
	wants("ciphertext cut", err, kms.ErrRefused, "InvalidCiphertextException")

	w.kms.Disable()
	wants("disabled", w.ask(), kms.ErrUnavailable, "is disabled")
	w.kms.ScheduleDeletion()
	wants("to be deleted", w.ask(), kms.ErrUnavailable, "pending deletion")
	w.kms.Enable()
	for _, status := range []int{http.StatusServiceUnavailable, http.StatusInternalServerError, http.StatusForbidden, http.StatusNotFound} {
		w.kms.Break(status)
		wants(http.StatusText(status), w.ask(), kms.ErrUnavailable, "")
	}
	w.kms.Break(http.StatusOK)
	wants("no answer in the answer", w.ask(), kms.ErrUnavailable, "")
	w.kms.Break(0)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = w.Decrypt(ended, double.ARN, w.ciphertext, nil)
	wants("cancelled", err, kms.ErrUnavailable, "canceled")
	wants("cancelled", err, context.Canceled, "")
	_, err = client(t, "http://127.0.0.1:1").Decrypt(t.Context(), double.ARN, w.ciphertext, nil)
	wants("nobody there", err, kms.ErrUnavailable, "refused")

	credentials(t, "AKIANOBODY")
	_, err = client(t, w.kms.URL).Decrypt(t.Context(), double.ARN, w.ciphertext, w.request().Document())
	wants("unknown caller", err, kms.ErrNotAllowed, "token")
}

func TestPlaintextIsRefused(t *testing.T) {
	credentials(t, double.AccessKeyID)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = io.WriteString(w, `{"Plaintext":"c2VjcmV0","CiphertextForRecipient":"AAAA"}`)
	}))
	defer web.Close()
	answer, err := client(t, web.URL).Decrypt(t.Context(), double.ARN, make([]byte, 256), []byte("document"))
	if answer != nil || !errors.Is(err, kms.ErrRefused) || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %x, %v", answer, err)
	}
}

func TestTriesAgain(t *testing.T) {
	w := newWorld(t)
	c, err := kms.New(t.Context(), kms.Options{Endpoint: w.kms.URL, Attempts: 2})
	if err != nil {
		t.Fatal(err)
	}
	w.kms.Break(http.StatusInternalServerError)
	if _, err := c.Decrypt(t.Context(), double.ARN, w.ciphertext, w.request().Document()); !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if n := w.kms.Requests(); n != 2 {
		t.Errorf("%d requests were made", n)
	}
}

func TestOldDocumentIsRefused(t *testing.T) {
	credentials(t, double.AccessKeyID)
	module := enclavetest.NewKMSModule(t, manifest, func() time.Time { return time.Now().Add(-6 * time.Minute) })
	server := double.New(t, double.Options{Trust: module.Trust, Policy: policy(t, local, manifest)})
	_, err := client(t, server.URL).Decrypt(t.Context(), double.ARN, make([]byte, 256), module.Request(t, manifest).Document())
	if !errors.Is(err, kms.ErrRefused) || !strings.Contains(err.Error(), "old") {
		t.Errorf("got %v", err)
	}
}

func TestKeysAreNamedByARN(t *testing.T) {
	c := client(t, "http://127.0.0.1:1")
	for _, name := range []string{
		"", "1234abcd-12ab-34cd-56ef-1234567890ab", "alias/root", "arn:aws:kms:eu-central-1:111122223333:alias/root",
		"arn:aws:kms::111122223333:key/1", "arn:aws:kms:eu-central-1:1111:key/1", "arn:aws:s3:eu-central-1:111122223333:key/1",
		"arn:aws:kms:eu-central-1:111122223333:key/", "arn:aws:kms:eu-central-1/x:111122223333:key/1", double.ARN + "/x",
	} {
		if _, err := c.Decrypt(t.Context(), name, nil, nil); err == nil || errors.Is(err, kms.ErrUnavailable) || !strings.Contains(err.Error(), "ARN") {
			t.Errorf("%q: got %v", name, err)
		}
		if _, err := c.PublicKey(t.Context(), name); err == nil || errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("%q: got %v", name, err)
		}
	}
}

// post makes a Decrypt request that the client would not make.
func (w *world) post(t *testing.T, accessKeyID, body string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.kms.URL+"/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "TrentService.Decrypt")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+accessKeyID+"/20260101/"+double.Region+"/kms/aws4_request, SignedHeaders=host")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
