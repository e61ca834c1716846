package engine

import (
	"errors"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/mpctest"
)

func TestBadSetupsAreRefused(t *testing.T) {
	order := group(keys.Ed25519).Params().N
	for _, c := range []struct {
		name, operation, want string
		change                func(s *mpc.Setup)
	}{
		{"P-256", "ed25519 keygen", "P256", func(s *mpc.Setup) { s.Curve = keys.P256 }},
		{"no operation", "ed25519 keygen", "no operation", func(s *mpc.Setup) { s.Op = "forge" }},
		{"Ed25519 ahead of its message", "ed25519 sign", "ahead", func(s *mpc.Setup) { s.Op = mpc.OpPresign }},
		{"one party", "ed25519 keygen", "parties", func(s *mpc.Setup) { s.Parties = s.Parties[:1] }},
		{"self below", "ed25519 keygen", "self", func(s *mpc.Setup) { s.Self = -1 }},
		{"self above", "ed25519 keygen", "self", func(s *mpc.Setup) { s.Self = 2 }},
		{"threshold of one", "ed25519 keygen", "threshold", func(s *mpc.Setup) { s.Threshold = 1 }},
		{"threshold above the members", "ed25519 keygen", "threshold", func(s *mpc.Setup) { s.Threshold = 3 }},
		{"role of nobody", "ed25519 keygen", "no party", func(s *mpc.Setup) { s.Roles[1].Party = 5 }},
		{"x is zero", "ed25519 keygen", "x coordinate", func(s *mpc.Setup) { s.Roles[1].X = [32]byte{} }},
		{"x is the order", "ed25519 keygen", "x coordinate", func(s *mpc.Setup) { order.FillBytes(s.Roles[1].X[:]) }},
		{"x is taken", "ed25519 keygen", "taken", func(s *mpc.Setup) { s.Roles[1].X = s.Roles[0].X }},
		{"a party with two roles", "ed25519 keygen", "another", func(s *mpc.Setup) { s.Roles[1].Party = 0 }},
		{"a party with none", "ed25519 keygen", "each party", func(s *mpc.Setup) { s.Parties = append(s.Parties[:2:2], mpc.PartyID{}) }},
		{"an old member of no reshare", "ed25519 keygen", "reshare", func(s *mpc.Setup) { s.Roles[1].Old = true }},
		{"no pre-parameters", "secp256k1 keygen", "pre-parameters", func(s *mpc.Setup) { s.PreParams = nil }},
		{"no share", "ed25519 sign", "another key", func(s *mpc.Setup) { s.Share = nil }},
		{"another public key", "ed25519 sign", "another key", func(s *mpc.Setup) { s.Public = s.Roles[0].Public }},
		{"another member", "ed25519 sign", "no member", func(s *mpc.Setup) { s.Roles[1].X[31]++ }},
		{"another public share", "ed25519 sign", "no member", func(s *mpc.Setup) { s.Roles[1].Public = s.Public }},
		{"another's secret", "ed25519 sign", "does not belong", func(s *mpc.Setup) { s.Share.Secret = mpctest.Key(t, keys.Ed25519)[1].Secret }},
		{"a short digest", "secp256k1 sign", "digest", func(s *mpc.Setup) { s.Digest = s.Digest[1:] }},
		{"a short delta", "secp256k1 sign", "delta", func(s *mpc.Setup) { s.Delta = []byte{1} }},
		{"a large delta", "ed25519 sign", "delta", func(s *mpc.Setup) { s.Delta = order.FillBytes(make([]byte, 32)) }},
		{"x in both committees", "ed25519 reshare", "taken", func(s *mpc.Setup) { s.Roles[3].X = s.Roles[0].X }},
		{"too few old shares", "ed25519 reshare", "old threshold", func(s *mpc.Setup) { s.OldThreshold = 3 }},
		{"no old share", "ed25519 reshare", "scalar", func(s *mpc.Setup) { s.Old = nil }},
		{"another's old share", "ed25519 reshare", "does not belong", func(s *mpc.Setup) { s.Old[0].Secret = mpctest.Key(t, keys.Ed25519)[1].Secret }},
		{"old shares of another key", "ed25519 reshare", "not those of the key", func(s *mpc.Setup) { s.Public = s.Roles[1].Public }},
		{"an old share that is no point", "ed25519 reshare", "point", func(s *mpc.Setup) { s.Roles[1].Public = make([]byte, 31) }},
		{"a state of something else", "secp256k1 sign", "state", func(s *mpc.Setup) { s.Share.State = keys.NewSecret([]byte("?")) }},
		{"pre-parameters of something else", "secp256k1 keygen", "set", func(s *mpc.Setup) { s.PreParams = keys.NewSecret([]byte("?")) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := setups(t, c.operation)[0]
			c.change(s)
			session, err := New().Start(t.Context(), s)
			if session != nil {
				session.Close()
			}
			f, ok := errors.AsType[*mpc.Failure](err)
			if !ok || !strings.Contains(f.Reason, c.want) || (f.Cause != mpc.CauseSetup && f.Cause != mpc.CauseEngine) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
