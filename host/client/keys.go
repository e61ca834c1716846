package client

import "context"

// PrivateKey is what everybody in the organization may know of a key.
type PrivateKey struct {
	PrivateKeyID string `json:"privateKeyId"`
	// PublicKey is hex: 33 bytes compressed, or 32 bytes of Ed25519.
	PublicKey      string    `json:"publicKey"`
	PrivateKeyName string    `json:"privateKeyName"`
	Curve          string    `json:"curve"` // KeyCurveSecp256k1, ...
	Addresses      []Address `json:"addresses"`
	CreatedAt      Timestamp `json:"createdAt"`
	// Exported says that the key has left the appliance at least once.
	Exported bool `json:"exported"`
}

// Address is one form of a public key.
type Address struct {
	Format  string `json:"format"` // such as ADDRESS_FORMAT_ETHEREUM
	Address string `json:"address"`
}

// The curves of private keys.
const (
	KeyCurveSecp256k1 = "CURVE_SECP256K1"
	KeyCurveP256      = "CURVE_P256"
	KeyCurveEd25519   = "CURVE_ED25519"
)

// NewPrivateKey is a key to create.
type NewPrivateKey struct {
	PrivateKeyName string   `json:"privateKeyName"` // of its own in the organization
	Curve          string   `json:"curve"`
	PrivateKeyTags []string `json:"privateKeyTags"`
	AddressFormats []string `json:"addressFormats"`
}

// CreatedPrivateKey is the result of creating one.
type CreatedPrivateKey struct {
	PrivateKeyID string    `json:"privateKeyId"`
	Addresses    []Address `json:"addresses"`
}

// CreatePrivateKeys makes keys inside the enclave, and returns them in order.
func (c *Client) CreatePrivateKeys(ctx context.Context, keys ...NewPrivateKey) ([]CreatedPrivateKey, error) {
	list := make([]NewPrivateKey, 0, len(keys))
	for _, k := range keys { // lists are never null
		k.PrivateKeyTags = append([]string{}, k.PrivateKeyTags...)
		k.AddressFormats = append([]string{}, k.AddressFormats...)
		list = append(list, k)
	}
	var out struct {
		PrivateKeys []CreatedPrivateKey `json:"privateKeys"`
	}
	_, err := c.run(ctx, "create_private_keys", "ACTIVITY_TYPE_CREATE_PRIVATE_KEYS_V2", struct {
		PrivateKeys []NewPrivateKey `json:"privateKeys"`
	}{list}, "createPrivateKeysResultV2", &out)
	return out.PrivateKeys, err
}

// ListPrivateKeys returns all keys.
func (c *Client) ListPrivateKeys(ctx context.Context) ([]PrivateKey, error) {
	var out struct {
		PrivateKeys []PrivateKey `json:"privateKeys"`
	}
	_, err := c.query(ctx, "list_private_keys", inOrganization{c.organization}, &out)
	return out.PrivateKeys, err
}

// GetPrivateKey returns one key.
func (c *Client) GetPrivateKey(ctx context.Context, privateKeyID string) (*PrivateKey, error) {
	var out struct {
		PrivateKey *PrivateKey `json:"privateKey"`
	}
	a, err := c.query(ctx, "get_private_key", struct {
		OrganizationID string `json:"organizationId"`
		PrivateKeyID   string `json:"privateKeyId"`
	}{c.organization, privateKeyID}, &out)
	if err != nil {
		return nil, err
	}
	if out.PrivateKey == nil || out.PrivateKey.PrivateKeyID != privateKeyID {
		return nil, a.refuse(ReasonContent, nil, "it is about another key than the one asked for")
	}
	return out.PrivateKey, nil
}

// SignRawPayloadParams say what to sign.
type SignRawPayloadParams struct {
	SignWith     string `json:"signWith"` // a key's id or one of its addresses
	Payload      string `json:"payload"`
	Encoding     string `json:"encoding"`     // EncodingText, ...
	HashFunction string `json:"hashFunction"` // HashSHA256, ...
}

// The encodings and hash functions of a payload.
const (
	EncodingHexadecimal = "PAYLOAD_ENCODING_HEXADECIMAL"
	EncodingText        = "PAYLOAD_ENCODING_TEXT_UTF8"

	HashNoOp          = "HASH_FUNCTION_NO_OP" // the payload is a digest of 32 bytes
	HashSHA256        = "HASH_FUNCTION_SHA256"
	HashKeccak256     = "HASH_FUNCTION_KECCAK256"
	HashNotApplicable = "HASH_FUNCTION_NOT_APPLICABLE" // Ed25519
)

// Signature is hex without 0x: R and S of 32 bytes, and V, the recovery id, of
// one. For Ed25519 the signature is R and S.
type Signature struct {
	R string `json:"r"`
	S string `json:"s"`
	V string `json:"v"`
}

// SignRawPayload signs with a key of the organization.
func (c *Client) SignRawPayload(ctx context.Context, p SignRawPayloadParams) (*Signature, error) {
	out := new(Signature)
	_, err := c.run(ctx, "sign_raw_payload", "ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2", p, "signRawPayloadResult", out)
	if err != nil {
		return nil, err
	}
	return out, nil
}
