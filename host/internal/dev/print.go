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

ctrl-C stops it.
`
