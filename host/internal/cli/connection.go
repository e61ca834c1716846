package cli

import (
	"crypto/x509"
	"encoding/pem"
	"os"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/host/client"
)

// Connection holds the flags that all verbs share which talk to an appliance.
// Each value comes from the first of: its flag, --dev, the environment, the
// configuration file.
type Connection struct {
	BaseURL      string `name:"base-url" placeholder:"URL" group:"Connection" help:"Where the appliance's host is ($$SALLYPORT_BASE_URL)."`
	Organization string `placeholder:"ID" group:"Connection" help:"Organization ($$SALLYPORT_ORGANIZATION)."`
	KeyFile      string `type:"path" placeholder:"FILE" group:"Connection" help:"Your API key, from: sallyport key generate ($$SALLYPORT_KEY_FILE)."`
	QuorumKey    string `placeholder:"HEX" group:"Connection" help:"The appliance's quorum key to pin, 130 hex digits ($$SALLYPORT_QUORUM_KEY)."`
	LocalRoot    string `type:"path" placeholder:"FILE" group:"Connection" help:"Trust a local platform by its attestation root, a PEM file; it protects nothing ($$SALLYPORT_LOCAL_ROOT)."`
	Measurements string `type:"path" placeholder:"FILE" group:"Connection" help:"Trust AWS Nitro enclaves with these measurements: JSON with pcr0, pcr1 and pcr2, or a list of such ($$SALLYPORT_MEASUREMENTS)."`
	Config       string `type:"path" placeholder:"FILE" group:"Connection" help:"JSON file with any of base_url, organization, key_file, quorum_key, local_root, measurements ($$SALLYPORT_CONFIG)."`
	Dev          string `type:"path" placeholder:"FILE" group:"Connection" help:"What sallyport dev --json printed, or ready.json of its --data folder: fills in all of the above."`
	As           string `placeholder:"USER" group:"Connection" help:"With --dev: user name, or number from 1 (default: the first)."`
	JSON         bool   `name:"json" help:"Print one JSON document on standard output."`
}

// need says what a verb cannot do without.
type need int

const (
	needAppliance need = iota // base URL, quorum key, trust
	needUser                  // and an organization and an API key
)

// settings are the values of one source, or of all of them.
type settings struct {
	baseURL, organization, quorumKey string
	// Of each of these pairs one is set: they come from one source together.
	keyFile                 string
	key                     *client.APIKey
	localRoot, measurements string
}

// over fills in from below what v leaves open.
func (v settings) over(below settings) settings {
	for _, f := range []struct{ mine, below *string }{
		{&v.baseURL, &below.baseURL}, {&v.organization, &below.organization}, {&v.quorumKey, &below.quorumKey},
	} {
		if *f.mine == "" {
			*f.mine = *f.below
		}
	}
	if v.keyFile == "" && v.key == nil {
		v.keyFile, v.key = below.keyFile, below.key
	}
	if v.localRoot == "" && v.measurements == "" {
		v.localRoot, v.measurements = below.localRoot, below.measurements
	}
	return v
}

// settle reads all sources.
func (c *Connection) settle(s *Streams) (settings, error) {
	if c.LocalRoot != "" && c.Measurements != "" {
		return settings{}, usage("a local platform has no measurements of its own", "--local-root and --measurements: only one can be trusted")
	}
	out := settings{
		baseURL: c.BaseURL, organization: c.Organization, quorumKey: c.QuorumKey,
		keyFile: c.KeyFile, localRoot: c.LocalRoot, measurements: c.Measurements,
	}
	dev, err := c.readDev()
	if err != nil {
		return settings{}, err
	}
	env := settings{
		baseURL: s.getenv("SALLYPORT_BASE_URL"), organization: s.getenv("SALLYPORT_ORGANIZATION"),
		quorumKey: s.getenv("SALLYPORT_QUORUM_KEY"), keyFile: s.getenv("SALLYPORT_KEY_FILE"),
		localRoot: s.getenv("SALLYPORT_LOCAL_ROOT"), measurements: s.getenv("SALLYPORT_MEASUREMENTS"),
	}
	path := c.Config
	if path == "" {
		path = s.getenv("SALLYPORT_CONFIG")
	}
	config, err := readConfig(path)
	if err != nil {
		return settings{}, err
	}
	out = out.over(dev).over(env).over(config)
	if out.localRoot != "" && out.measurements != "" {
		return settings{}, usage("give one of the two", "a local root and measurements are both set: only one can be trusted")
	}
	return out, nil
}

// connect makes the client of a verb. It does not connect yet.
func (c *Connection) connect(s *Streams, need need) (*client.Client, error) {
	v, err := c.settle(s)
	if err != nil {
		return nil, err
	}
	if err := v.complete(need); err != nil {
		return nil, err
	}
	config := client.Config{BaseURL: v.baseURL}
	if config.Trust, err = v.trust(); err != nil {
		return nil, err
	}
	if config.QuorumPublicKey, err = client.ParseQuorumPublicKey(v.quorumKey); err != nil {
		return nil, err
	}
	if need == needUser {
		config.OrganizationID, config.Key = v.organization, v.key
		if config.Key == nil {
			if config.Key, err = readKeyFile(v.keyFile, s); err != nil {
				return nil, err
			}
		}
	}
	return client.New(config)
}

func (v *settings) complete(need need) error {
	for _, f := range []struct {
		missing bool
		flag    string
	}{
		{v.baseURL == "", "--base-url"},
		{v.quorumKey == "", "--quorum-key"},
		{v.localRoot == "" && v.measurements == "", "--measurements or --local-root"},
		{need == needUser && v.organization == "", "--organization"},
		{need == needUser && v.keyFile == "" && v.key == nil, "--key-file"},
	} {
		if f.missing {
			return usage("flags, environment variables, --config FILE, or for development --dev FILE", "missing: %s", f.flag)
		}
	}
	return nil
}

func (v *settings) trust() (attestation.Trust, error) {
	if v.localRoot != "" {
		b, err := os.ReadFile(v.localRoot)
		if err != nil {
			return attestation.Trust{}, usage("", "local root: %w", err)
		}
		block, _ := pem.Decode(b)
		if block == nil || block.Type != "CERTIFICATE" {
			return attestation.Trust{}, usage("", "local root: %s holds no PEM certificate", v.localRoot)
		}
		return trustLocal(v.localRoot, block.Bytes)
	}
	list, err := readMeasurements(v.measurements)
	if err != nil {
		return attestation.Trust{}, err
	}
	t, err := attestation.TrustAWS(list...)
	return t, asUsage(err)
}

func trustLocal(path string, der []byte) (attestation.Trust, error) {
	root, err := x509.ParseCertificate(der)
	if err != nil {
		return attestation.Trust{}, usage("", "local root: %s: %w", path, err)
	}
	t, err := attestation.TrustLocal(root)
	return t, asUsage(err)
}

// asUsage marks an error about what the user pins, which is not a failed
// verification.
func asUsage(err error) error {
	if err == nil {
		return nil
	}
	return usage("", "%v", err)
}
