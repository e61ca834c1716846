package client

// OpenUnproven opens a bundle as if a reply with a proof by the bundle's own
// enclave had brought it: what the checks of the bundle are worth by themselves.
func OpenUnproven(c *Client, fingerprint string, key *PrivateKey, target *TargetKey, bundle []byte) (*Export, error) {
	from := &answer{reply: &reply{}}
	return c.open(from, &Activity{Fingerprint: fingerprint}, key, target, exportResult{ExportBundle: string(bundle)})
}
