package activity_test

import (
	"bytes"
	"fmt"
	"maps"
	"testing"

	"github.com/sallyport/sallyport/enclave/enclavetest"
)

func TestSameBodyIsTheSameActivity(t *testing.T) {
	w := newWorld(t, 1, 1)
	body := w.body(createKeysType, keyParams("k"))
	first := w.send(createKeysPath, body, 0)
	blobs := maps.Clone(w.host.Blobs)
	w.adds(0, func() {
		for range 3 { // each with a new signature
			if again := w.send(createKeysPath, body, 0); !bytes.Equal(again.Body, first.Body) {
				t.Errorf("another answer: %s", again.Body)
			}
		}
	})
	if len(w.host.Blobs) != len(blobs) || w.countKeys() != 1 {
		t.Error("something was made twice")
	}
}

func TestExportIsMadeOnce(t *testing.T) {
	w := newWorld(t, 1, 1)
	body := w.exportBody(w.newPrivateKey("k", "CURVE_SECP256K1"))
	first := w.send(exportPath, body, 0)
	w.adds(0, func() {
		if again := w.send(exportPath, body, 0); !bytes.Equal(again.Body, first.Body) {
			t.Error("a repeated export is another bundle")
		}
	})
}

func TestAnotherTimestampIsAnotherActivity(t *testing.T) {
	w := newWorld(t, 1, 1)
	kid := w.newPrivateKey("k", "CURVE_ED25519")
	w.adds(2, func() {
		first := w.sign(kid, "x", "TEXT_UTF8", "NOT_APPLICABLE")
		if again := w.sign(kid, "x", "TEXT_UTF8", "NOT_APPLICABLE"); again != first {
			t.Error("Ed25519 signatures differ")
		}
	})
}

// Nobody sees what a vote led to before the journal holds it, the voter not
// and nobody else.
func TestNothingIsReleasedBeforeItIsRecorded(t *testing.T) {
	w := newWorld(t, 1, 1)
	kid := w.newPrivateKey("k", "CURVE_ED25519")
	stuck := make(chan struct{})
	w.host.Edit(func(h *enclavetest.Host) {
		h.FailAppend = func(uint64, [][]byte) (bool, error) {
			select {
			case <-stuck:
				return true, nil
			default:
				return false, enclavetest.ErrLost
			}
		}
	})
	body := w.body("ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2", map[string]string{
		"signWith": kid, "payload": "x", "encoding": "PAYLOAD_ENCODING_TEXT_UTF8", "hashFunction": "HASH_FUNCTION_NOT_APPLICABLE",
	})
	for _, req := range []struct {
		path string
		body []byte
	}{
		{"/public/v1/submit/sign_raw_payload", body},
		{"/public/v1/submit/sign_raw_payload", body},
		{"/public/v1/query/list_activities", w.whoami()},
		{"/public/v1/query/list_private_keys", w.whoami()},
	} {
		reply := w.within(w.stamped(req.path, req.body, w.keys[0]))
		if reply != nil && (reply.Status != 503 || bytes.Contains(reply.Body, []byte("Result"))) {
			t.Errorf("%s: %d %s", req.path, reply.Status, reply.Body)
		}
	}
	close(stuck)
	w.is(w.activity(w.send("/public/v1/submit/sign_raw_payload", body, 0)), completed)
}

func TestUnavailableStoreLeavesNothingBehind(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.host.Edit(func(h *enclavetest.Host) { h.FailBlobs = func() error { return fmt.Errorf("disk full") } })
	body := w.body(createKeysType, keyParams("k"))
	w.adds(0, func() { w.refused(w.send(createKeysPath, body, 0), 503, 14) })
	w.host.Edit(func(h *enclavetest.Host) { h.FailBlobs = nil })
	w.adds(1, func() { w.is(w.activity(w.send(createKeysPath, body, 0)), completed) })
	kid := w.getKeys()[0].PrivateKeyID
	w.enclave.Restart(t)
	w.host.Edit(func(h *enclavetest.Host) { h.FailBlobs = func() error { return fmt.Errorf("timeout") } })
	w.adds(0, func() { w.refused(w.signing(kid), 503, 14) })
	w.host.Edit(func(h *enclavetest.Host) { h.FailBlobs = nil })
	w.is(w.activity(w.signing(kid)), completed)
}
