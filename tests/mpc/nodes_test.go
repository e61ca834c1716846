// Package mpc holds the stories of keys that never exist in one place: three
// enclaves make one, sign with it, lose a member, move it and let it out.
package mpc

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/enclave/wire"
)

// A node is one enclave, however it is reached, and the credential of its user.
type node struct {
	do    func(ctx context.Context, method, path, authorization string, body []byte) (int, []byte, error)
	token string
}

// direct reaches an enclave in this process.
func direct(e wire.Enclave) *node {
	return &node{do: func(ctx context.Context, method, path, authorization string, body []byte) (int, []byte, error) {
		path, query, _ := strings.Cut(path, "?")
		reply, err := e.Do(ctx, &wire.Request{API: wire.APINode, Method: method, Path: path, Query: query, Authorization: authorization, Body: body})
		if err != nil {
			return 0, nil, err
		}
		return reply.Status, reply.Body, nil
	}}
}

type fields = map[string]any

// ask makes a request of the node API.
func (n *node) ask(ctx context.Context, method, path, authorization string, body any) (int, fields) {
	var raw []byte
	if body != nil {
		raw, _ = json.Marshal(body)
	}
	status, answer, err := n.do(ctx, method, path, authorization, raw)
	if err != nil {
		return 0, fields{"err_msg": err.Error()}
	}
	var out fields
	if json.Unmarshal(answer, &out) != nil {
		var list []any
		_ = json.Unmarshal(answer, &list)
		out = fields{"list": list}
	}
	return status, out
}

// A cluster is the nodes of a test.
type cluster struct {
	t     *testing.T
	nodes []*node
}

func newCluster(t *testing.T, n int) *cluster {
	c, _ := newEnclaves(t, n)
	return c
}

// newEnclaves also returns the enclaves behind the nodes.
func newEnclaves(t *testing.T, n int) (*cluster, []*enclavetest.Enclave) {
	c := &cluster{t: t}
	may := []string{"admin", "backup", "create", "delete", "export", "import", "keygen", "refresh", "reshare", "sign"}
	enclaves := enclavetest.NewNodes(t, n, enclavetest.NewRelay(), may, enclavetest.Options{})
	for _, e := range enclaves {
		c.add(direct(e), enclavetest.AdminToken)
	}
	return c, enclaves
}

// add makes a user at a node.
func (c *cluster) add(n *node, adminToken string) {
	c.t.Helper()
	status, out := n.ask(c.t.Context(), "GET", "/admin/create-user?name=alice", adminToken, nil)
	if status != 200 {
		c.t.Fatalf("create-user: %d %v", status, out)
	}
	n.token = out["api_key"].(string)
	c.nodes = append(c.nodes, n)
}

// must asks one node and wants 200.
func (c *cluster) must(n int, method, path string, body any) fields {
	c.t.Helper()
	status, out := c.nodes[n].ask(c.t.Context(), method, path, c.nodes[n].token, body)
	if status != 200 {
		c.t.Fatalf("node %d, %s: %d %v", n, path, status, out)
	}
	return out
}

// together asks several nodes at once.
func (c *cluster) together(nodes []int, path string, body func(n int) fields) (status []int, out []fields) {
	return c.each(nodes, func(int) string { return path }, body)
}

// each asks several nodes at once, each by a path of its own.
func (c *cluster) each(nodes []int, path func(n int) string, body func(n int) fields) (status []int, out []fields) {
	status, out = make([]int, len(nodes)), make([]fields, len(nodes))
	var wait sync.WaitGroup
	for i, n := range nodes {
		wait.Go(func() { status[i], out[i] = c.nodes[n].ask(c.t.Context(), "POST", path(n), c.nodes[n].token, body(n)) })
	}
	wait.Wait()
	return status, out
}

func (c *cluster) good(nodes []int, path string, body func(n int) fields) []fields {
	c.t.Helper()
	return c.goodEach(nodes, func(int) string { return path }, body)
}

func (c *cluster) goodEach(nodes []int, path func(n int) string, body func(n int) fields) []fields {
	c.t.Helper()
	status, out := c.each(nodes, path, body)
	for i, s := range status {
		if s != 200 {
			c.t.Fatalf("node %d, %s: %d %v", nodes[i], path(nodes[i]), s, out[i])
		}
	}
	return out
}

func (c *cluster) room(size int) string {
	c.t.Helper()
	return c.must(0, "POST", "/create-room", fields{"room_size": size})["room_uuid"].(string)
}

// create begins a key on all nodes: what it will be called, and each as the party
// that it will be.
func (c *cluster) create(scheme string) (all []int, ids, parties []string) {
	c.t.Helper()
	for n := range c.nodes {
		out := c.must(n, "GET", "/"+scheme+"/create", nil)
		all, ids, parties = append(all, n), append(ids, out["key_id"].(string)), append(parties, out["keygen_id"].(string))
	}
	return all, ids, parties
}

// keygenBody is what a node is asked for to make its part of a key.
func keygenBody(n int, room string, ids, parties []string, threshold int) fields {
	others := append(append([]string{}, parties[:n]...), parties[n+1:]...)
	return fields{"room_uuid": room, "key_id": ids[n], "num_parties": len(ids), "threshold": threshold, "others_keygen_ids": others}
}

// keygen makes a key on all nodes, and returns its ids and public key.
func (c *cluster) keygen(scheme string, threshold int) (ids []string, public string) {
	c.t.Helper()
	all, ids, parties := c.create(scheme)
	room := c.room(len(all))
	out := c.good(all, "/"+scheme+"/keygen", func(n int) fields { return keygenBody(n, room, ids, parties, threshold) })
	public, _ = out[0]["pubkey"].(string)
	if public == "" || public != out[len(out)-1]["pubkey"] {
		c.t.Fatalf("keygen answered %v", out)
	}
	return ids, public
}

// sign signs a message on some nodes and verifies it elsewhere.
func (c *cluster) sign(scheme string, ids []string, public string, nodes []int, msg string) {
	c.t.Helper()
	room := c.room(len(nodes))
	out := c.good(nodes, "/"+scheme+"/sign", func(n int) fields {
		q := fields{"room_uuid": room, "key_id": ids[n], "msg": hex.EncodeToString([]byte(msg))}
		if scheme == "ecdsa" {
			q["hash_algo"] = "sha256"
		}
		return q
	})
	key, err := hex.DecodeString(public)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, o := range out {
		if scheme == "ed25519" {
			sig, _ := hex.DecodeString(o["signature"].(string))
			if !ed25519.Verify(key, []byte(msg), sig) {
				c.t.Errorf("the signature does not verify: %v", o)
			}
			continue
		}
		der, _ := hex.DecodeString(o["der"].(string))
		sig, err := ecdsa.ParseDERSignature(der)
		digest := sha256.Sum256([]byte(msg))
		k, err2 := secp256k1.ParsePubKey(key)
		if err != nil || err2 != nil || !sig.Verify(digest[:], k) {
			c.t.Errorf("the signature does not verify: %v, %v, %v", o, err, err2)
		}
	}
}

func TestThreeNodesMakeAKeyTwoSignAndLetItOut(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	for _, scheme := range []string{"ecdsa", "ed25519"} {
		ids, public := c.keygen(scheme, 2)
		for _, quorum := range [][]int{{0, 1}, {0, 2}, {1, 2}} {
			c.sign(scheme, ids, public, quorum, "a message")
		}
		to := c.must(2, "GET", "/"+scheme+"/export/exportId/"+ids[2], nil)["export_id"]
		room := c.room(2)
		out := c.good([]int{0, 2}, "/"+scheme+"/export/full", func(n int) fields {
			return fields{"room_uuid": room, "key_id": ids[n], "export_to": to, "format": map[string]string{"ecdsa": "hex", "ed25519": "ed25519-scalar"}[scheme]}
		})
		if out[0]["private_key"] != "" {
			t.Errorf("another party got %v", out[0])
		}
		key, err := hex.DecodeString(out[1]["private_key"].(string))
		if err != nil || len(key) != 32 {
			t.Fatalf("exported %d bytes, %v", len(key), err)
		}
		if scheme == "ecdsa" && hex.EncodeToString(secp256k1.PrivKeyFromBytes(key).PubKey().SerializeCompressed()) != public {
			t.Error("another key was exported")
		}
		room = c.room(2)
		status, after := c.together([]int{0, 1}, "/"+scheme+"/sign", func(n int) fields {
			return fields{"room_uuid": room, "key_id": ids[n], "msg": "00", "hash_algo": "sha256"}
		})
		for i := range status {
			if status[i] != 400 {
				t.Errorf("signing with a key that has left: %d %v", status[i], after[i])
			}
		}
	}
}
