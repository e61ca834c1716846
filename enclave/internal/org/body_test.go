package org

import (
	"encoding/json"
	"testing"
)

// FuzzParseBody holds the parsers of all activities to two things: they never
// panic, and they read nothing that the standard library would not read.
func FuzzParseBody(f *testing.F) {
	for _, parameters := range []string{
		`"ACTIVITY_TYPE_CREATE_PRIVATE_KEYS_V2","parameters":{"privateKeys":[{"privateKeyName":"k","curve":"CURVE_SECP256K1","privateKeyTags":[],"addressFormats":["ADDRESS_FORMAT_ETHEREUM"]}]}`,
		`"ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2","parameters":{"signWith":"k","payload":"00","encoding":"PAYLOAD_ENCODING_HEXADECIMAL","hashFunction":"HASH_FUNCTION_NO_OP"}`,
		`"ACTIVITY_TYPE_SIGN_RAW_PAYLOAD","parameters":{"privateKeyId":"k","payload":"00","encoding":"PAYLOAD_ENCODING_TEXT_UTF8","hashFunction":"HASH_FUNCTION_SHA256"}`,
		`"ACTIVITY_TYPE_SIGN_RAW_PAYLOADS","parameters":{"signWith":"k","payloads":["a","b"],"encoding":"PAYLOAD_ENCODING_TEXT_UTF8","hashFunction":"HASH_FUNCTION_SHA256"}`,
		`"ACTIVITY_TYPE_EXPORT_PRIVATE_KEY","parameters":{"privateKeyId":"00000000-0000-8000-8000-000000000000","targetPublicKey":"046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"}`,
		`"ACTIVITY_TYPE_CREATE_USERS_V4","parameters":{"users":[{"userName":"u","userEmail":null,"apiKeys":[{"apiKeyName":"a","publicKey":"036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296","curveType":"API_KEY_CURVE_P256","expirationSeconds":"60"}],"authenticators":[],"oauthProviders":[],"userTags":[]}]}`,
		`"ACTIVITY_TYPE_CREATE_API_KEYS_V2","parameters":{"userId":"00000000-0000-8000-8000-000000000000","apiKeys":[{"apiKeyName":"a","publicKey":"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a","curveType":"API_KEY_CURVE_ED25519"}]}`,
		`"ACTIVITY_TYPE_DELETE_API_KEYS","parameters":{"userId":"00000000-0000-8000-8000-000000000000","apiKeyIds":["x"]}`,
		`"ACTIVITY_TYPE_APPROVE_ACTIVITY","parameters":{"fingerprint":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}`,
		`"ACTIVITY_TYPE_UPDATE_ROOT_QUORUM","parameters":{"threshold":1,"userIds":["00000000-0000-8000-8000-000000000000"]}`,
	} {
		f.Add([]byte(`{"type":` + parameters + `,"timestampMs":"1","organizationId":"o","generateAppProofs":null}`))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := parseBody(body)
		if err != nil {
			return
		}
		if !json.Valid(body) || !json.Valid(p.parameters) || !json.Valid(dropNulls(json.RawMessage(p.parameters))) {
			t.Errorf("read what is not JSON: %q", body)
		}
		if p.kind == nil || p.intent == nil || p.kind.types[p.typ] == "" {
			t.Errorf("parsed to nothing: %q", body)
		}
	})
}
