package dev

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// print shows the credentials: one line of JSON, or words for a person.
func (c *Command) print(w io.Writer, k *Credentials, s shape, f *folder) error {
	if c.JSON {
		b, err := json.Marshal(k)
		if err != nil {
			return err
		}
		_, err = w.Write(append(b, '\n'))
		return err
	}
	var b strings.Builder
	b.WriteString(warning)
	fmt.Fprintf(&b, "Base URL:           %s\n", k.BaseURL)
	fmt.Fprintf(&b, "Organization:       %s\n", k.OrganizationID)
	fmt.Fprintf(&b, "Root quorum:        %d of %d\n", s.Quorum, s.RootUsers)
	for _, u := range k.Users {
		fmt.Fprintf(&b, "\nUser %s:        %s\n", u.UserName, u.UserID)
		fmt.Fprintf(&b, "  API public key:   %s\n", u.APIPublicKey)
		fmt.Fprintf(&b, "  API private key:  %s\n", u.APIPrivateKey)
	}
	fmt.Fprintf(&b, "\nQuorum public key:  %s\n", k.QuorumPublicKey)
	fmt.Fprintf(&b, "Attestation root:   %s\n", k.AttestationRoot)
	if c.Data == "" {
		fmt.Fprintf(&b, "Data:               temporary, removed at the end (--data DIR keeps it)\n")
	} else {
		fmt.Fprintf(&b, "Data:               %s\n", f.dir)
	}
	fmt.Fprintf(&b, examples, k.BaseURL, k.BaseURL, k.BaseURL)
	printNodes(&b, k, s)
	b.WriteString("\nctrl-C stops it.\n")
	_, err := io.WriteString(w, b.String())
	return err
}

const warning = `
WARNING: this is the local platform. It runs the real code and protects nothing:
the root secret, the attestation root and the private keys below lie on this
machine in the open. Attestation documents say "local", and no verifier that
expects a Nitro enclave accepts them. Use it with keys that are worth nothing.

`

const examples = `
Try it:
  curl %s/readyz
  curl %s/sallyport/v1/status
Or point an existing Turnkey client at it: base URL %s,
the organization and a user's API keys from above, and the quorum public key
as the signer of export bundles.
`

// printNodes shows the appliances of --nodes, and how a key is made with them.
func printNodes(b *strings.Builder, k *Credentials, s shape) {
	if len(k.Nodes) == 0 {
		return
	}
	fmt.Fprintf(b, "\nThe organization is that of all nodes: ask any of them. %d of its %d shares sign. Relay: %s\n", s.Threshold, len(k.Nodes), k.RelayAddress)
	for i, n := range k.Nodes {
		fmt.Fprintf(b, "  node %d:  %s  admin token %s\n", i, n.BaseURL, n.AdminToken)
	}
	fmt.Fprintf(b, nodeExample, len(k.Nodes), s.Threshold, len(k.Nodes), k.Nodes[0].AdminToken, k.Nodes[0].BaseURL)
}

const nodeExample = `
An activity that creates private keys makes MPC keys of all nodes. By the node
API, a key of %d nodes of which %d sign:
  1. on each node: GET /admin/create-user (admin token) gives an api_key, and
     GET /ecdsa/create (api_key) a key_id and a keygen_id
  2. on one node: POST /create-room {"room_size":%d} gives a room_uuid
  3. on all nodes at once: POST /ecdsa/keygen with room_uuid, key_id,
     num_parties, threshold and others_keygen_ids
  curl -H "AUTHORIZATION: %s" "%s/admin/create-user?name=alice"
`
