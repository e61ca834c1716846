package engine_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/enclave/internal/mpc/mpctest"
	"github.com/sallyport/sallyport/enclave/wire"
)

// A cluster is nodes as their users see them, with one ECDSA key.
type cluster struct {
	testing.TB
	nodes  []*enclavetest.Enclave
	tokens []string
	ids    []string // of the key, by node
}

type fields = map[string]any

func newCluster(t testing.TB, relay *mpctest.Relay, options enclavetest.Options) *cluster {
	may := []string{"admin", "create", "export", "keygen", "refresh", "sign"}
	c := &cluster{TB: t, nodes: enclavetest.NewNodes(t, nodes, relay, may, options)}
	for n := range c.nodes {
		c.tokens = append(c.tokens, enclavetest.AdminToken)
		c.tokens[n] = c.ask(n, "GET /admin/create-user?name=bench", nil)["api_key"].(string)
	}
	return c
}

// ask makes one call, such as "POST /ecdsa/sign".
func (c *cluster) ask(n int, call string, body fields) (out fields) {
	var raw []byte
	if body != nil {
		raw, _ = json.Marshal(body)
	}
	method, path, _ := strings.Cut(call, " ")
	path, query, _ := strings.Cut(path, "?")
	reply, err := c.nodes[n].Do(c.Context(), &wire.Request{
		API: wire.APINode, Method: method, Path: path, Query: query, Authorization: c.tokens[n], Body: raw,
	})
	if err != nil || reply.Status != 200 || json.Unmarshal(reply.Body, &out) != nil {
		c.Errorf("node %d, %s: %v, %v", n, call, reply, err)
	}
	return out
}

// together makes a call at the first nodes, in a room of them.
func (c *cluster) together(count int, call string, body func(n int) fields) []fields {
	room := c.ask(0, "POST /create-room", fields{"room_size": count})["room_uuid"]
	out := make([]fields, count)
	var wait sync.WaitGroup
	for n := range count {
		wait.Go(func() {
			b := body(n)
			b["room_uuid"] = room
			out[n] = c.ask(n, call, b)
		})
	}
	wait.Wait()
	if c.Failed() {
		c.FailNow()
	}
	return out
}

func (c *cluster) keygen() {
	var ids, keygen []string
	for n := range nodes {
		out := c.ask(n, "GET /ecdsa/create", nil)
		ids, keygen = append(ids, out["key_id"].(string)), append(keygen, out["keygen_id"].(string))
	}
	c.together(nodes, "POST /ecdsa/keygen", func(n int) fields {
		others := append(append([]string{}, keygen[:n]...), keygen[n+1:]...)
		return fields{"key_id": ids[n], "num_parties": nodes, "threshold": threshold, "others_keygen_ids": others}
	})
	c.ids = ids
}

func (c *cluster) sign() {
	c.together(threshold, "POST /ecdsa/sign", func(n int) fields {
		return fields{"key_id": c.ids[n], "msg": "00", "hash_algo": "sha256"}
	})
}

// stock sees to it that a half-done signature is ready: a signature that is not
// measured makes two of them.
func (c *cluster) stock(g *gated) func() {
	left := 0
	return func() {
		if left == 0 {
			g.open.Store(true)
			c.sign()
			settle()
			g.open.Store(false)
			left = 2
		}
		left--
	}
}

func (c *cluster) export() {
	to := c.ask(0, "GET /ecdsa/export/exportId/"+c.ids[0], nil)["export_id"]
	c.together(threshold, "POST /ecdsa/export/full", func(n int) fields {
		return fields{"key_id": c.ids[n], "export_to": to, "format": "hex"}
	})
}

func (c *cluster) refresh() {
	out := c.together(nodes, "POST /ecdsa/refresh", func(n int) fields { return fields{"key_id": c.ids[n]} })
	for n := range nodes {
		c.ids[n] = out[n]["key_id"].(string)
	}
}
