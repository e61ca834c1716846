package strictjson_test

import (
	"encoding/json"
	"testing"

	"github.com/sallyport/sallyport/attestation/strictjson"
)

// benchBody is an ordinary activity of about 600 bytes.
const benchBody = `{"parameters":{"privateKeys":[{"privateKeyName":"treasury hot wallet 0001","curve":"CURVE_SECP256K1",` +
	`"privateKeyTags":["6f1c8f0e-8c7f-4f4e-9a55-0a4c0e2d5b11","7f1c8f0e-8c7f-4f4e-9a55-0a4c0e2d5b12"]},` +
	`{"privateKeyName":"treasury hot wallet 0002","curve":"CURVE_ED25519",` +
	`"privateKeyTags":["8f1c8f0e-8c7f-4f4e-9a55-0a4c0e2d5b13","9f1c8f0e-8c7f-4f4e-9a55-0a4c0e2d5b14"]}]},` +
	`"organizationId":"1a2b3c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d","generateAppProofs":false,"wide":1763690000000,` +
	`"document":"c2FsbHlwb3J0IHNhbGx5cG9ydA==","type":"ACTIVITY_TYPE_CREATE_PRIVATE_KEYS_V2"}`

func BenchmarkDecode(b *testing.B) {
	body := []byte(benchBody)
	b.Run("strictjson", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			var v activity
			if err := strictjson.Decode(body, &v); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("floor=encoding-json", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			var v activity
			if err := json.Unmarshal(body, &v); err != nil {
				b.Fatal(err)
			}
		}
	})
}
