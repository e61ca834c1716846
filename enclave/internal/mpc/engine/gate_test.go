package engine

import (
	"slices"
	"testing"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/mpctest"
)

func TestHonestMessagesPass(t *testing.T) {
	for _, name := range operations {
		if f, _ := record(t, name).replay(t, nil); f != nil {
			t.Errorf("%s: %v", name, f)
		}
	}
}

// A relay may change the order; and repeat.
func TestHonestMessagesPassInAnyOrder(t *testing.T) {
	for _, name := range operations {
		r := *record(t, name)
		r.mail = slices.Clone(r.mail)
		slices.Reverse(r.mail)
		if f, _ := r.replay(t, nil); f != nil {
			t.Errorf("%s: %v", name, f)
		}
	}
}

// What was recorded made keys: both shares make one, and sign with it.
func TestRecordedKeys(t *testing.T) {
	for _, name := range []string{"secp256k1 keygen", "secp256k1 reshare", "ed25519 reshare"} {
		r := record(t, name)
		var points []keys.Point
		for _, s := range r.shares {
			points = append(points, keys.Point{X: s.Members[s.Member(s.Self)].X, Y: s.Secret})
		}
		if _, err := keys.CombinePoints(r.setup.Curve, points, r.shares[0].Public); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if r.setup.Public != nil && !slices.Equal(r.setup.Public, r.shares[0].Public) {
			t.Errorf("%s: the key changed", name)
		}
		setups := mpctest.SignSetups(mpc.OpSign, r.shares, []int{0, 1}, digest[:], nil)
		for _, o := range mpctest.Run(t.Context(), mpctest.Start(t, New(), setups), nil, nil) {
			if err := o.Err(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
