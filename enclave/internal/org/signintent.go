package org

import "github.com/sallyport/sallyport/attestation/strictjson"

// The two wire forms of a sign intent differ in one name.
type (
	signParamsV1 struct {
		PrivateKeyID string `json:"privateKeyId" strict:"required"`
		Payload      string `json:"payload" strict:"required"`
		Encoding     string `json:"encoding" strict:"required"`
		HashFunction string `json:"hashFunction" strict:"required"`
	}
	signParamsV2 struct {
		SignWith     string `json:"signWith" strict:"required"`
		Payload      string `json:"payload" strict:"required"`
		Encoding     string `json:"encoding" strict:"required"`
		HashFunction string `json:"hashFunction" strict:"required"`
	}
	signParamsMany struct {
		SignWith     string   `json:"signWith" strict:"required"`
		Payloads     []string `json:"payloads" strict:"required"`
		Encoding     string   `json:"encoding" strict:"required"`
		HashFunction string   `json:"hashFunction" strict:"required"`
	}
)

func decodeSign(typ string, raw strictjson.Raw) (*signIntent, error) {
	switch typ {
	case "ACTIVITY_TYPE_SIGN_RAW_PAYLOAD":
		var p signParamsV1
		err := named(strictjson.DecodeRequest(raw, &p), "privateKeyId", &p.PrivateKeyID)
		return &signIntent{p.PrivateKeyID, []string{p.Payload}, p.Encoding, p.HashFunction, false}, err
	case "ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2":
		var p signParamsV2
		err := named(strictjson.DecodeRequest(raw, &p), "signWith", &p.SignWith)
		return &signIntent{p.SignWith, []string{p.Payload}, p.Encoding, p.HashFunction, false}, err
	default:
		var p signParamsMany
		err := named(strictjson.DecodeRequest(raw, &p), "signWith", &p.SignWith)
		return &signIntent{p.SignWith, p.Payloads, p.Encoding, p.HashFunction, true}, err
	}
}

// named refuses an empty name of a key, once the parameters were decoded.
func named(err error, member string, value *string) error {
	if err == nil && *value == "" {
		return bad("bad request body: parameters.%s must not be empty", member)
	}
	return err
}

func validSign(in *signIntent) error {
	if n := len(in.payloads); n == 0 || n > maxPayloads {
		return bad("bad request body: parameters.payloads must hold 1 to %d payloads, not %d", maxPayloads, n)
	}
	return nil
}
