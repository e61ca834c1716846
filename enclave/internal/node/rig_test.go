package node

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/boot"
	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/journal"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/platform"
	"github.com/sallyport/sallyport/enclave/internal/seal"
	"github.com/sallyport/sallyport/enclave/internal/simulator"
	"github.com/sallyport/sallyport/enclave/wire"
)

const adminToken = "admin-token-of-a-test"

// A memoryHost keeps records and blobs, and carries nothing unless a test says how.
type memoryHost struct {
	mu      sync.Mutex
	records [][]byte
	blobs   map[[32]byte][]byte
	down    bool

	createRoom func(*wire.RelayPort) error
	askRule    func(*wire.RuleQuestion) (*wire.RuleAnswer, error)
}

func (h *memoryHost) away() error {
	if h.down {
		return wire.Errorf(wire.Unavailable, "", "the store is away")
	}
	return nil
}

func (h *memoryHost) Append(_ context.Context, index uint64, records [][]byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if int(index) != len(h.records) {
		return wire.Errorf(wire.Conflict, "", "the journal has another length")
	}
	h.records = append(h.records, records...)
	return h.away()
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
	return h.away()
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
	return out, h.away()
}

func (h *memoryHost) CreateRoom(_ context.Context, p *wire.RelayPort, _ uint64) error {
	if h.createRoom != nil {
		return h.createRoom(p)
	}
	return nil
}

func (h *memoryHost) AskRule(_ context.Context, q *wire.RuleQuestion) (*wire.RuleAnswer, error) {
	return h.askRule(q)
}

func (h *memoryHost) OpenPort(context.Context, *wire.RelayPort) (uint64, error) { return 0, nil }

func (h *memoryHost) SendPort(context.Context, uint64, []wire.RelayMessage) error { return nil }

func (h *memoryHost) ClosePort(context.Context, uint64) error { return nil }

func (h *memoryHost) ReceivePort(context.Context, uint64, uint64) ([]wire.RelayMessage, error) {
	return nil, nil
}

// A rig is one node whose enclave can be restarted.
type rig struct {
	*Service
	t      testing.TB
	host   *memoryHost
	boot   *boot.Boot
	trust  attestation.Trust
	sealer *seal.Sealer
	quorum *ecdsa.PrivateKey
	runner mpc.Runner
	caller mpc.Caller
	rules  Rules
	now    func() time.Time
	log    *journal.Journal
}

func newRig(t testing.TB, edit func(*rig)) *rig {
	t.Helper()
	quorum, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256([]byte(adminToken))
	r := &rig{
		t: t, host: &memoryHost{blobs: map[[32]byte][]byte{}}, quorum: quorum, now: time.Now,
		rules: Rules{AdminTokenSHA256: hash[:], BearerMay: Operations(), Backup: true, Plaintext: true, PlainRuleServers: true},
	}
	r.newBoot()
	var root [32]byte
	var appliance [16]byte
	rand.Read(root[:])
	rand.Read(appliance[:])
	r.sealer = seal.New(root[:], appliance, platform.Local, make([]byte, 48), rand.Reader)
	if edit != nil {
		edit(r)
	}
	r.start()
	t.Cleanup(func() { r.stopAll() })
	return r
}

func (r *rig) newBoot() {
	r.t.Helper()
	dir := r.t.TempDir()
	cert, key := filepath.Join(dir, "root.pem"), filepath.Join(dir, "root.key")
	if err := simulator.Create(cert, key); err != nil {
		r.t.Fatal(err)
	}
	sim, err := simulator.Load(cert, key)
	if err != nil {
		r.t.Fatal(err)
	}
	if r.trust, err = attestation.TrustLocal(sim.Root()); err != nil {
		r.t.Fatal(err)
	}
	public, err := r.quorum.PublicKey.Bytes()
	if err != nil {
		r.t.Fatal(err)
	}
	m := &attestation.Manifest{
		Name: "node", Version: 1, Assurance: attestation.AssuranceLocal, Measurements: []attestation.Measurements{attestation.LocalMeasurements()},
		Flags: attestation.Flags{Unsigned: true}, Appliance: make([]byte, 16), QuorumPublicKey: public, CheckpointPublicKey: public, Genesis: make([]byte, 32),
	}
	if r.boot, err = boot.New(r.t.Context(), sim, m.Encode(), public); err != nil {
		r.t.Fatal(err)
	}
}

// node is the rig's node id.
func (r *rig) node() (id mpc.NodeID) {
	public, err := r.quorum.PublicKey.Bytes()
	if err != nil {
		r.t.Fatal(err)
	}
	k, _ := compressKey(public)
	return mpc.NodeID(k)
}

func (r *rig) start() {
	r.t.Helper()
	r.Service = New(Config{
		Host: r.host, Network: r.host, Sealer: r.sealer, Quorum: r.quorum, Boot: r.boot, Now: r.now,
		Runner: r.runner, Caller: r.caller, Self: r.node(), Rules: r.rules,
	})
	j, err := journal.Open(r.t.Context(), r.host, r.sealer, r.now, r.Replay)
	if err != nil {
		r.t.Fatal(err)
	}
	r.log = j
	r.Serve(j)
}

func (r *rig) stopAll() {
	r.Close()
	_ = r.log.Close()
}

// restart boots the same state again.
func (r *rig) restart() {
	r.t.Helper()
	r.stopAll()
	r.start()
}

// An answer is a status and the JSON of a body.
type answer struct {
	status int
	body   string
	json   map[string]any
}

func (a answer) text(name string) string { s, _ := a.json[name].(string); return s }

func (r *rig) send(req *wire.Request) answer {
	r.t.Helper()
	req.API = wire.APINode
	if err := req.Valid(); err != nil {
		r.t.Fatalf("%s %s: %v", req.Method, req.Path, err)
	}
	reply, err := r.Do(r.t.Context(), req)
	if err != nil {
		return answer{status: 599, body: err.Error()}
	}
	a := answer{status: reply.Status, body: string(reply.Body)}
	_ = json.Unmarshal(reply.Body, &a.json)
	return a
}

// call sends a request whose path may have a query.
func (r *rig) call(auth, method, path, body string) answer {
	r.t.Helper()
	return r.send(request(auth, method, path, body))
}

func request(auth, method, path, body string) *wire.Request {
	req := &wire.Request{API: wire.APINode, Method: method, Path: path, Body: []byte(body), Authorization: auth}
	for i := range path {
		if path[i] == '?' {
			req.Path, req.Query = path[:i], path[i+1:]
			break
		}
	}
	return req
}

// ok is call for what must succeed.
func (r *rig) ok(auth, method, path, body string) answer {
	r.t.Helper()
	a := r.call(auth, method, path, body)
	if a.status != 200 {
		r.t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
	}
	return a
}

func (r *rig) admin(method, path, body string) answer {
	r.t.Helper()
	return r.ok(adminToken, method, path, body)
}

// wantType wants a refusal.
func wantType(t testing.TB, a answer, status int, errType string) {
	t.Helper()
	if a.status != status || a.text("err_type") != errType || a.text("err_msg") == "" {
		t.Fatalf("got %d %s, want %d %s", a.status, a.body, status, errType)
	}
}

// A stamper is a client's key.
type stamper struct{ key *ecdsa.PrivateKey }

func newStamper(t testing.TB) stamper {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return stamper{key}
}

func (s stamper) public() string {
	b, _ := s.key.PublicKey.Bytes()
	k, _ := compressKey(b)
	return hex.EncodeToString(k[:])
}

// stamp adds a stamp; edit changes its JSON before it is encoded.
func (s stamper) stamp(t testing.TB, req *wire.Request, at time.Time, edit func(map[string]string)) {
	t.Helper()
	var nonce [16]byte
	rand.Read(nonce[:])
	ms, digits := strconv.FormatInt(at.UnixMilli(), 10), hex.EncodeToString(nonce[:])
	line := req.Path
	if req.Query != "" {
		line += "?" + req.Query
	}
	text := "sallyport node stamp v1\n" + req.Method + "\n" + line + "\n" + ms + "\n" + digits + "\n" + string(req.Body)
	digest := sha256.Sum256([]byte(text))
	sig, err := ecdsa.SignASN1(rand.Reader, s.key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]string{
		"publicKey": s.public(), "scheme": "SALLYPORT_NODE_P256", "signature": hex.EncodeToString(sig), "timestampMs": ms, "nonce": digits,
	}
	if edit != nil {
		edit(m)
	}
	b, _ := json.Marshal(m)
	req.StampKind, req.Stamp = wire.StampAPIKey, []byte(base64.RawURLEncoding.EncodeToString(b))
}

func journalObject(index uint64) seal.Object { return seal.Object{Kind: seal.Journal, Version: index} }

func mustEncode(v any) []byte { return codec.Encode(v) }
