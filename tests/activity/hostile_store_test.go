package activity_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/enclave/wire"
)

// hostFlip changes a byte in the middle of a record.
func hostFlip(index int) func(*enclavetest.Host) {
	return func(h *enclavetest.Host) { h.Records[index][len(h.Records[index])/2] ^= 1 }
}

// story puts some of everything into the journal.
func story(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, 2, 2)
	u := w.addUser("outsider", 2)
	a, body := w.propose("k", 0)
	w.approve(a, 1)
	w.send(createKeysPath, body, u)
	b, _ := w.propose("k2", 1)
	w.reject(b, 0)
	w.refused(w.send(createKeysPath, w.body(createKeysType, keyParams("denied")), u), 403, 7)
	w.propose("pending", 0)
	return w
}

// breaks boots the enclave on changed records and wants it Broken for a
// reason that names the entry.
func (w *world) breaks(name string, index int, records [][]byte) {
	w.Helper()
	var honest [][]byte
	w.enclave.Stop()
	w.host.Edit(func(h *enclavetest.Host) { honest, h.Records = h.Records, records })
	status := w.enclave.Restart(w)
	if status.Phase != wire.PhaseBroken || !strings.Contains(status.Reason, fmt.Sprintf("journal entry %d:", index)) {
		w.Errorf("%s: enclave is %s: %s", name, status.Phase, status.Reason)
	}
	_, err := w.enclave.Do(w.Context(), w.stamped(whoamiPath, w.whoami(), w.keys[0]))
	if e, ok := err.(*wire.Error); !ok || e.Code != wire.Unavailable {
		w.Errorf("%s: a broken enclave answers %v", name, err)
	}
	w.host.Edit(func(h *enclavetest.Host) {
		if len(h.Records) != len(records) {
			w.Errorf("%s: a broken enclave wrote to the journal", name)
		}
		h.Records = honest
	})
}

func changed(records [][]byte, index int, change func([]byte) []byte) [][]byte {
	out := slices.Clone(records)
	out[index] = change(bytes.Clone(records[index]))
	return out
}

func TestChangedRecordBreaksTheEnclave(t *testing.T) {
	w := story(t)
	records := w.host.Records
	for i, record := range records {
		n := len(record)
		for _, at := range []int{0, 3, 4, 5, 6, 7, 20, n / 4, n / 3, n / 2, n - 17, n - 16, n - 1} {
			w.breaks(fmt.Sprintf("record %d, byte %d", i, at), i, changed(records, i, func(b []byte) []byte { b[at] ^= 0x40; return b }))
		}
	}
	if w.enclave.Restart(t).Phase != wire.PhaseReady {
		t.Error("the honest journal does not open any more")
	}
}

func TestRecordOfAnotherLengthBreaksTheEnclave(t *testing.T) {
	w := story(t)
	records := w.host.Records
	for _, i := range []int{0, 1, len(records) - 1} {
		for name, change := range map[string]func([]byte) []byte{
			"empty":        func([]byte) []byte { return []byte{} },
			"one byte":     func(b []byte) []byte { return b[:1] },
			"cut short":    func(b []byte) []byte { return b[:len(b)-1] },
			"half":         func(b []byte) []byte { return b[:len(b)/2] },
			"one byte on":  func(b []byte) []byte { return append(b, 0) },
			"twice":        func(b []byte) []byte { return append(b, b...) },
			"zeros":        func(b []byte) []byte { clear(b); return b },
			"half a mebi":  func([]byte) []byte { return make([]byte, 1<<19) },
			"header alone": func(b []byte) []byte { return b[:64] },
		} {
			w.breaks(name, i, changed(records, i, change))
		}
	}
}

func TestMovedRecordBreaksTheEnclave(t *testing.T) {
	w := story(t)
	r := w.host.Records
	last := len(r) - 1
	for i := range r {
		if i != last { // without the last one it is an older journal: only witnesses notice
			w.breaks("removed", i, slices.Delete(slices.Clone(r), i, i+1))
		}
		w.breaks("duplicated", i+1, slices.Insert(slices.Clone(r), i, r[i]))
	}
	for i := range last {
		swapped := slices.Clone(r)
		swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
		w.breaks("swapped", i, swapped)
	}
	reversed := slices.Clone(r)
	slices.Reverse(reversed)
	w.breaks("reversed", 0, reversed)
	w.breaks("again from the start", len(r), append(slices.Clone(r), r...))
}

func TestRecordOfAnotherApplianceBreaksTheEnclave(t *testing.T) {
	w, other := story(t), story(t)
	for i := range w.host.Records {
		w.breaks("spliced", i, changed(w.host.Records, i, func([]byte) []byte { return other.host.Records[i] }))
	}
	w.breaks("the whole journal", 0, other.host.Records)
}

// Two continuations of one journal do not mix.
func TestRecordOfAForkBreaksTheEnclave(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.newPrivateKey("common", "CURVE_P256")
	common := slices.Clone(w.host.Records)
	w.newPrivateKey("a1", "CURVE_P256")
	w.newPrivateKey("a2", "CURVE_P256")
	first := slices.Clone(w.host.Records)
	w.enclave.Stop()
	w.host.Edit(func(h *enclavetest.Host) { h.Records = slices.Clone(common) })
	if w.enclave.Restart(t).Phase != wire.PhaseReady {
		t.Fatal("not ready on an older journal")
	}
	w.newPrivateKey("b1", "CURVE_P256")
	w.newPrivateKey("b2", "CURVE_P256")
	mixed := append(slices.Clone(w.host.Records[:len(common)+1]), first[len(common)+1:]...)
	w.breaks("second of the other branch", len(common)+1, mixed)
}

func TestEmptyJournalOpensOnlyInGenesis(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.host.Edit(func(h *enclavetest.Host) { h.Records = nil })
	status := w.enclave.Restart(t)
	if status.Phase != wire.PhaseBroken || !strings.Contains(status.Reason, "empty") {
		t.Errorf("enclave is %s: %s", status.Phase, status.Reason)
	}
	if w.size() != 0 {
		t.Error("something was written")
	}
}

func TestOtherRootIsRefused(t *testing.T) {
	w := newWorld(t, 1, 1)
	secret := w.enclave.RootSecret()
	other := bytes.Clone(secret)
	other[31] ^= 1
	w.enclave.SetRootSecret(other)
	if status := w.enclave.Restart(t); status.Phase != wire.PhaseBroken || !strings.Contains(status.Reason, "journal entry 0:") {
		t.Errorf("enclave is %s: %s", status.Phase, status.Reason)
	}
	w.enclave.SetRootSecret(secret)
	if status := w.enclave.Restart(t); status.Phase != wire.PhaseReady {
		t.Errorf("enclave is %s: %s", status.Phase, status.Reason)
	}
}

func TestOtherManifestIsRefused(t *testing.T) {
	w, other := newWorld(t, 1, 1), newWorld(t, 1, 1)
	honest := w.enclave.Manifest
	manifest := func(change func(*attestation.Manifest)) []byte {
		m, err := attestation.ParseManifest(honest)
		if err != nil {
			t.Fatal(err)
		}
		change(m)
		return m.Encode()
	}
	for name, m := range map[string][]byte{
		"another appliance's": other.enclave.Manifest,
		"another name":        manifest(func(m *attestation.Manifest) { m.Name = "other" }),
		"closed":              manifest(func(m *attestation.Manifest) { m.Flags.OpenOrganizations = false }),
		"version skipped":     manifest(func(m *attestation.Manifest) { m.Version = 3 }),
		"later epoch":         manifest(func(m *attestation.Manifest) { m.Epoch++ }),
		"genesis":             manifest(func(m *attestation.Manifest) { m.Version = 0 }),
		"other quorum key":    bytes.Replace(honest, []byte(fmt.Sprintf("%x", w.quorumKey())), []byte(fmt.Sprintf("%x", other.quorumKey())), 1),
		"with a space":        append(bytes.Clone(honest), ' '),
		"empty":               {},
	} {
		w.enclave.Manifest = m
		if status := w.enclave.Restart(t); status.Phase != wire.PhaseBroken {
			t.Errorf("%s: enclave is %s: %s", name, status.Phase, status.Reason)
		}
	}
	w.enclave.Manifest = honest
	if status := w.enclave.Restart(t); status.Phase != wire.PhaseReady {
		t.Errorf("enclave is %s: %s", status.Phase, status.Reason)
	}
}

func TestSuccessorIsRecordedAndNotLeftAgain(t *testing.T) {
	w := newWorld(t, 1, 1)
	before := w.enclave.Manifest
	m, err := attestation.ParseManifest(before)
	if err != nil {
		t.Fatal(err)
	}
	m.Version, m.Name = 2, "renamed"
	w.enclave.Manifest = m.Encode()
	for range 2 { // at the change, and after it
		if status := w.enclave.Restart(t); status.Phase != wire.PhaseReady {
			t.Fatalf("enclave is %s: %s", status.Phase, status.Reason)
		}
	}
	w.enclave.Manifest = before
	if status := w.enclave.Restart(t); status.Phase != wire.PhaseBroken {
		t.Errorf("the manifest before: enclave is %s: %s", status.Phase, status.Reason)
	}
}

// blobsOf returns the names of the blobs that f makes.
func (w *world) blobsOf(f func()) (names [][32]byte) {
	before := maps.Clone(w.host.Blobs)
	f()
	for name := range w.host.Blobs {
		if _, old := before[name]; !old {
			names = append(names, name)
		}
	}
	return names
}

func (w *world) signing(kid string) *wire.Reply {
	return w.send("/public/v1/submit/sign_raw_payload", w.body("ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2", map[string]string{
		"signWith": kid, "payload": "x", "encoding": "PAYLOAD_ENCODING_TEXT_UTF8", "hashFunction": "HASH_FUNCTION_SHA256",
	}), 0)
}

func TestSwappedOrDamagedSharesSignNothing(t *testing.T) {
	w := newWorld(t, 1, 1)
	var a string
	mine := w.blobsOf(func() { a = w.newPrivateKey("a", "CURVE_SECP256K1") })
	sibling := w.blobsOf(func() { w.newPrivateKey("b", "CURVE_SECP256K1") })
	var foreign [][32]byte
	org, users, keys := w.org, w.users, w.keys
	w.org, w.users, w.keys = w.found("other", 1, 1)
	foreign = w.blobsOf(func() { w.newPrivateKey("a", "CURVE_SECP256K1") })
	w.org, w.users, w.keys = org, users, keys
	honest := maps.Clone(w.host.Blobs)
	if len(mine) != 3 || len(sibling) != 3 || len(foreign) != 3 {
		t.Fatal("not three shares")
	}
	w.enclave.Stop()
	for name, change := range map[string]func(i int) []byte{
		"of another key":          func(i int) []byte { return honest[sibling[i]] },
		"of another organization": func(i int) []byte { return honest[foreign[i]] },
		"of each other":           func(i int) []byte { return honest[mine[(i+1)%3]] },
		"flipped":                 func(i int) []byte { b := bytes.Clone(honest[mine[i]]); b[len(b)-1] ^= 1; return b },
		"empty":                   func(int) []byte { return nil },
		"cut short":               func(i int) []byte { return honest[mine[i]][:40] },
	} {
		w.host.Edit(func(h *enclavetest.Host) {
			h.Blobs = maps.Clone(honest)
			for i := range mine {
				h.Blobs[mine[i]] = change(i)
			}
		})
		w.enclave.Restart(t)
		x := w.activity(w.signing(a))
		if x.Status != failed || x.Failure == nil || strings.Contains(x.Failure.Message, "cipher") {
			t.Errorf("shares %s: %+v", name, x)
		}
	}
	w.host.Edit(func(h *enclavetest.Host) { h.Blobs = honest })
	w.enclave.Restart(t)
	w.is(w.activity(w.signing(a)), completed)
}

func TestDamagedIdentityBreaksTheEnclave(t *testing.T) {
	host := enclavetest.NewHost()
	w := &world{T: t, host: host, now: time.Now()}
	w.enclave = enclavetest.New(t, enclavetest.Options{Host: host})
	var name [32]byte
	for n := range host.Blobs {
		name = n
	}
	honest := host.Blobs[name]
	w.enclave.Stop()
	for what, blob := range map[string][]byte{"flipped": append(bytes.Clone(honest[:len(honest)-1]), honest[len(honest)-1]^1), "empty": {}, "missing": nil} {
		host.Edit(func(h *enclavetest.Host) {
			h.Blobs = map[[32]byte][]byte{name: blob}
			if blob == nil {
				delete(h.Blobs, name)
			}
		})
		if status := w.enclave.Restart(t); status.Phase != wire.PhaseBroken || !strings.Contains(status.Reason, "identity") {
			t.Errorf("%s: enclave is %s: %s", what, status.Phase, status.Reason)
		}
	}
	host.Edit(func(h *enclavetest.Host) { h.Blobs[name] = honest })
	if status := w.enclave.Restart(t); status.Phase != wire.PhaseReady {
		t.Errorf("enclave is %s: %s", status.Phase, status.Reason)
	}
}

// A host that fails for a while and is asked again makes nothing twice.
func TestLostAnswerIsSettledWithoutTheClient(t *testing.T) {
	for _, keep := range []bool{true, false} {
		for step := range 8 {
			w := newWorld(t, 2, 2)
			appends := 0
			w.host.Edit(func(h *enclavetest.Host) {
				h.FailAppend = func(uint64, [][]byte) (bool, error) {
					appends++
					if appends == step+1 {
						return keep, enclavetest.ErrLost
					}
					return true, nil
				}
			})
			before := w.size()
			a, body := w.propose("k", 0)
			w.is(w.approve(a, 1), completed)
			kid := w.getKeys()[0].PrivateKeyID
			s := w.body("ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2", map[string]string{
				"signWith": kid, "payload": "x", "encoding": "PAYLOAD_ENCODING_TEXT_UTF8", "hashFunction": "HASH_FUNCTION_SHA256",
			})
			for user := range 2 {
				w.send("/public/v1/submit/sign_raw_payload", s, user)
			}
			signed := w.send("/public/v1/submit/sign_raw_payload", s, 0)
			w.is(w.activity(w.send(createKeysPath, body, 0)), completed)
			if got := w.size() - before; got != 4 {
				t.Errorf("step %d, kept %v: %d entries, want 4", step, keep, got)
			}
			if status := w.enclave.Restart(t); status.Phase != wire.PhaseReady {
				t.Fatalf("step %d, kept %v: enclave is %s: %s", step, keep, status.Phase, status.Reason)
			}
			if again := w.send("/public/v1/submit/sign_raw_payload", s, 0); !bytes.Equal(again.Body, signed.Body) || w.countKeys() != 1 {
				t.Errorf("step %d, kept %v: another state after the restart", step, keep)
			}
		}
	}
}

func (w *world) getKeys() []privateKey {
	w.Helper()
	var out struct{ PrivateKeys []privateKey }
	w.query("list_private_keys", map[string]string{"organizationId": w.org}, 0, &out)
	return out.PrivateKeys
}

// A vanisher is a host that goes away: it loses the answer of an append that
// it kept or not, and answers nothing after that.
type vanisher struct {
	*enclavetest.Host

	mu   sync.Mutex
	left int // appends until it goes away; below zero it stays
	keep bool
	gone bool
}

var errGone = errors.New("the host is away")

func (v *vanisher) away() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.gone
}

func (v *vanisher) Append(ctx context.Context, index uint64, records [][]byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.gone {
		return errGone
	}
	if v.left == 0 {
		v.gone = true
		if v.keep {
			if err := v.Host.Append(ctx, index, records); err != nil {
				return err
			}
		}
		return errGone
	}
	v.left--
	return v.Host.Append(ctx, index, records)
}

func (v *vanisher) ReadRange(ctx context.Context, index uint64, limit int) ([][]byte, error) {
	if v.away() {
		return nil, errGone
	}
	return v.Host.ReadRange(ctx, index, limit)
}

func TestNothingAcknowledgedIsLostAndNothingIsDoneTwice(t *testing.T) {
	for _, keep := range []bool{true, false} {
		for step := range 5 {
			v := &vanisher{left: -1, keep: keep}
			w := newWorldWith(t, 2, 2, func(w *world, o *enclavetest.Options) {
				v.Host = w.host
				o.Host = v
			})
			start := w.size()
			kid := w.prepare()
			base := w.size() - start
			v.left = step
			var acknowledged [][]byte
			requests := w.twoActivities(kid)
			for _, req := range requests {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
				reply, err := w.enclave.Do(ctx, req)
				cancel()
				switch {
				case err == nil && reply.Status == 200:
					acknowledged = append(acknowledged, reply.Body)
				case err == nil && reply.Status == 503, err != nil && v.away():
				case err == nil && v.away() && reply.Status == 404: // the activity to vote on was never made
				default:
					t.Fatalf("step %d, kept %v: %v %s", step, keep, err, reply.Body)
				}
				if v.away() {
					break
				}
			}
			if want := min(step, len(requests)); len(acknowledged) != want {
				t.Errorf("step %d, kept %v: %d replies, want %d", step, keep, len(acknowledged), want)
			}
			w.enclave.Stop()
			v.mu.Lock()
			v.gone, v.left = false, -1
			v.mu.Unlock()
			if status := w.enclave.Restart(t); status.Phase != wire.PhaseReady {
				t.Fatalf("step %d, kept %v: enclave is %s: %s", step, keep, status.Phase, status.Reason)
			}
			for i, req := range requests {
				if reply := w.do(req); reply.Status != 200 {
					t.Errorf("step %d, kept %v: request %d: %s", step, keep, i, reply.Body)
				}
			}
			if got := w.size() - start - base; got != len(requests) {
				t.Errorf("step %d, kept %v: %d entries for %d requests", step, keep, got, len(requests))
			}
			if n := w.countKeys(); n != 2 {
				t.Errorf("step %d, kept %v: %d keys, want 2", step, keep, n)
			}
			w.enclave.Restart(t)
			if n := w.countKeys(); n != 2 {
				t.Errorf("step %d, kept %v: %d keys after a restart", step, keep, n)
			}
		}
	}
}

// prepare makes one key.
func (w *world) prepare() string {
	w.Helper()
	a, _ := w.propose("first", 0)
	return keyIDs(w.T, w.approve(a, 1))[0]
}

// twoActivities are four requests: a key and an export, each proposed and approved.
func (w *world) twoActivities(kid string) (out []*wire.Request) {
	create, export := w.body(createKeysType, keyParams("second")), w.exportBody(kid)
	out = append(out, w.stamped(createKeysPath, create, w.keys[0]))
	out = append(out, w.stamped(createKeysPath, create, w.keys[1]))
	out = append(out, w.stamped(exportPath, export, w.keys[0]))
	return append(out, w.stamped(approvePath, w.body(approveType, map[string]string{"fingerprint": fingerprintHex(export)}), w.keys[1]))
}

// An enclave whose journal was continued by another goes Stale and says so.
func TestJournalContinuedByAnotherEnclaveMakesItStale(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.host.Edit(func(h *enclavetest.Host) { h.Records = append(h.Records, []byte("another enclave's entry")) })
	size := w.size()
	reply, err := w.enclave.Do(t.Context(), w.stamped(createKeysPath, w.body(createKeysType, keyParams("k")), w.keys[0]))
	if err == nil && reply.Status != 503 {
		t.Errorf("got %d %s", reply.Status, reply.Body)
	}
	for {
		status, err := w.enclave.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if status.Phase == wire.PhaseStale {
			if !strings.Contains(status.Reason, fmt.Sprintf("journal entry %d:", size-1)) {
				t.Errorf("reason %q", status.Reason)
			}
			break
		}
	}
	if _, err := w.enclave.Do(t.Context(), w.stamped(whoamiPath, w.whoami(), w.keys[0])); err == nil {
		t.Error("a stale enclave answers queries")
	}
	if w.size() != size {
		t.Error("a stale enclave wrote")
	}
}

func TestBlobsAreNamedByTheirHash(t *testing.T) {
	w := story(t)
	for name, blob := range w.host.Blobs {
		if sha256.Sum256(blob) != name {
			t.Errorf("blob %x", name)
		}
	}
}
