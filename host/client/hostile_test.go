package client_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation/proof"
	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/client"
)

const whoamiPath = "/public/v1/query/whoami"

// refused wants a ProofError with a reason.
func refused(t *testing.T, err error, reason string) *client.ProofError {
	t.Helper()
	var e *client.ProofError
	if !errors.As(err, &e) || e.Reason != reason {
		t.Fatalf("got %v, want a reply refused for %s", err, reason)
	}
	return e
}

func TestReplyThatTheHostChangedIsRefused(t *testing.T) {
	w := newWorld(t, 1, 1)
	var old *httptest.ResponseRecorder // a reply to an earlier request
	for _, tt := range []struct {
		name, reason string
		change       func(reply *httptest.ResponseRecorder)
	}{
		{"body", client.ReasonInvalid, func(r *httptest.ResponseRecorder) {
			setBody(r, bytes.Replace(r.Body.Bytes(), []byte("root-1"), []byte("root-2"), 1))
		}},
		{"white space", client.ReasonInvalid, func(r *httptest.ResponseRecorder) { setBody(r, append(r.Body.Bytes(), '\n')) }},
		{"status made an error", client.ReasonInvalid, func(r *httptest.ResponseRecorder) { r.Code = 404 }},
		{"status made another success", client.ReasonInvalid, func(r *httptest.ResponseRecorder) { r.Code = 201 }},
		{"status made unavailable", client.ReasonInvalid, func(r *httptest.ResponseRecorder) { r.Code = 503 }},
		{"no proof", client.ReasonMissing, func(r *httptest.ResponseRecorder) { r.Header().Del(proof.ReplyHeader) }},
		{"two proofs", client.ReasonMissing, func(r *httptest.ResponseRecorder) {
			r.Header().Add(proof.ReplyHeader, r.Header().Get(proof.ReplyHeader))
		}},
		{"redirect", client.ReasonMissing, func(r *httptest.ResponseRecorder) {
			r.Header().Del(proof.ReplyHeader)
			r.Header().Set("Location", "/elsewhere")
			r.Code = http.StatusTemporaryRedirect
		}},
		{"cut short", client.ReasonInvalid, func(r *httptest.ResponseRecorder) { setBody(r, r.Body.Bytes()[:10]) }},
		{"as long as can be", client.ReasonInvalid, func(r *httptest.ResponseRecorder) { setBody(r, make([]byte, 32<<20)) }},
		{"longer", client.ReasonMissing, func(r *httptest.ResponseRecorder) { setBody(r, make([]byte, 32<<20+1)) }},
		{"nonsense for a proof", client.ReasonInvalid, func(r *httptest.ResponseRecorder) { r.Header().Set(proof.ReplyHeader, "AAAA") }},
		{"old proof", client.ReasonInvalid, func(r *httptest.ResponseRecorder) {
			r.Header().Set(proof.ReplyHeader, old.Header().Get(proof.ReplyHeader))
		}},
		{"old reply with its proof", client.ReasonInvalid, func(r *httptest.ResponseRecorder) {
			r.Header().Set(proof.ReplyHeader, old.Header().Get(proof.ReplyHeader))
			setBody(r, old.Body.Bytes())
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := w.as(0)
			w.host.tamper(nil, func(_ *http.Request, r *httptest.ResponseRecorder) {
				old = httptest.NewRecorder()
				old.Header().Set(proof.ReplyHeader, r.Header().Get(proof.ReplyHeader))
				setBody(old, bytes.Clone(r.Body.Bytes()))
			})
			if _, err := c.Whoami(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.host.tamper(nil, func(req *http.Request, r *httptest.ResponseRecorder) { tt.change(r) })
			_, err := c.Whoami(t.Context())
			refused(t, err, tt.reason)
			w.host.tamper(nil, nil)
			if _, err := c.Whoami(t.Context()); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func TestProofOfAnotherPathIsRefused(t *testing.T) {
	w := newWorld(t, 1, 1)
	c := w.as(0)
	if _, err := c.Whoami(t.Context()); err != nil {
		t.Fatal(err)
	}
	// A stamped query names no path: the enclave answers the other one.
	w.host.tamper(func(_ http.ResponseWriter, r *http.Request, _ *[]byte) bool {
		r.URL.Path = "/public/v1/query/list_users"
		return true
	}, nil)
	_, err := c.Whoami(t.Context())
	refused(t, err, client.ReasonInvalid)
}

func TestTargetKeySwappedInFlightIsRefused(t *testing.T) {
	w := newWorld(t, 1, 1)
	c := w.as(0)
	id := w.newPrivateKey(c, client.KeyCurveP256)
	mine, err := client.NewTargetKey()
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := client.NewTargetKey()
	if err != nil {
		t.Fatal(err)
	}
	swapped := 0
	w.host.tamper(func(_ http.ResponseWriter, _ *http.Request, body *[]byte) bool {
		if bytes.Contains(*body, []byte(mine.PublicHex())) {
			*body = bytes.ReplaceAll(*body, []byte(mine.PublicHex()), []byte(hosts.PublicHex()))
			swapped++
		}
		return true
	}, nil)
	_, err = c.ExportPrivateKey(t.Context(), id, mine)
	if refused(t, err, client.ReasonInvalid); swapped != 1 {
		t.Errorf("swapped %d times", swapped)
	}
	w.host.tamper(nil, nil)
	if k, err := c.GetPrivateKey(t.Context(), id); err != nil || k.Exported {
		t.Errorf("the key is %+v (%v), want it not exported", k, err)
	}
}

// impostor answers in the place of the enclave with a key of its own.
type impostor struct {
	key    *ecdsa.PrivateKey
	public []byte
	quorum []byte
	status []byte // what it shows as its status
}

func newImpostor(t *testing.T, quorum []byte, status *wire.Status) *impostor {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	boot, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signing, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(status)
	if err != nil {
		t.Fatal(err)
	}
	return &impostor{key: key, public: append(boot.PublicKey().Bytes(), signing...), quorum: quorum, status: body}
}

func (i *impostor) answer(w http.ResponseWriter, r *http.Request, body []byte) bool {
	reply := i.status
	if r.Method == http.MethodPost {
		reply = []byte(`{"organizationId":"lies"}`)
	}
	nonce, _ := hex.DecodeString(r.Header.Get(proof.NonceHeader))
	header, err := proof.Reply{
		QuorumPublicKey: i.quorum, Path: r.URL.Path, Status: 200, RequestHash: sha256.Sum256(body),
		ReplyHash: sha256.Sum256(reply), Nonce: nonce, TimeMs: time.Now().UnixMilli(), JournalSize: 1000,
	}.Sign(i.key, i.public)
	if err != nil {
		panic(err)
	}
	w.Header().Set(proof.ReplyHeader, header)
	_, _ = w.Write(reply)
	return false
}

func TestImpostorIsRefusedBeforeAnythingIsStamped(t *testing.T) {
	w, other := newWorld(t, 1, 1), newWorld(t, 1, 1)
	mine, err := w.enclave.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := other.enclave.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mixed := *theirs
	mixed.Manifest = mine.Manifest
	for _, tt := range []struct {
		name, reason string
		status       *wire.Status
	}{
		{"with the enclave's document", client.ReasonUnknownBoot, mine},
		{"with another enclave's document and manifest", client.ReasonManifest, theirs},
		{"with another enclave's document", client.ReasonAttestation, &mixed},
		{"with no document", client.ReasonAttestation, &wire.Status{Phase: "Ready", Manifest: mine.Manifest}},
		{"with nothing", client.ReasonManifest, &wire.Status{Phase: "Ready"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			liar := newImpostor(t, w.quorum, tt.status)
			before := w.host.count(whoamiPath)
			w.host.tamper(func(rw http.ResponseWriter, r *http.Request, body *[]byte) bool { return liar.answer(rw, r, *body) }, nil)
			_, err := w.as(0).Whoami(t.Context())
			refused(t, err, tt.reason)
			if w.host.count(whoamiPath) != before {
				t.Error("a stamped request was sent to an enclave that had not been verified")
			}
		})
	}
}

func TestSignerThatIsNotTheAttestedEnclaveIsRefused(t *testing.T) {
	w := newWorld(t, 1, 1)
	c := w.as(0)
	if _, err := c.Whoami(t.Context()); err != nil {
		t.Fatal(err)
	}
	liar := newImpostor(t, w.quorum, &wire.Status{})
	asked := w.host.count("/sallyport/v1/status")
	w.host.tamper(func(rw http.ResponseWriter, r *http.Request, body *[]byte) bool {
		return r.Method == http.MethodGet || liar.answer(rw, r, *body)
	}, nil)
	_, err := c.Whoami(t.Context())
	refused(t, err, client.ReasonUnknownBoot)
	if n := w.host.count("/sallyport/v1/status") - asked; n != 1 {
		t.Errorf("the status was asked for %d times, want once", n)
	}
}

func TestOtherApplianceIsRefused(t *testing.T) {
	w, other := newWorld(t, 1, 1), newWorld(t, 1, 1)
	_, err := w.client(client.Config{BaseURL: other.server.URL, OrganizationID: w.org, Key: w.keys[0]}).Whoami(t.Context())
	refused(t, err, client.ReasonInvalid) // it cannot even name our quorum key
	_, err = w.client(client.Config{Trust: other.enclave.Trust}).Status(t.Context())
	refused(t, err, client.ReasonAttestation)
}

func TestBundleOfAnotherOrganizationIsRefused(t *testing.T) {
	w := newWorld(t, 1, 1)
	c := w.as(0)
	target, err := client.NewTargetKey()
	if err != nil {
		t.Fatal(err)
	}
	e, err := c.ExportPrivateKey(t.Context(), w.newPrivateKey(c, client.KeyCurveP256), target)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := w.client(client.Config{OrganizationID: "11111111-1111-8111-8111-111111111111", Key: w.keys[0]})
	hosts, err := client.NewTargetKey()
	if err != nil {
		t.Fatal(err)
	}
	fingerprint := e.Verified.Statement.ActivityFingerprint
	for _, tt := range []struct {
		name, want  string
		c           *client.Client
		fingerprint string
		key         client.PrivateKey
		target      *client.TargetKey
	}{
		{"organization", "bundle: organization", elsewhere, fingerprint, e.Key, target},
		{"activity", "bundle: fingerprint", c, client.Fingerprint([]byte("{}")), e.Key, target},
		{"key", "bundle: key", c, fingerprint, client.PrivateKey{PrivateKeyID: "another"}, target},
		{"target key", "bundle: target_key", c, fingerprint, e.Key, hosts},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opened, err := client.OpenUnproven(tt.c, tt.fingerprint, &tt.key, tt.target, e.Bundle)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || opened != nil {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}
