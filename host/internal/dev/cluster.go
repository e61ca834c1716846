package dev

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport/sallyport/attestation"
)

// A cluster is several appliances that name each other as peers and share a
// relay, which runs in the first one's host. Each has a folder of its own,
// with its own store and roots.
type cluster struct {
	*appliance
	nodes  []*appliance
	tokens []string // of each node's admin
}

// launch starts all nodes under their first manifests, exchanges their keys,
// and starts the enclaves again under manifests that name the peers.
func (c *cluster) launch(ctx context.Context) (*Credentials, error) {
	running := make([]*Credentials, c.shape.Nodes)
	apis := make([]founder, c.shape.Nodes)
	first := make([]*api, c.shape.Nodes)
	keys := make([]string, c.shape.Nodes)
	for i := range c.shape.Nodes {
		if err := c.add(i); err != nil {
			return nil, err
		}
		var err error
		if running[i], first[i], err = c.nodes[i].boot(ctx); err != nil {
			return nil, err
		}
		apis[i], keys[i] = first[i], running[i].QuorumPublicKey
	}
	if err := c.introduce(); err != nil {
		return nil, err
	}
	for i, n := range c.nodes {
		c.keeper.end(n.enclave)
		if _, err := n.bootEnclave(ctx, first[i]); err != nil {
			return nil, err
		}
		running[i].EnclavePID = n.enclave.cmd.Process.Pid
	}
	shown := *running[0]
	shown.RelayAddress = c.nodes[0].hostAddress.RelayAddress
	for i, r := range running {
		shown.Nodes = append(shown.Nodes, Node{
			BaseURL: r.BaseURL, AdminToken: c.tokens[i], QuorumPublicKey: r.QuorumPublicKey,
			AttestationRoot: r.AttestationRoot, EnclavePID: r.EnclavePID, HostPID: r.HostPID,
		})
	}
	return c.credentials(ctx, apis, keys, shown)
}

// add makes the place of a node.
func (c *cluster) add(i int) error {
	name := fmt.Sprintf("node-%d", i)
	f := &folder{dir: c.folder.path(name), sockets: filepath.Join(c.folder.sockets, fmt.Sprint(i)), lock: c.folder.lock}
	for _, dir := range []string{f.dir, f.sockets} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("--data: %w", err)
		}
	}
	token, err := adminToken(f)
	if err != nil {
		return err
	}
	command := *c.command
	relay := []string{"--relay-allow-loopback", "--rules-allow-private"}
	if i == 0 {
		relay = append(relay, "--relay-listen", "127.0.0.1:0")
	} else {
		command.Listen = "127.0.0.1:0"
		relay = append(relay, "--relay", c.nodes[0].hostAddress.RelayAddress)
	}
	c.nodes = append(c.nodes, &appliance{
		command: &command, binaries: c.binaries, folder: f, shape: c.shape, keeper: c.keeper, name: name + " ", relay: relay,
	})
	c.tokens = append(c.tokens, token)
	return nil
}

const adminTokenFile = "admin-token"

// adminToken is made once for each node.
func adminToken(f *folder) (string, error) {
	b, err := os.ReadFile(f.path(adminTokenFile))
	if err == nil {
		return strings.TrimSpace(string(b)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("--data: %w", err)
	}
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails
	token := hex.EncodeToString(raw)
	if err := writeDurably(f.dir, adminTokenFile, []byte(token+"\n")); err != nil {
		return "", fmt.Errorf("--data: %w", err)
	}
	return token, nil
}

// manifestFile is where a local enclave looks for its manifest.
const manifestFile = "manifest.json"

// introduce writes the manifests that name the peers, where they are not there yet.
func (c *cluster) introduce() error {
	manifests := make([]*attestation.Manifest, len(c.nodes))
	roots := make([][]byte, len(c.nodes))
	for i, n := range c.nodes {
		raw, err := os.ReadFile(n.folder.path(manifestFile))
		if err == nil {
			manifests[i], err = attestation.ParseManifest(raw)
		}
		if err == nil {
			roots[i], err = certificate(n.folder.path("attestation-root.pem"))
		}
		if err != nil {
			return fmt.Errorf("--data: %w", err)
		}
	}
	for i, n := range c.nodes {
		if manifests[i].Version > 1 {
			continue
		}
		if err := writeDurably(n.folder.dir, manifestFile, c.successor(i, manifests, roots).Encode()); err != nil {
			return fmt.Errorf("--data: %w", err)
		}
	}
	return nil
}

// successor is a node's manifest with its peers, its node API and the key group of
// all. Everything is relaxed: this is the local platform.
func (c *cluster) successor(i int, manifests []*attestation.Manifest, roots [][]byte) *attestation.Manifest {
	next := *manifests[i]
	next.Version++
	token := sha256.Sum256([]byte(c.tokens[i]))
	next.NodeAPI = &attestation.NodeAPI{AdminTokenSHA256: token[:], BearerMay: attestation.BearerOperations(), Backup: true}
	next.KeyGroup = &attestation.KeyGroup{Threshold: int64(c.shape.Threshold)}
	for j, m := range manifests {
		if j != i {
			next.Peers = append(next.Peers, attestation.Peer{
				Name: fmt.Sprintf("node-%d", j), QuorumPublicKey: m.QuorumPublicKey, Measurements: m.Measurements, AttestationRoot: roots[j],
			})
		}
	}
	return &next
}

func certificate(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("%s: is no certificate", path)
	}
	return block.Bytes, nil
}
