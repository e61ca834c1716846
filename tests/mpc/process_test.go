package mpc

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"github.com/sallyport/sallyport/tests/appliance"
)

// build makes the programs of a development appliance.
func build(t *testing.T) string {
	return appliance.Build(t, "sallyport", "sallyport-enclave-local", "sallyport-engine")
}

// remote reaches a node as its clients do.
func remote(base string) *node {
	return &node{do: func(ctx context.Context, method, path, authorization string, body []byte) (int, []byte, error) {
		r, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(body))
		if err != nil {
			return 0, nil, err
		}
		r.Header.Set("AUTHORIZATION", authorization)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, nil, err
		}
		defer func() { _ = answer.Body.Close() }()
		b, err := io.ReadAll(answer.Body)
		return answer.StatusCode, b, err
	}}
}

// engines are the processes that compute for an enclave.
func engines(enclave int) (out []int) {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", enclave, enclave))
	for _, tid := range strings.Fields(string(b)) {
		if pid, err := strconv.Atoi(tid); err == nil {
			out = append(out, pid)
		}
	}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", enclave))
	for _, task := range tasks {
		b, _ := os.ReadFile(task)
		for _, text := range strings.Fields(string(b)) {
			if pid, err := strconv.Atoi(text); err == nil {
				out = append(out, pid)
			}
		}
	}
	return out
}

func TestThreeAppliancesOfTheDevelopmentCommand(t *testing.T) {
	t.Parallel()
	a, err := appliance.Start(build(t), "--nodes", "3", "--threshold", "2", "--root-users", "2")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Stop(); err != nil {
			t.Error(err)
		}
	})
	if len(a.Nodes) != 3 || a.RelayAddress == "" || a.Nodes[0].BaseURL != a.BaseURL || a.Nodes[0].QuorumPublicKey != a.QuorumPublicKey {
		t.Fatalf("the ready line is %s", a.Line)
	}
	c := &cluster{t: t}
	for _, n := range a.Nodes {
		if n.OrganizationID != a.OrganizationID {
			t.Error("a node has another organization")
		}
		c.add(remote(n.BaseURL), n.AdminToken)
	}
	ids, public := c.keygen("ecdsa", 2)
	for _, quorum := range [][]int{{0, 1}, {0, 2}, {1, 2}} {
		c.sign("ecdsa", ids, public, quorum, "over processes")
	}

	// The engines die, and nothing else does: the next signature has new ones.
	killed := 0
	for _, n := range a.Nodes {
		for _, pid := range engines(n.EnclavePID) {
			if syscall.Kill(pid, syscall.SIGKILL) == nil {
				killed++
			}
		}
	}
	if killed == 0 {
		t.Error("no engine process was found")
	}
	for _, n := range a.Nodes { // until the enclaves know: what they do in that moment fails
		for wait := 0; len(engines(n.EnclavePID)) > 0 && wait < 1000; wait++ {
			time.Sleep(10 * time.Millisecond)
		}
	}
	for _, quorum := range [][]int{{0, 1}, {1, 2}} { // half-done signatures went with the engines
		c.sign("ecdsa", ids, public, quorum, "after the engines died")
	}

	to := c.must(1, "GET", "/ecdsa/export/exportId/"+ids[1], nil)["export_id"]
	room := c.room(3)
	out := c.good([]int{0, 1, 2}, "/ecdsa/export/full", func(n int) fields {
		return fields{"room_uuid": room, "key_id": ids[n], "export_to": to, "format": "hex", "relay_address": a.RelayAddress}
	})
	key, err := hex.DecodeString(out[1]["private_key"].(string))
	if err != nil || len(key) != 32 || hex.EncodeToString(secp256k1.PrivKeyFromBytes(key).PubKey().SerializeCompressed()) != public {
		t.Errorf("exported another key, or none: %v", err)
	}
	if out[0]["private_key"] != "" || out[2]["private_key"] != "" {
		t.Error("another party got the key")
	}
	status, refused := c.nodes[0].ask(t.Context(), "POST", "/create-room", c.nodes[0].token, fields{"room_size": 2, "relay_address": "192.0.2.1:4222"})
	if status != 400 || refused["err_type"] != "room_creation_problem" {
		t.Errorf("a relay that is not allowed: %d %v", status, refused)
	}
	activities(t, a)
}
