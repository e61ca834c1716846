package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/client"
	"github.com/sallyport/sallyport/tests/appliance"
)

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
