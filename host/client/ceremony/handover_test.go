package ceremony_test

import (
	"context"
	"crypto"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/proof"
	"github.com/sallyport/sallyport/attestation/strictjson"
	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/client"
	"github.com/sallyport/sallyport/host/client/ceremony"
)

// beside boots another enclave on the same machine and store, under a manifest.
func (w *world) beside(signed *attestation.Signed) *world {
	w.Helper()
	o := *w
	o.signed = signed
	o.enclave = w.enclave.Beside(w, signed.Encode())
	o.serve()
	return &o
}

// successor is the next manifest, changed by a test and signed.
func (w *world) successor(change func(m *attestation.Manifest), by ...int) *attestation.Signed {
	w.Helper()
	m, err := attestation.ParseManifest(w.signed.Manifest)
	if err != nil {
		w.Fatal(err)
	}
	m.Version++
	if change != nil {
		change(m)
	}
	return w.sign(m, by...)
}

// customer founds an organization and makes keys in it.
func (w *world) customer(n int) (at func(url string) *client.Client, made []client.CreatedPrivateKey) {
	w.Helper()
	m, err := attestation.ParseManifest(w.signed.Manifest)
	if err != nil {
		w.Fatal(err)
	}
	key, err := client.NewAPIKey()
	if err != nil {
		w.Fatal(err)
	}
	config := client.Config{BaseURL: w.url, Trust: w.enclave.Trust, QuorumPublicKey: m.QuorumPublicKey, Key: key}
	c, err := client.New(config)
	if err != nil {
		w.Fatal(err)
	}
	body, err := c.NewFoundingBody("customer", []client.RootUser{{UserName: "root", APIKeys: []client.RootAPIKey{
		{APIKeyName: "first", PublicKey: key.PublicHex(), CurveType: client.CurveP256},
	}}}, 1)
	if err != nil {
		w.Fatal(err)
	}
	reply, err := c.CreateOrganization(w.Context(), body, key)
	if err != nil {
		w.Fatal(err)
	}
	config.OrganizationID = reply.OrganizationID
	at = func(url string) *client.Client {
		config.BaseURL = url
		c, err := client.New(config)
		if err != nil {
			w.Fatal(err)
		}
		return c
	}
	c = at(w.url)
	for len(made) < n {
		var some []client.NewPrivateKey
		for i := range min(50, n-len(made)) {
			some = append(some, client.NewPrivateKey{PrivateKeyName: fmt.Sprint("key ", len(made)+i), Curve: client.KeyCurveSecp256k1})
		}
		keys, err := c.CreatePrivateKeys(w.Context(), some...)
		if err != nil {
			w.Fatal(err)
		}
		made = append(made, keys...)
	}
	return at, made
}

func TestRootIsHandedToASuccessor(t *testing.T) {
	w := newWorld(t)
	w.found()
	w.give(0, 1, 2)
	w.phase(wire.PhaseReady)
	at, keys := w.customer(1000)
	next := w.beside(w.successor(func(m *attestation.Manifest) { m.Name = "vault, renewed" }, 0, 1))
	if err := ceremony.Handover(t.Context(), w.client(w.signed), next.client(next.signed), w.operators[1]); err != nil {
		t.Fatal(err)
	}
	if s := w.phase(wire.PhaseStale); !strings.Contains(s.Reason, "handed over") {
		t.Errorf("the old enclave is %s: %s", s.Phase, s.Reason)
	}
	next.phase(wire.PhaseReady)
	if _, err := at(w.url).ListPrivateKeys(t.Context()); err == nil {
		t.Error("the old enclave serves")
	}
	// All keys are there, and sign and leave, at the new one.
	c := at(next.url)
	for i, k := range keys {
		if _, err := c.SignRawPayload(t.Context(), client.SignRawPayloadParams{
			SignWith: k.PrivateKeyID, Payload: "x", Encoding: client.EncodingText, HashFunction: client.HashSHA256,
		}); err != nil {
			t.Fatalf("key %d: %v", i, err)
		}
		if i%50 == 0 {
			if _, err := c.ExportPrivateKey(t.Context(), k.PrivateKeyID, nil); err != nil {
				t.Fatalf("key %d: %v", i, err)
			}
		}
	}
	// The old manifest opens the journal no more, whoever gives the root.
	next.enclave.Stop()
	w.boot(w.signed)
	w.give(2, 3, 4)
	if s := w.enclave.Wait(t); s.Phase != wire.PhaseBroken || !strings.Contains(s.Reason, "no successor") {
		t.Errorf("under the old manifest the enclave is %s: %s", s.Phase, s.Reason)
	}
}

func TestRootIsHandedToTheSameManifest(t *testing.T) {
	w := newWorld(t)
	w.found()
	w.give(0, 1, 2)
	w.phase(wire.PhaseReady)
	next := w.beside(w.signed)
	if err := ceremony.Handover(t.Context(), w.client(w.signed), next.client(w.signed), w.operators[1]); err != nil {
		t.Fatal(err)
	}
	w.phase(wire.PhaseStale)
	next.phase(wire.PhaseReady)
}

// ask makes a call as a host does, and decodes what the enclave answers.
func ask(t *testing.T, e wire.Enclave, path string, nonce, body []byte) (map[string]json.RawMessage, error) {
	t.Helper()
	reply, err := e.Do(t.Context(), &wire.Request{API: wire.APISallyport, Path: "/sallyport/v1/ceremony/" + path, Nonce: nonce, Body: body})
	if err != nil {
		return nil, err
	}
	out := map[string]json.RawMessage{}
	if err := json.Unmarshal(reply.Body, &out); err != nil {
		t.Fatal(err)
	}
	return out, nil
}

// request is a lawful one for a handover to an enclave that awaits the root.
func (w *world) request(to *enclavetest.Enclave) map[string]json.RawMessage {
	w.Helper()
	given, err := ask(w.T, w.enclave, "nonce", nil, nil)
	if err != nil {
		w.Fatal(err)
	}
	nonce, _ := hex.DecodeString(strings.Trim(string(given["nonce"]), `"`))
	answer, err := ask(w.T, to, "receiver", nonce, nil)
	if err != nil {
		w.Fatal(err)
	}
	r := map[string]json.RawMessage{
		"nonce": given["nonce"], "proof": answer["proof"], "manifest": answer["manifest"], "freshAttestation": answer["freshAttestation"],
	}
	w.askFor(r, w.operators[2])
	return r
}

// askFor signs a request as an operator, for what stands in it.
func (w *world) askFor(r map[string]json.RawMessage, operator crypto.Signer) {
	w.Helper()
	var p proof.AppProof
	var manifest []byte
	var nonce strictjson.Hex
	if errors.Join(json.Unmarshal(r["proof"], &p), json.Unmarshal(r["manifest"], &manifest), json.Unmarshal(r["nonce"], &nonce)) != nil {
		w.Fatal("not a request")
	}
	statement, err := proof.ParseRootReceiverStatement([]byte(p.ProofPayload))
	if err != nil {
		w.Fatal(err)
	}
	signed, err := attestation.ParseSigned(manifest)
	if err != nil {
		w.Fatal(err)
	}
	sig, err := attestation.Handover{Nonce: nonce, ManifestHash: attestation.Hash(signed.Manifest), Receiver: statement.PublicKey}.Sign(operator)
	if err != nil {
		w.Fatal(err)
	}
	r["operator"], _ = json.Marshal(strictjson.Hex(sig.PublicKey))
	r["signature"], _ = json.Marshal(strictjson.Hex(sig.Signature))
}

func TestRootIsHandedToNobodyElse(t *testing.T) {
	w := newWorld(t)
	w.found()
	w.give(0, 1, 2)
	w.phase(wire.PhaseReady)
	next := w.beside(w.signed)
	other := newWorld(t)
	other.found()
	stranger := enclavetest.Unfounded(t, enclavetest.Options{Host: w.host}, w.signed.Encode()) // on another machine
	o := *w
	o.enclave = stranger
	o.phase(wire.PhaseAwaitingRoot)
	manifest := func(s *attestation.Signed) func(r map[string]json.RawMessage) {
		return func(r map[string]json.RawMessage) { r["manifest"], _ = json.Marshal(s.Encode()) }
	}
	good := w.request(next.enclave)
	other.give(0, 1, 2)
	other.phase(wire.PhaseReady)
	foreign, err := ask(t, other.enclave, "nonce", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(r map[string]json.RawMessage)
		want   string
	}{
		"signed by one":            {manifest(w.successor(nil, 0)), "MANIFEST_REFUSED"},
		"two versions ahead":       {manifest(w.successor(func(m *attestation.Manifest) { m.Version++ }, 0, 1)), "MANIFEST_REFUSED"},
		"another root's set":       {manifest(w.successor(func(m *attestation.Manifest) { m.Root.Set, m.Root.Sharing = 2, make([]byte, 32) }, 0, 1)), "MANIFEST_REFUSED"},
		"another appliance's":      {manifest(other.signed), "MANIFEST_REFUSED"},
		"a manifest it is not on":  {manifest(w.successor(nil, 0, 1)), "ATTESTATION_REFUSED"},
		"a nonce of nobody":        {func(r map[string]json.RawMessage) { r["nonce"] = json.RawMessage(`"` + strings.Repeat("00", 32) + `"`) }, "NONCE_UNKNOWN"},
		"another enclave's nonce":  {func(r map[string]json.RawMessage) { r["nonce"] = foreign["nonce"] }, "NONCE_UNKNOWN"},
		"by a stranger":            {func(r map[string]json.RawMessage) { w.askFor(r, other.operators[0]) }, "OPERATOR_REFUSED"},
		"asked for another nonce":  {func(r map[string]json.RawMessage) { r["signature"] = good["signature"] }, "OPERATOR_REFUSED"},
		"by nobody":                {func(r map[string]json.RawMessage) { delete(r, "operator") }, ""},
		"another machine":          {func(r map[string]json.RawMessage) { maps.Copy(r, w.request(stranger)) }, "ATTESTATION_REFUSED"},
		"another machine's proof":  {func(r map[string]json.RawMessage) { r["proof"] = w.request(stranger)["proof"] }, "ATTESTATION_REFUSED"},
		"another nonce's document": {func(r map[string]json.RawMessage) { r["freshAttestation"] = good["freshAttestation"] }, "ATTESTATION_REFUSED"},
		"no proof":                 {func(r map[string]json.RawMessage) { delete(r, "proof") }, ""},
	} {
		r := w.request(next.enclave)
		test.change(r)
		body, _ := json.Marshal(r)
		_, err := ask(t, w.enclave, "handover", nil, body)
		if e, ok := errors.AsType[*wire.Error](err); !ok || e.Reason != test.want {
			t.Errorf("%s: %v", name, err)
		}
		w.phase(wire.PhaseReady)
	}
	// A sealed root is for one boot, and is the root.
	sealed, err := ask(t, w.enclave, "handover", nil, func() []byte { b, _ := json.Marshal(w.request(next.enclave)); return b }())
	if err != nil {
		t.Fatal(err)
	}
	body, _ := json.Marshal(sealed)
	if _, err := ask(t, stranger, "root", nil, body); !errors.Is(err, &wire.Error{Code: wire.InvalidArgument, Reason: "SHARE_NOT_FOR_THIS_BOOT"}) {
		t.Errorf("the sealed root at another boot: %v", err)
	}
	if _, err := ask(t, next.enclave, "root", nil, body); err != nil {
		t.Error(err)
	}
	next.phase(wire.PhaseReady)
}

// TestPowerCutsAtEveryStepOfAHandover: whatever is lost, the holders bring back one
// enclave, with everything in it, and the old manifest ends where the new one is recorded.
func TestPowerCutsAtEveryStepOfAHandover(t *testing.T) {
	entries := func(w *world) (n int) {
		w.host.Edit(func(h *enclavetest.Host) { n = len(h.Records) })
		return n
	}
	// fail has the host go away at the n-th append from now, with its record or without.
	fail := func(w *world, n int, keep bool) {
		w.host.Edit(func(h *enclavetest.Host) {
			h.FailAppend = func(uint64, [][]byte) (bool, error) {
				if n--; n > 0 {
					return false, nil
				}
				return keep && n == 0, enclavetest.ErrLost
			}
		})
	}
	for name, test := range map[string]struct {
		append int // that fails; 0: none
		keep   bool
		cut    func(w, next *world) // after the handover
		under  string               // the manifest that opens the journal then
	}{
		"the last entry is not written":        {1, false, nil, "old"},
		"the last entry is written unanswered": {1, true, nil, "old"},
		"before the new manifest is recorded":  {2, false, nil, "old"},
		"when it is recorded unanswered":       {2, true, nil, "new"},
		"after it is recorded":                 {0, true, func(_, next *world) { next.phase(wire.PhaseReady) }, "new"},
	} {
		w := newWorld(t)
		w.found()
		w.give(0, 1, 2)
		w.phase(wire.PhaseReady)
		at, keys := w.customer(2)
		before := entries(w)
		next := w.beside(w.successor(nil, 0, 1))
		if test.append > 0 {
			fail(w, test.append, test.keep)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		_ = ceremony.Handover(ctx, w.client(w.signed), next.client(next.signed), w.operators[1]) // which may fail
		cancel()
		if test.cut != nil {
			test.cut(w, next)
		} else {
			waitFor(t, name, func() bool { return entries(w) >= before+kept(test.append, test.keep) })
		}
		next.enclave.Stop()
		w.host.Edit(func(h *enclavetest.Host) { h.FailAppend = nil })
		if test.under == "new" {
			w.signed = next.signed
		}
		w.boot(w.signed)
		w.give(2, 3, 4)
		w.phase(wire.PhaseReady)
		for _, k := range keys {
			if _, err := at(w.url).ExportPrivateKey(t.Context(), k.PrivateKeyID, nil); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// kept is how many entries a host has taken when it goes away at the n-th.
func kept(n int, keep bool) int {
	if keep {
		return n
	}
	return n - 1
}

func waitFor(t *testing.T, what string, good func() bool) {
	t.Helper()
	for range 10_000 {
		if good() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%s: it does not come", what)
}

// TestHandoverBringsTheJournalAlong: the host shows the next enclave the journal as it
// was before the last entries of the one that handed over.
func TestHandoverBringsTheJournalAlong(t *testing.T) {
	w := newWorld(t)
	w.found()
	w.give(0, 1, 2)
	w.phase(wire.PhaseReady)
	old := 0
	w.host.Edit(func(h *enclavetest.Host) { old = len(h.Records) })
	w.customer(1)
	next := w.beside(w.successor(nil, 0, 1))
	sealed, err := ask(t, w.enclave, "handover", nil, func() []byte { b, _ := json.Marshal(w.request(next.enclave)); return b }())
	if err != nil {
		t.Fatal(err)
	}
	w.phase(wire.PhaseStale)
	w.host.Edit(func(h *enclavetest.Host) { h.Records = h.Records[:old] })
	body, _ := json.Marshal(sealed)
	if _, err := ask(t, next.enclave, "root", nil, body); err != nil {
		t.Fatal(err)
	}
	if s := next.enclave.Wait(t); s.Phase != wire.PhaseBroken || !strings.Contains(s.Reason, "does not go on") {
		t.Errorf("on an older journal the next enclave is %s: %s", s.Phase, s.Reason)
	}
}

// TestHandoverIsCarriedToItsEnd: whoever asked hangs up while the last entry is written;
// the root has left then, and the same request is answered again.
func TestHandoverIsCarriedToItsEnd(t *testing.T) {
	w := newWorld(t)
	w.found()
	w.give(0, 1, 2)
	w.phase(wire.PhaseReady)
	next := w.beside(w.signed)
	body, _ := json.Marshal(w.request(next.enclave))
	ctx, hangUp := context.WithCancel(t.Context())
	w.host.Edit(func(h *enclavetest.Host) {
		h.FailAppend = func(uint64, [][]byte) (bool, error) {
			hangUp()
			return false, nil
		}
	})
	_, _ = w.enclave.Do(ctx, &wire.Request{API: wire.APISallyport, Path: "/sallyport/v1/ceremony/handover", Body: body})
	w.phase(wire.PhaseStale)
	sealed, err := ask(t, w.enclave, "handover", nil, body)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := json.Marshal(w.signed)
	if _, err := ask(t, w.enclave, "handover", nil, other); err == nil {
		t.Error("another request was answered")
	}
	reply, _ := json.Marshal(sealed)
	if _, err := ask(t, next.enclave, "root", nil, reply); err != nil {
		t.Error(err)
	}
	next.phase(wire.PhaseReady)
}
