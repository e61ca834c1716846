package dev

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/sallyport/sallyport/host/client"
)

// The two states of a folder's credentials. Pending is durable before the
// organization is founded and goes once ready is durable, so that a crash at
// any point leaves either nothing founded or the keys of what was.
const (
	pendingFile = "pending.json"
	readyFile   = "ready.json"
)

// Credentials is what `dev --json` prints: everything that a client needs.
type Credentials struct {
	BaseURL         string `json:"base_url"` // http://IP:PORT
	OrganizationID  string `json:"organization_id"`
	Users           []User `json:"users"`
	QuorumPublicKey string `json:"quorum_public_key"` // 65 bytes uncompressed, hex
	AttestationRoot string `json:"attestation_root"`  // absolute path of a PEM file
	EnclavePID      int    `json:"enclave_pid"`
	HostPID         int    `json:"host_pid"`
	// Nodes are all appliances of --nodes, the first one included, and
	// RelayAddress is their relay. The rest is the first one's.
	Nodes        []Node `json:"nodes,omitempty"`
	RelayAddress string `json:"relay_address,omitempty"` // HOST:PORT
}

// Node is one of several appliances that hold MPC keys together.
type Node struct {
	BaseURL         string `json:"base_url"`
	AdminToken      string `json:"admin_token"` // of the node API
	OrganizationID  string `json:"organization_id"`
	QuorumPublicKey string `json:"quorum_public_key"`
	AttestationRoot string `json:"attestation_root"`
	EnclavePID      int    `json:"enclave_pid"`
	HostPID         int    `json:"host_pid"`
}

// User is a root user and its API key.
type User struct {
	UserID        string `json:"user_id"`
	UserName      string `json:"user_name"`
	APIPublicKey  string `json:"api_public_key"`  // 33 bytes compressed, hex
	APIPrivateKey string `json:"api_private_key"` // 32 bytes, hex
}

// kept is what a folder remembers. It is written as the credentials with three
// members more.
type kept struct {
	Credentials
	Root         string `json:"root"`          // kind of root: file or pkcs11
	FoundingBody string `json:"founding_body"` // the exact bytes
	Threshold    int    `json:"threshold,omitempty"`

	shape      shape
	quorumKeys []string // of the founding body
	founded    bool     // ready.json was there
}

// load reads what the folder remembers, nil when it is new.
func (f *folder) load() (*kept, error) {
	k, err := f.read(readyFile)
	if err != nil {
		return nil, err
	}
	if k != nil {
		k.founded = true
		return k, f.remove(pendingFile)
	}
	return f.read(pendingFile)
}

func (f *folder) read(name string) (*kept, error) {
	b, err := os.ReadFile(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("--data: %w", err)
	}
	k := new(kept)
	if err := json.Unmarshal(b, k); err != nil {
		return nil, fmt.Errorf("--data: %s: is damaged: %w", f.path(name), err)
	}
	if err := k.check(); err != nil {
		return nil, fmt.Errorf("--data: %s: %w", f.path(name), err)
	}
	return k, nil
}

// check reads the shape out of the founding body and makes sure that keys,
// body and id belong together.
func (k *kept) check() error {
	var body client.FoundingBody
	if err := json.Unmarshal([]byte(k.FoundingBody), &body); err != nil {
		return fmt.Errorf("founding_body: %w", err)
	}
	if len(k.Users) == 0 || len(k.Users) != len(body.RootUsers) {
		return fmt.Errorf("users: there are %d, the founding body lists %d", len(k.Users), len(body.RootUsers))
	}
	if _, err := k.keys(); err != nil {
		return err
	}
	if k.OrganizationID != "" && k.OrganizationID != client.OrganizationID([]byte(k.FoundingBody)) {
		return errors.New("organization_id: does not belong to founding_body")
	}
	k.quorumKeys = body.QuorumPublicKeys
	k.shape = shape{RootUsers: len(k.Users), Quorum: body.RootQuorumThreshold, Root: k.Root, Nodes: len(body.QuorumPublicKeys), Threshold: k.Threshold}
	return nil
}

// keys parses the users' keys.
func (k *kept) keys() ([]*client.APIKey, error) {
	keys := make([]*client.APIKey, len(k.Users))
	for i, u := range k.Users {
		key, err := client.ParseAPIKey(u.APIPublicKey, u.APIPrivateKey)
		if err != nil {
			return nil, fmt.Errorf("users[%d]: %w", i, err)
		}
		keys[i] = key
	}
	return keys, nil
}

// save makes k durable under name.
func (f *folder) save(name string, k *kept) error {
	b, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("--data: %s: %w", name, err)
	}
	if err := writeDurably(f.dir, name, append(b, '\n')); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	return nil
}

func (f *folder) remove(name string) error {
	if err := os.Remove(f.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("--data: %w", err)
	}
	return nil
}
