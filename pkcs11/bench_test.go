//go:build cgo

package pkcs11

import (
	"fmt"
	"testing"

	p11 "github.com/miekg/pkcs11"
)

// BenchmarkSign measures a signature of ours beside the bare one of the token
// in the same run: ours checks the login, makes s the lower one and verifies.
func BenchmarkSign(b *testing.B) {
	for _, module := range []string{"SoftHSM", "NSS"} {
		b.Run(module, func(b *testing.B) { benchmarkSign(b, newBench(b, module)) })
	}
}

func newBench(b *testing.B, module string) *tokens {
	b.Helper()
	if module == "NSS" {
		return newNSS(b)
	}
	k := newTokens(b)
	k.add("sallyport")
	return k
}

func benchmarkSign(b *testing.B, k *tokens) {
	token := mustOpenAs(b, k.uri("sallyport"), RoleSigner)
	for _, c := range k.curves() {
		signer, err := token.GenerateSigner(b.Context(), c, string(c))
		if err != nil {
			b.Fatal(err)
		}
		digest := digestFor(c)
		b.Run(fmt.Sprintf("%s/bare", c), func(b *testing.B) {
			raw(b, token, func(api cryptoki, s p11.SessionHandle) error { return bareSigns(b, api, s, signer, digest) })
		})
		b.Run(fmt.Sprintf("%s/ours", c), func(b *testing.B) {
			for b.Loop() {
				if _, err := signer.Sign(b.Context(), digest); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%s/ours-4-callers", c), func(b *testing.B) {
			b.SetParallelism(2)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := signer.Sign(b.Context(), digest); err != nil {
						b.Error(err)
					}
				}
			})
		})
		b.Run(fmt.Sprintf("%s/verify", c), func(b *testing.B) {
			signature, err := signer.Sign(b.Context(), digest)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if !curves[c].verify(signer.pair.public, digest, signature) {
					b.Fatal("does not verify")
				}
			}
		})
	}
}

// bareSigns signs in one session with one handle, and checks nothing.
func bareSigns(b *testing.B, api cryptoki, s p11.SessionHandle, signer *Signer, digest []byte) error {
	private, err := signer.pair.private(s)
	if err != nil {
		return err
	}
	for b.Loop() {
		if err := api.SignInit(s, mechanisms(signer.pair.kind.sign, nil), private); err != nil {
			return err
		}
		if _, err := api.Sign(s, digest); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkECDH measures an agreement of ours: on the other side of it is the
// opening of what is sealed to an operator.
func BenchmarkECDH(b *testing.B) {
	for _, module := range []string{"SoftHSM", "NSS"} {
		b.Run(module, func(b *testing.B) {
			token := mustOpenAs(b, newBench(b, module).uri("sallyport"), RoleOperator)
			operator, err := token.GenerateOperator(b.Context(), "operator")
			if err != nil {
				b.Fatal(err)
			}
			b.Run("bare", func(b *testing.B) {
				raw(b, token, func(_ cryptoki, s p11.SessionHandle) error {
					private, err := operator.pair.private(s)
					for err == nil && b.Loop() {
						_, err = token.derive(s, private, operator.public)
					}
					return err
				})
			})
			b.Run("ours", func(b *testing.B) {
				for b.Loop() {
					if _, err := operator.ECDH(operator.public); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
