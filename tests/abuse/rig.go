package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/client"
	"github.com/sallyport/sallyport/tests/appliance"
)

// A base is the state of a second appliance at rest, to be damaged in copies.
type base struct {
	w       *world
	dir     string // manifest, root and attestation root
	records [][]byte
	blobs   map[[32]byte][]byte
	genesis map[[32]byte]bool // the blobs that genesis left: the identity

	org          string
	key          *client.APIKey
	keyIDs       []string
	acknowledged []byte // a body that was signed
	activity     string // its activity
}

// A rig is one enclave process whose host is this program.
type rig struct {
	host   *enclavetest.Host
	cmd    *exec.Cmd
	log    *appliance.Output
	client *wire.EnclaveClient
	stop   context.CancelFunc
	dir    string
	exited chan struct{}
}

// newBase takes an enclave through genesis and lets it work a little.
func newBase(w *world) (b *base, err error) {
	b = &base{w: w, dir: filepath.Join(w.dir, "rig"), genesis: map[[32]byte]bool{}}
	if err := os.Mkdir(b.dir, 0o700); err != nil {
		return nil, err
	}
	host := enclavetest.NewHost()
	r, err := b.boot(b.dir, host)
	if err != nil {
		return nil, err
	}
	defer r.end()
	status, err := r.settled()
	if err != nil || status.Phase != wire.PhaseReady {
		return nil, fmt.Errorf("the rig is %+v: %w", status, err)
	}
	for name := range host.Blobs {
		b.genesis[name] = true
	}
	if err := b.work(r, status.QuorumPublicKey); err != nil {
		return nil, err
	}
	host.Edit(func(h *enclavetest.Host) { b.records, b.blobs = copyState(h) })
	return b, nil
}

func copyState(h *enclavetest.Host) ([][]byte, map[[32]byte][]byte) {
	var records [][]byte
	for _, r := range h.Records {
		records = append(records, bytes.Clone(r))
	}
	blobs := map[[32]byte][]byte{}
	for name, b := range h.Blobs {
		blobs[name] = bytes.Clone(b)
	}
	return records, blobs
}

// work founds an organization, makes two keys and signs.
func (b *base) work(r *rig, quorum string) error {
	body, keys, err := foundingBody(1, 1, quorum)
	if err != nil {
		return err
	}
	request, err := client.NewFoundingRequest(body, keys...)
	if err != nil {
		return err
	}
	reply, err := r.do(organizations, request, nil)
	if err != nil || reply.Status != 200 {
		return fmt.Errorf("founding at the rig: %+v, %w", reply, err)
	}
	b.org, b.key = client.OrganizationID(body), keys[0]
	for range 2 {
		a, err := r.completed(createPath, appliance.Body(typeCreate, b.org, appliance.Now(), keyParameters("CURVE_SECP256K1")), b.key)
		if err != nil {
			return err
		}
		var out struct {
			PrivateKeys []struct{ PrivateKeyID string }
		}
		if err := json.Unmarshal(a.Result["createPrivateKeysResultV2"], &out); err != nil {
			return err
		}
		b.keyIDs = append(b.keyIDs, out.PrivateKeys[0].PrivateKeyID)
	}
	b.acknowledged = b.signBody(0)
	a, err := r.completed(signPath, b.acknowledged, b.key)
	if err != nil {
		return err
	}
	b.activity = a.ID
	return nil
}

func (b *base) signBody(key int) []byte {
	t := &team{org: b.org, keyID: b.keyIDs[key]}
	return appliance.Body(typeSign, b.org, appliance.Now(), t.signParameters())
}

// host makes a store with a copy of the state.
func (b *base) host() *enclavetest.Host {
	h := enclavetest.NewHost()
	h.Records, h.Blobs = copyState(&enclavetest.Host{Records: b.records, Blobs: b.blobs})
	return h
}

// boot starts an enclave process on a folder, with this program as its host.
func (b *base) boot(dir string, host wire.Host) (*rig, error) {
	sockets, err := os.MkdirTemp(b.w.dir, "s")
	if err != nil {
		return nil, err
	}
	ln, err := wire.Listen("unix:" + filepath.Join(sockets, "h"))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { _ = wire.ServeHost(ctx, ln, host, slog.New(slog.DiscardHandler)) }()
	r := &rig{log: new(appliance.Output), stop: cancel, dir: sockets, exited: make(chan struct{})}
	r.host, _ = host.(*enclavetest.Host)
	r.cmd = exec.Command(filepath.Join(b.w.bin, "sallyport-enclave-local"),
		"-listen", "unix:"+filepath.Join(sockets, "e"), "-host", "unix:"+filepath.Join(sockets, "h"),
		"-root", "file:"+filepath.Join(dir, "root.key"), "-manifest", filepath.Join(dir, "manifest.json"),
		"-attestation-root", filepath.Join(dir, "attestation-root.pem"))
	r.cmd.Stderr = r.log
	if err := r.cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	go func() {
		_ = r.cmd.Wait()
		close(r.exited)
	}()
	r.client = wire.NewEnclaveClient("unix:" + filepath.Join(sockets, "e"))
	return r, nil
}

// end kills the enclave and closes the host.
func (r *rig) end() {
	_ = r.cmd.Process.Kill()
	<-r.exited
	_ = r.client.Close()
	r.stop()
	_ = os.RemoveAll(r.dir)
}

// settled returns the status once the enclave has come to an end of its boot.
func (r *rig) settled() (*wire.Status, error) {
	return r.until(func(s *wire.Status) bool {
		return s.Phase != wire.PhaseStarting && s.Phase != wire.PhaseAwaitingRoot || s.Phase == wire.PhaseAwaitingRoot && s.Reason != ""
	})
}

func (r *rig) until(there func(*wire.Status) bool) (*wire.Status, error) {
	deadline := time.Now().Add(10 * time.Second)
	var last error
	for time.Now().Before(deadline) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		s, err := r.client.Status(ctx)
		cancel()
		if err == nil && there(s) {
			return s, nil
		}
		last = err
		if err == nil {
			last = fmt.Errorf("it stays %s: %s", s.Phase, s.Reason)
		}
		select {
		case <-r.exited:
			return nil, fmt.Errorf("the enclave has ended: %s", r.log)
		case <-time.After(3 * time.Millisecond):
		}
	}
	return nil, fmt.Errorf("not settled in 10 s: %w", last)
}

// do sends a request as a host would carry it.
func (r *rig) do(path string, body []byte, key *client.APIKey) (*wire.Reply, error) {
	req := &wire.Request{API: wire.APIActivity, Path: path, Body: body}
	if path == organizations {
		req.API = wire.APISallyport
	}
	if key != nil {
		req.StampKind, req.Stamp = wire.StampAPIKey, []byte(mustStamp(body, key))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	return r.client.Do(ctx, req)
}

// activity sends a request that must give an activity.
func (r *rig) activity(path string, body []byte, key *client.APIKey) (*activity, error) {
	reply, err := r.do(path, body, key)
	if err != nil {
		return nil, err
	}
	return activityOf(&appliance.Reply{Status: reply.Status, Body: reply.Body})
}

func (r *rig) completed(path string, body []byte, key *client.APIKey) (*activity, error) {
	a, err := r.activity(path, body, key)
	if err == nil && a.Status != completed {
		err = fmt.Errorf("the activity is %s: %+v", a.Status, a.Failure)
	}
	return a, err
}

// damaged boots an enclave on a changed copy of the state and wants it Broken,
// with words in the reason.
func (b *base) damaged(change func(*enclavetest.Host), words ...string) (string, error) {
	h := b.host()
	change(h)
	return b.broken(b.dir, h, words...)
}

func (b *base) broken(dir string, h wire.Host, words ...string) (string, error) {
	r, err := b.boot(dir, h)
	if err != nil {
		return "", err
	}
	defer r.end()
	s, err := r.settled()
	if err != nil {
		return "", err
	}
	if s.Phase != wire.PhaseBroken {
		return "", fmt.Errorf("the enclave is %s: %s", s.Phase, s.Reason)
	}
	if !slices.ContainsFunc(words, func(w string) bool { return bytes.Contains([]byte(s.Reason), []byte(w)) }) && len(words) > 0 {
		return "", fmt.Errorf("the reason does not say %q: %s", words, s.Reason)
	}
	if _, err := r.do(signPath, b.acknowledged, b.key); err == nil {
		return "", errors.New("a broken enclave serves requests")
	}
	return fmt.Sprintf("%s: %s", s.Phase, s.Reason), nil
}

// running boots an enclave on a copy of the state that it must accept.
func (b *base) running(h *enclavetest.Host) (*rig, error) {
	r, err := b.boot(b.dir, h)
	if err != nil {
		return nil, err
	}
	s, err := r.settled()
	if err == nil && s.Phase != wire.PhaseReady {
		err = fmt.Errorf("the enclave is %s: %s", s.Phase, s.Reason)
	}
	if err != nil {
		r.end()
		return nil, err
	}
	return r, nil
}
