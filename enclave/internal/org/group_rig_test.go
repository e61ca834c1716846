package org

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/boot"
	"github.com/sallyport/sallyport/enclave/internal/journal"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/platform"
	"github.com/sallyport/sallyport/enclave/internal/seal"
	"github.com/sallyport/sallyport/enclave/internal/simulator"
	"github.com/sallyport/sallyport/enclave/wire"
)

// A memoryHost keeps records and blobs over restarts.
type memoryHost struct {
	wire.Host
	mu      sync.Mutex
	records [][]byte
	blobs   map[[32]byte][]byte
}

func (h *memoryHost) Append(_ context.Context, index uint64, records [][]byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if int(index) != len(h.records) {
		return wire.Errorf(wire.Conflict, "", "the journal has another length")
	}
	h.records = append(h.records, records...)
	return nil
}

func (h *memoryHost) ReadRange(_ context.Context, index uint64, limit int) ([][]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	rest := h.records[min(int(index), len(h.records)):]
	return rest[:min(limit, len(rest))], nil
}

func (h *memoryHost) PutBlobs(_ context.Context, blobs [][]byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range blobs {
		h.blobs[sha256.Sum256(b)] = b
	}
	return nil
}

func (h *memoryHost) GetBlobs(_ context.Context, names [][]byte) (out [][]byte, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range names {
		b, ok := h.blobs[[32]byte(n)]
		if !ok {
			return nil, wire.Errorf(wire.NotFound, "", "no such blob")
		}
		out = append(out, b)
	}
	return out, nil
}

// A rig is one member of a key group; its enclave can be restarted.
type rig struct {
	*Service
	t      testing.TB
	world  *world
	host   *memoryHost
	boot   *boot.Boot
	sealer *seal.Sealer
	quorum *ecdsa.PrivateKey
	node   mpc.NodeID
	log    *journal.Journal
	open   bool
	up     bool
}

func newRig(t testing.TB, w *world) *rig {
	t.Helper()
	quorum, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, world: w, host: &memoryHost{blobs: map[[32]byte][]byte{}}, quorum: quorum, open: true}
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "root.pem"), filepath.Join(dir, "root.key")
	if err := simulator.Create(cert, key); err != nil {
		t.Fatal(err)
	}
	sim, err := simulator.Load(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := quorum.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	r.node = mpc.NodeID(append([]byte{2 | public[64]&1}, public[1:33]...))
	m := &attestation.Manifest{
		Name: "member", Version: 1, Assurance: attestation.AssuranceLocal, Measurements: []attestation.Measurements{attestation.LocalMeasurements()},
		Flags: attestation.Flags{Unsigned: true}, Appliance: make([]byte, 16), QuorumPublicKey: public, CheckpointPublicKey: public, Genesis: make([]byte, 32),
	}
	if r.boot, err = boot.New(t.Context(), sim, m.Encode(), public); err != nil {
		t.Fatal(err)
	}
	var root [32]byte
	rand.Read(root[:])
	r.sealer = seal.New(root[:], [16]byte{1}, platform.Local, make([]byte, 48), rand.Reader)
	return r
}

func (r *rig) start() {
	r.t.Helper()
	var members []mpc.NodeID
	for _, other := range r.world.rigs {
		members = append(members, other.node)
	}
	g := NewKeyGroup(r.node, members, r.world.threshold)
	r.world.equip(r, g)
	r.Service = New(Config{
		Host: r.host, Sealer: r.sealer, Quorum: r.quorum, Boot: r.boot, Now: time.Now, OpenOrganizations: r.open, Group: g,
		Log: slog.New(slog.DiscardHandler),
	})
	j, err := journal.Open(context.Background(), r.host, r.sealer, time.Now, r.Replay)
	if err != nil {
		r.t.Fatal(err)
	}
	r.log, r.up = j, true
	r.Serve(j)
}

// stop is a power cut.
func (r *rig) stop() {
	if !r.up {
		return
	}
	r.up = false
	r.world.forget(r.node)
	r.Close()
	_ = r.log.Close()
}

func (r *rig) restart() {
	r.t.Helper()
	r.stop()
	r.start()
}

// A world is the members of a key group and what stands between them.
type world struct {
	t         testing.TB
	rigs      []*rig
	threshold int

	mu       sync.Mutex
	handlers map[mpc.NodeID]map[string]func(context.Context, mpc.NodeID, []byte) ([]byte, error)
	cut      map[mpc.NodeID]bool
	delay    time.Duration
	loss     float64
	touch    func(from, to mpc.NodeID, method string) bool // false: the call is lost

	dealer dealer
}

func newWorld(t testing.TB, n, threshold int) *world {
	t.Helper()
	w := &world{
		t: t, threshold: threshold, cut: map[mpc.NodeID]bool{}, delay: time.Millisecond,
		handlers: map[mpc.NodeID]map[string]func(context.Context, mpc.NodeID, []byte) ([]byte, error){},
	}
	w.dealer.rooms, w.dealer.forgot, w.dealer.runs = map[mpc.RoomID]*meeting{}, map[[32]byte]int{}, map[string]int{}
	for range n {
		w.rigs = append(w.rigs, newRig(t, w))
	}
	for _, r := range w.rigs {
		r.start()
		t.Cleanup(r.stop)
	}
	return w
}

func (w *world) forget(n mpc.NodeID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.handlers, n)
}

func (w *world) part(r *rig, away bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut[r.node] = away
}

// A port is one member's side of the network.
type port struct {
	*world
	self mpc.NodeID
}

func (p port) Self() mpc.NodeID { return p.self }

func (p port) Peers() (out []mpc.NodeID) {
	for _, r := range p.rigs {
		if r.node != p.self {
			out = append(out, r.node)
		}
	}
	return out
}

func (p port) Handle(method string, f func(context.Context, mpc.NodeID, []byte) ([]byte, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.handlers[p.self] == nil {
		p.handlers[p.self] = map[string]func(context.Context, mpc.NodeID, []byte) ([]byte, error){}
	}
	p.handlers[p.self][method] = f
}

func (p port) Call(ctx context.Context, to mpc.NodeID, method string, body []byte) ([]byte, error) {
	p.mu.Lock()
	f, cut, delay, loss, touch := p.handlers[to][method], p.cut[p.self] || p.cut[to], p.delay, p.loss, p.touch
	p.mu.Unlock()
	lost := func() bool { return mrand.Float64() < loss }
	if delay > 0 {
		time.Sleep(time.Duration(mrand.Int64N(int64(delay))))
	}
	noAnswer := wire.Errorf(wire.Unavailable, wire.ReasonNoAnswer, "no answer from node %s", to)
	if f == nil || cut || lost() || touch != nil && !touch(p.self, to, method) {
		time.Sleep(3 * time.Millisecond)
		return nil, noAnswer
	}
	out, err := f(ctx, p.self, slices.Clone(body))
	if lost() {
		return nil, noAnswer
	}
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return nil, e
	} else if err != nil {
		return nil, wire.Errorf(wire.Internal, "", "internal error")
	}
	return out, nil
}

// A person has one API key.
type person struct {
	key *ecdsa.PrivateKey
}

func newPerson(t testing.TB) person {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return person{k}
}

func (p person) public() string {
	b, _ := p.key.PublicKey.Bytes()
	return hex.EncodeToString(append([]byte{2 | b[64]&1}, b[1:33]...))
}

func (p person) stamp(body string) []byte {
	digest := sha256.Sum256([]byte(body))
	sig, err := ecdsa.SignASN1(rand.Reader, p.key, digest[:])
	if err != nil {
		panic(err)
	}
	b, _ := json.Marshal(map[string]string{"publicKey": p.public(), "scheme": "SIGNATURE_SCHEME_TK_API_P256", "signature": hex.EncodeToString(sig)})
	return []byte(base64.RawURLEncoding.EncodeToString(b))
}

// founding is the body and request that found an organization of these people.
func (w *world) founding(threshold int, people ...person) (request string) {
	var users, quorums []string
	for i, p := range people {
		users = append(users, fmt.Sprintf(`{"userName":"root %d","apiKeys":[{"apiKeyName":"k","publicKey":%q,"curveType":"API_KEY_CURVE_P256"}]}`, i, p.public()))
	}
	for _, r := range w.rigs {
		quorums = append(quorums, strconv.Quote(hex.EncodeToString(r.boot.QuorumPublic)))
	}
	var salt [32]byte
	rand.Read(salt[:])
	body := fmt.Sprintf(`{"type":"SALLYPORT_ORGANIZATION_V1","organizationName":"o","rootUsers":[%s],"rootQuorumThreshold":%d,"quorumPublicKeys":[%s],"salt":"%x"}`,
		strings.Join(users, ","), threshold, strings.Join(quorums, ","), salt)
	var stamps []string
	for _, p := range people {
		stamps = append(stamps, string(p.stamp(body)))
	}
	out, _ := json.Marshal(map[string]any{"foundingBody": body, "stamps": stamps})
	return string(out)
}

// An answer is a reply's status and JSON.
type answer struct {
	status int
	body   string
	json   map[string]any
}

// at walks members, "a.b.0.c".
func (a answer) at(path string) string {
	var v any = a.json
	for name := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[name]
		case []any:
			i, _ := strconv.Atoi(name)
			if i >= len(x) {
				return ""
			}
			v = x[i]
		}
	}
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

func (r *rig) post(path, body string, stamp []byte) answer {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req := &wire.Request{API: wire.APIActivity, Path: path, Body: []byte(body), Stamp: stamp}
	if stamp != nil {
		req.StampKind = wire.StampAPIKey
	}
	reply, err := r.Do(ctx, req)
	if err != nil {
		return answer{status: 599, body: err.Error()}
	}
	a := answer{status: reply.Status, body: string(reply.Body)}
	_ = json.Unmarshal(reply.Body, &a.json)
	return a
}

func (r *rig) found(request string) string {
	r.t.Helper()
	a := r.post(organizationsPath, request, nil)
	if a.status != 200 {
		r.t.Fatalf("founding: %d %s", a.status, a.body)
	}
	return a.at("organizationId")
}

// activity is the body of a submission.
func activityBody(org, typ, parameters string) string {
	return fmt.Sprintf(`{"type":%q,"timestampMs":"%d","organizationId":%q,"parameters":%s}`, typ, time.Now().UnixMilli(), org, parameters)
}

func (r *rig) submitAs(p person, path, body string) answer {
	r.t.Helper()
	return r.post(submitPrefix+path, body, p.stamp(body))
}

func (r *rig) queryAs(p person, path, body string) answer {
	r.t.Helper()
	return r.post(queryPrefix+path, body, p.stamp(body))
}

func usersOf(names ...string) string {
	var out []string
	for _, n := range names {
		out = append(out, fmt.Sprintf(`{"userName":%q,"apiKeys":[],"authenticators":[],"oauthProviders":[],"userTags":[]}`, n))
	}
	return `{"users":[` + strings.Join(out, ",") + `]}`
}

// agree waits until all members have the same state.
func (w *world) agree(rigs ...*rig) {
	w.t.Helper()
	if rigs == nil {
		rigs = w.rigs
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		slots, digest := rigs[0].order.State()
		same := true
		for _, r := range rigs[1:] {
			n, d := r.order.State()
			same = same && n == slots && d == digest
		}
		if same {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatal("the members do not come to the same state")
		}
		for _, r := range rigs {
			_ = r.order.Refresh(context.Background())
		}
	}
}
