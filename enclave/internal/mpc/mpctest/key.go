package mpctest

import (
	"fmt"
	"io/fs"
	"testing"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// KeyParties and KeyThreshold are the shape of the committed keys.
const (
	KeyParties   = 3
	KeyThreshold = 2
)

// A keyFile is one committed share. The keys are public: they hold nothing.
type keyFile struct {
	X, Publics [][]byte
	Public     []byte
	Secrets    [][]byte
	States     [][]byte
}

// Key returns the shares of a committed key, 2 of 3, so that tests need not make
// one.
func Key(t testing.TB, c keys.Curve) (out []*mpc.Share) {
	t.Helper()
	b, err := fs.ReadFile(fixtures, fmt.Sprintf("testdata/key%d.cbor", c))
	if err != nil {
		t.Fatal(err)
	}
	var f keyFile
	if err := codec.Decode(b, &f); err != nil {
		t.Fatal(err)
	}
	parties := Parties(KeyParties)
	for i := range parties {
		s := &mpc.Share{
			Curve: c, Threshold: KeyThreshold, Self: parties[i], Public: f.Public, ChainCode: make([]byte, 32),
			Secret: keys.NewSecret(f.Secrets[i]), State: keys.NewSecret(f.States[i]),
		}
		for j, p := range parties {
			s.Members = append(s.Members, mpc.Member{Party: p, X: [32]byte(f.X[j]), Public: f.Publics[j]})
		}
		out = append(out, s)
	}
	return out
}

// EncodeKey is what [Key] reads, of freshly made shares.
func EncodeKey(shares []*mpc.Share) []byte {
	f := keyFile{Public: shares[0].Public}
	for _, s := range shares {
		own := s.Members[s.Member(s.Self)]
		f.X, f.Publics = append(f.X, own.X[:]), append(f.Publics, own.Public)
		f.Secrets, f.States = append(f.Secrets, s.Secret.Expose()), append(f.States, s.State.Expose())
	}
	return codec.Encode(f)
}
