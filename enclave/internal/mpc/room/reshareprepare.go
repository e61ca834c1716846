package room

import (
	"crypto/rand"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// importShares is how many shares an importer splits the key into: it speaks
// for all of them, as the whole old committee of a key that has no other.
const importShares = 2

type oldSecret struct {
	member int // index into own.Members
	secret *keys.Secret
	state  *keys.Secret
}

// prepare finds who this party is in the room, and what it speaks for. In the
// room a party of both committees goes by its new name.
func (h *resharing) prepare() (self mpc.PartyID, err error) {
	q := h.req
	switch {
	case q.NewSelf != nil:
		self = *q.NewSelf
	case q.Old != nil:
		self = q.Old.Self
	default:
		return self, mpc.Failf(mpc.CauseSetup, nil, "this node is in neither committee")
	}
	if q.Import != nil {
		err = h.prepareImport()
	} else if q.Old != nil {
		h.prepareOld()
	}
	if h.own != nil {
		h.extra = codec.Encode(h.own)
	}
	return self, err
}

func (h *resharing) prepareOld() {
	old := h.req.Old
	h.own = &oldExtra{Threshold: old.Threshold, Public: old.Public, ChainCode: old.ChainCode, Mine: []int{old.Member(old.Self)}}
	for _, m := range old.Members {
		h.own.Members = append(h.own.Members, oldRole{X: m.X[:], Public: m.Public})
	}
	c := cloneShare(old) // the engine's library writes into what it is given
	h.olds = []oldSecret{{member: h.own.Mine[0], secret: c.Secret, state: c.State}}
}

// prepareImport splits the key into shares of which all are needed.
func (h *resharing) prepareImport() error {
	public, err := keys.ScalarPublic(h.req.Curve, h.req.Import)
	if err != nil {
		return mpc.Failf(mpc.CauseSetup, nil, "the key: %v", err)
	}
	xs := make([][32]byte, importShares)
	for i := range xs {
		xs[i] = [32]byte(freshX())
	}
	points, err := keys.SplitPoints(h.req.Curve, h.req.Import, xs, rand.Reader)
	if err != nil {
		return err
	}
	h.own = &oldExtra{Threshold: importShares, Public: public, ChainCode: h.req.ChainCode}
	for i, p := range points {
		share, err := keys.ScalarPublic(h.req.Curve, p.Y)
		if err != nil {
			return err
		}
		h.own.Members = append(h.own.Members, oldRole{X: p.X[:], Public: share})
		h.own.Mine = append(h.own.Mine, i)
		h.olds = append(h.olds, oldSecret{member: i, secret: p.Y})
	}
	return nil
}
