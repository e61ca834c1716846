package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/host/client"
)

// devJSON is the part of what `sallyport dev` prints that verbs use.
type devJSON struct {
	BaseURL         string    `json:"base_url"`
	OrganizationID  string    `json:"organization_id"`
	Users           []devUser `json:"users"`
	QuorumPublicKey string    `json:"quorum_public_key"`
	AttestationRoot string    `json:"attestation_root"`
}

type devUser struct {
	UserName      string `json:"user_name"`
	APIPublicKey  string `json:"api_public_key"`
	APIPrivateKey string `json:"api_private_key"`
}

func (c *Connection) readDev() (settings, error) {
	if c.Dev == "" {
		if c.As != "" {
			return settings{}, usage("without --dev, --key-file says who you are", "--as: needs --dev")
		}
		return settings{}, nil
	}
	b, err := os.ReadFile(c.Dev)
	if err != nil {
		return settings{}, usage("", "--dev: %w", err)
	}
	var d devJSON
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&d); err != nil || d.BaseURL == "" || len(d.Users) == 0 {
		return settings{}, usage("make one: sallyport dev --json > FILE", "--dev: %s is not what sallyport dev prints", c.Dev)
	}
	u, err := d.user(c.As)
	if err != nil {
		return settings{}, err
	}
	key, err := client.ParseAPIKey(u.APIPublicKey, u.APIPrivateKey)
	if err != nil {
		return settings{}, usage("", "--dev: %s: user %s: %w", c.Dev, u.UserName, err)
	}
	return settings{
		baseURL: d.BaseURL, organization: d.OrganizationID, quorumKey: d.QuorumPublicKey, key: key, localRoot: d.AttestationRoot,
	}, nil
}

// user finds a user by name, or by number from 1.
func (d *devJSON) user(as string) (*devUser, error) {
	if as == "" {
		return &d.Users[0], nil
	}
	var names []string
	for i := range d.Users {
		if d.Users[i].UserName == as {
			return &d.Users[i], nil
		}
		names = append(names, d.Users[i].UserName)
	}
	if n, err := strconv.Atoi(as); err == nil && n >= 1 && n <= len(d.Users) {
		return &d.Users[n-1], nil
	}
	return nil, usage("one of: "+strings.Join(names, ", "), "--as: there is no user %q", as)
}

// configJSON is the configuration file. Relative paths start at its folder.
type configJSON struct {
	BaseURL      string `json:"base_url"`
	Organization string `json:"organization"`
	KeyFile      string `json:"key_file"`
	QuorumKey    string `json:"quorum_key"`
	LocalRoot    string `json:"local_root"`
	Measurements string `json:"measurements"`
}

func readConfig(path string) (settings, error) {
	if path == "" {
		return settings{}, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return settings{}, usage("", "--config: %w", err)
	}
	var c configJSON
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return settings{}, usage("", "--config: %s: %w", path, err)
	}
	for _, p := range []*string{&c.KeyFile, &c.LocalRoot, &c.Measurements} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(filepath.Dir(path), *p)
		}
	}
	return settings{
		baseURL: c.BaseURL, organization: c.Organization, quorumKey: c.QuorumKey,
		keyFile: c.KeyFile, localRoot: c.LocalRoot, measurements: c.Measurements,
	}, nil
}
