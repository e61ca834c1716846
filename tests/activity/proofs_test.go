package activity_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/bundle"
	"github.com/sallyport/sallyport/attestation/proof"
	"github.com/sallyport/sallyport/enclave/wire"
)

// proven sends a request with a nonce and verifies the proof of the reply
// against the boot document.
func (w *world) proven(req *wire.Request) *wire.Reply {
	w.Helper()
	req.Nonce = make([]byte, 32)
	rand.Read(req.Nonce)
	reply := w.do(req)
	want := proof.Reply{
		QuorumPublicKey: w.quorumKey(), Path: req.Path, Status: reply.Status, RequestHash: sha256.Sum256(req.Body),
		ReplyHash: sha256.Sum256(reply.Body), Nonce: req.Nonce,
	}
	got, public, err := proof.VerifyReply(reply.Proof, want)
	if err != nil {
		w.Fatalf("%s %d: %v", req.Path, reply.Status, err)
	}
	status, err := w.enclave.Status(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	doc, err := attestation.VerifyArchived(status.AttestationDocument, w.enclave.Trust, attestation.Expect{
		Kind: attestation.KindBoot, ManifestHash: attestation.Hash(w.enclave.Manifest),
	})
	if err != nil {
		w.Fatal(err)
	}
	if !bytes.Equal(doc.PublicKey, public) {
		w.Error("the proof is by another key than the boot document attests")
	}
	if got.TimeMs != w.now.UnixMilli() || got.JournalSize != uint64(w.size()) || hex.EncodeToString(got.JournalHead[:]) != status.JournalHead {
		w.Errorf("the proof says %+v, the journal has %d entries", got, w.size())
	}
	for _, change := range []func(*proof.Reply){
		func(r *proof.Reply) { r.Status++ },
		func(r *proof.Reply) { r.Path += "x" },
		func(r *proof.Reply) { r.RequestHash[0]++ },
		func(r *proof.Reply) { r.ReplyHash[31]++ },
		func(r *proof.Reply) { r.Nonce = bytes.Repeat([]byte{1}, 32) },
	} {
		other := want
		change(&other)
		if _, _, err := proof.VerifyReply(reply.Proof, other); err == nil {
			w.Error("the proof holds for another reply")
		}
	}
	return reply
}

func TestEveryReplyIsProven(t *testing.T) {
	w := newWorld(t, 1, 1)
	u := w.addUser("outsider", 1)
	body := w.body(createKeysType, keyParams("k"))
	for _, c := range []struct {
		req    *wire.Request
		status int
	}{
		{w.stamped(createKeysPath, body, w.keys[0]), 200},
		{w.stamped(createKeysPath, body, w.keys[0]), 200},
		{w.stamped(whoamiPath, w.whoami(), w.keys[0]), 200},
		{w.stamped("/public/v1/query/list_activities", w.whoami(), w.keys[0]), 200},
		{w.stamped(createKeysPath, []byte("x"), w.keys[0]), 400},
		{&wire.Request{API: wire.APIActivity, Path: whoamiPath, Body: w.whoami()}, 401},
		{w.stamped(whoamiPath, w.whoami(), w.newKey()), 401},
		{w.stamped(createKeysPath, w.body(createKeysType, keyParams("k2")), w.keys[u]), 403},
		{w.stamped("/public/v1/query/nothing", w.whoami(), w.keys[0]), 404},
		{&wire.Request{API: wire.APISallyport, Path: organizationsPath, Body: []byte("{}")}, 400},
		{&wire.Request{API: wire.APISallyport, Path: "/sallyport/v1/status"}, 200},
	} {
		if reply := w.proven(c.req); reply.Status != c.status {
			t.Errorf("%s: %d, want %d: %s", c.req.Path, reply.Status, c.status, reply.Body)
		}
	}
	w.enclave.Restart(t)
	w.proven(w.stamped(createKeysPath, body, w.keys[0]))
}

func TestReplyWithoutANonceHasNoProof(t *testing.T) {
	w := newWorld(t, 1, 1)
	if reply := w.send(whoamiPath, w.whoami(), 0); reply.Proof != "" {
		t.Error("proof of", reply.Proof)
	}
}

func TestNonceOfAWrongLengthIsRefusedBeforeAnythingIsRecorded(t *testing.T) {
	w := newWorld(t, 1, 1)
	for _, n := range []int{1, 15, 65, 1000} {
		req := w.stamped(createKeysPath, w.body(createKeysType, keyParams("k")), w.keys[0])
		req.Nonce = make([]byte, n)
		w.adds(0, func() {
			_, err := w.enclave.Do(t.Context(), req)
			if e, ok := err.(*wire.Error); !ok || e.Code != wire.InvalidArgument {
				t.Errorf("%d bytes: %v", n, err)
			}
		})
	}
}

// exportBody is the body of an export to a new target key.
func (w *world) exportBody(kid string) []byte {
	w.Helper()
	target, err := bundle.NewTarget(rand.Reader)
	if err != nil {
		w.Fatal(err)
	}
	return w.body("ACTIVITY_TYPE_EXPORT_PRIVATE_KEY", map[string]string{
		"privateKeyId": kid, "targetPublicKey": hex.EncodeToString(target.PublicKey().Bytes()),
	})
}

const exportPath = "/public/v1/submit/export_private_key"

func (w *world) bundleOf(reply *wire.Reply) map[string]json.RawMessage {
	w.Helper()
	var r struct{ ExportBundle string }
	if err := json.Unmarshal(w.activity(reply).Result["exportPrivateKeyResult"], &r); err != nil {
		w.Fatal(err)
	}
	var outer map[string]json.RawMessage
	if err := json.Unmarshal([]byte(r.ExportBundle), &outer); err != nil {
		w.Fatal(err)
	}
	return outer
}

func TestWaitingNoncesShareAnAttestation(t *testing.T) {
	w := newWorld(t, 1, 1)
	kid := w.newPrivateKey("k", "CURVE_P256")
	body := w.exportBody(kid)
	reply := w.send(exportPath, body, 0)
	if _, fresh := w.bundleOf(reply)["freshAttestation"]; fresh {
		t.Error("a fresh attestation that nobody asked for")
	}
	const many = 40
	documents := map[string]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range many {
		req := w.stamped(exportPath, body, w.keys[0])
		req.Nonce = bytes.Repeat([]byte{byte(i)}, 16+i%3)
		wg.Go(func() {
			reply, err := w.enclave.Do(context.Background(), req)
			if err != nil {
				t.Error(err)
				return
			}
			var fresh attestation.FreshAttestation
			if err := json.Unmarshal(w.bundleOf(reply)["freshAttestation"], &fresh); err != nil {
				t.Error(err)
				return
			}
			if _, err := attestation.VerifyChallenge(fresh, w.enclave.Trust, attestation.Expect{
				Kind: attestation.KindChallenge, ManifestHash: attestation.Hash(w.enclave.Manifest),
			}, req.Nonce, w.now); err != nil {
				t.Error(err)
			}
			if _, err := attestation.VerifyChallenge(fresh, w.enclave.Trust, attestation.Expect{
				Kind: attestation.KindChallenge, ManifestHash: attestation.Hash(w.enclave.Manifest),
			}, append(bytes.Clone(req.Nonce), 0), w.now); err == nil {
				t.Error("verifies for another nonce")
			}
			mu.Lock()
			documents[string(fresh.Document)]++
			mu.Unlock()
		})
	}
	wg.Wait()
	if len(documents) == many {
		t.Errorf("%d documents for %d nonces: none was shared", len(documents), many)
	}
}

// A bundle of an earlier boot stays as it was; nothing can attest its key any more.
func TestBundleOfAnEarlierBootIsNotAttestedAfresh(t *testing.T) {
	w := newWorld(t, 1, 1)
	kid := w.newPrivateKey("k", "CURVE_P256")
	body := w.exportBody(kid)
	first := w.bundleOf(w.send(exportPath, body, 0))
	w.enclave.Restart(t)
	req := w.stamped(exportPath, body, w.keys[0])
	req.Nonce = make([]byte, 32)
	again := w.bundleOf(w.do(req))
	if _, fresh := again["freshAttestation"]; fresh {
		t.Error("attested by another boot than made it")
	}
	for name, v := range first {
		if string(v) != string(again[name]) {
			t.Errorf("%s has changed over the restart", name)
		}
	}
}

func TestBundleNamesItsPlaceInTheJournal(t *testing.T) {
	w := newWorld(t, 1, 1)
	kid := w.newPrivateKey("k", "CURVE_P256")
	body := w.exportBody(kid)
	index := w.size()
	var p struct{ ProofPayload string }
	if err := json.Unmarshal(w.bundleOf(w.send(exportPath, body, 0))["attestationProof"], &p); err != nil {
		t.Fatal(err)
	}
	statement, err := proof.ParseExportStatement([]byte(p.ProofPayload))
	if err != nil {
		t.Fatal(err)
	}
	if statement.JournalIndex != uint64(index) || statement.ActivityFingerprint != fingerprintHex(body) || statement.PrivateKeyID != kid ||
		statement.OrganizationID != w.org || statement.TimestampMs != w.now.UnixMilli() {
		t.Errorf("statement %+v", statement)
	}
}

func TestTargetKeyInTheBodyIsTheOneInTheBundle(t *testing.T) {
	w := newWorld(t, 1, 1)
	kid := w.newPrivateKey("k", "CURVE_P256")
	body := w.exportBody(kid)
	other := w.exportBody(kid)
	i := bytes.Index(body, []byte("targetPublicKey"))
	swapped := append(append([]byte{}, body[:i]...), other[i:]...)
	req := w.stamped(exportPath, body, w.keys[0])
	req.Body = swapped
	w.unauthenticated(req, "SIGNATURE_INVALID")
	reply := w.send(exportPath, body, 0)
	if strings.Contains(string(reply.Body), string(other[i+18:i+140])) {
		t.Error("the other target key is in the bundle")
	}
}
