package activity_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/enclave/wire"
)

func TestEverythingIsThereAfterARestart(t *testing.T) {
	w := story(t)
	kid := w.getKeys()[0].PrivateKeyID
	sign := w.body("ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2", map[string]string{
		"signWith": kid, "payload": "x", "encoding": "PAYLOAD_ENCODING_TEXT_UTF8", "hashFunction": "HASH_FUNCTION_SHA256",
	})
	export := w.exportBody(kid)
	for user := range 2 {
		w.send("/public/v1/submit/sign_raw_payload", sign, user)
		w.send(exportPath, export, user)
	}
	for range 3 {
		before, size := w.everything(), w.size()
		if status := w.enclave.Restart(t); status.Phase != wire.PhaseReady {
			t.Fatalf("enclave is %s: %s", status.Phase, status.Reason)
		}
		after := w.everything()
		for what, text := range before {
			if after[what] != text {
				t.Errorf("%s: %s, then %s", what, text, after[what])
			}
		}
		if w.size() != size {
			t.Error("a restart wrote to the journal")
		}
	}
	pending := w.list(map[string]any{"filterByStatus": []string{consensusNeeded}}, 0)
	if len(pending) != 1 {
		t.Fatalf("%d pending activities", len(pending))
	}
	w.is(w.approve(pending[0], 1), completed)
}

func TestStatusAnswersInEveryPhase(t *testing.T) {
	w := newWorld(t, 1, 1)
	get := func() *wire.Reply {
		return w.do(&wire.Request{API: wire.APISallyport, Path: "/sallyport/v1/status"})
	}
	if reply := get(); reply.Status != 200 || !bytes.Contains(reply.Body, []byte("Ready")) {
		t.Errorf("got %s", reply.Body)
	}
	w.host.Edit(hostFlip(0))
	w.enclave.Restart(t)
	if reply := get(); reply.Status != 200 || !bytes.Contains(reply.Body, []byte("Broken")) || !bytes.Contains(reply.Body, []byte("journal entry 0")) {
		t.Errorf("got %s", reply.Body)
	}
}

// A locked writer.
type notebook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (n *notebook) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.Write(p)
}

var _ io.Writer = (*notebook)(nil)

// forms are the ways in which a secret might be written down.
func forms(secret []byte) map[string][]byte {
	out := map[string][]byte{
		"raw": secret, "hex": []byte(hex.EncodeToString(secret)), "HEX": []byte(strings.ToUpper(hex.EncodeToString(secret))),
	}
	for i := range 3 { // base64 has three alignments; the ends depend on what stands beside
		shifted := append(make([]byte, i), secret...)
		shifted = shifted[:len(shifted)/3*3]
		out["base64 "+string(rune('0'+i))] = []byte(base64.StdEncoding.EncodeToString(shifted)[8:])
		out["base64url "+string(rune('0'+i))] = []byte(base64.URLEncoding.EncodeToString(shifted)[8:])
	}
	return out
}

func TestNoSecretLeavesTheEnclave(t *testing.T) {
	log := &notebook{}
	w := newWorldWith(t, 1, 1, func(_ *world, o *enclavetest.Options) { o.Log = log })
	secrets := map[string][]byte{"root": w.enclave.RootSecret()}
	var replies bytes.Buffer
	for _, curve := range []string{"CURVE_SECP256K1", "CURVE_P256", "CURVE_ED25519"} {
		kid := w.newPrivateKey(curve, curve)
		plain, _ := w.export(kid, bytes.Repeat([]byte{1}, 32))
		secrets[curve] = bytes.Clone(plain)
		hash := map[bool]string{true: "NOT_APPLICABLE", false: "SHA256"}[curve == "CURVE_ED25519"]
		w.sign(kid, "x", "TEXT_UTF8", hash)
	}
	w.refused(w.send(exportPath, w.body("ACTIVITY_TYPE_EXPORT_PRIVATE_KEY", map[string]string{
		"privateKeyId": w.getKeys()[0].PrivateKeyID, "targetPublicKey": hex.EncodeToString(secrets["CURVE_P256"]),
	}), 0), 400, 3)
	w.enclave.Restart(t)
	for _, text := range w.everything() {
		replies.WriteString(text)
	}
	w.host.Edit(hostFlip(0))
	w.enclave.Restart(t)
	status, err := w.enclave.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	replies.WriteString(status.Reason)

	places := map[string][]byte{"log": log.b.Bytes(), "replies": replies.Bytes(), "journal": bytes.Join(w.host.Records, nil)}
	var blobs bytes.Buffer
	for _, b := range w.host.Blobs {
		blobs.Write(b)
	}
	places["blobs"] = blobs.Bytes()
	for what, secret := range secrets {
		for form, bytesOf := range forms(secret) {
			for where, text := range places {
				if len(text) == 0 {
					t.Errorf("nothing in %s", where)
				}
				if bytes.Contains(text, bytesOf) {
					t.Errorf("%s stands in %s as %s", what, where, form)
				}
			}
		}
	}
}

func TestScannerFindsWhatItLooksFor(t *testing.T) {
	secret := bytes.Repeat([]byte{0xa5, 0x17, 0x33, 0xfe}, 8)
	for i := range 3 {
		text := []byte(base64.StdEncoding.EncodeToString(append(append(make([]byte, 30+i), secret...), 1, 2, 3, 4)))
		found := false
		for _, form := range forms(secret) {
			found = found || bytes.Contains(text, form)
		}
		if !found {
			t.Errorf("not found at alignment %d", i)
		}
	}
}
