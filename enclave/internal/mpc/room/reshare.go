package room

import (
	"bytes"
	"context"
	"crypto/rand"
	"slices"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// importShares is how many shares an importer splits the key into: it speaks
// for all of them, as the whole old committee of a key that has no other.
const importShares = 2

// An oldExtra is what a party of the old committee says of it in its hello.
// New parties learn the key from it, and want all to say the same.
type oldExtra struct {
	Threshold int       `cbor:"1,keyasint"`
	Public    []byte    `cbor:"2,keyasint"`
	ChainCode []byte    `cbor:"3,keyasint"`
	Members   []oldRole `cbor:"4,keyasint"` // of the old committee, all of it
	Mine      []int     `cbor:"5,keyasint"` // indices of Members that this party speaks for
}

type oldRole struct {
	X      []byte `cbor:"1,keyasint"`
	Public []byte `cbor:"2,keyasint"`
}

// Reshare implements [mpc.Runner].
func (r *Rooms) Reshare(ctx context.Context, q *mpc.ReshareRequest) (*mpc.Share, error) {
	h := &resharing{req: q}
	defer h.erase()
	self, err := h.prepare()
	if err != nil {
		return nil, err
	}
	news := slices.SortedFunc(slices.Values(q.New), mpc.PartyID.Compare)
	p := plan{
		where: q.Where, self: self, candidates: h.candidates(), open: q.Old == nil && len(q.OldParties) == 0 && q.Import == nil,
		timeout: r.Times.Reshare, extra: h.extra,
		claim: claim{
			Operation: "reshare", Curve: uint8(q.Curve), Threshold: q.NewThreshold, Parties: texts(news),
			Terms: q.Terms.Operation, Details: q.Terms.Details,
		},
	}
	err = r.operate(ctx, p, h.run, nil)
	if err != nil {
		h.share.Erase()
		return nil, err
	}
	return h.share, nil
}

// A resharing is one party's part in a reshare, refresh or import.
type resharing struct {
	req   *mpc.ReshareRequest
	own   *oldExtra   // nil: not of the old committee
	olds  []oldSecret // the shares that this party speaks for
	extra []byte
	share *mpc.Share
}

type oldSecret struct {
	member int // index into own.Members
	secret *keys.Secret
	state  *keys.Secret
}

func (h *resharing) erase() {
	for _, o := range h.olds {
		o.secret.Erase()
		o.state.Erase()
	}
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

// candidates are the new parties, and the old ones by the name they go by.
func (h *resharing) candidates() []mpc.PartyID {
	out := slices.Clone(h.req.New)
	for _, old := range h.req.OldParties {
		if !slices.ContainsFunc(h.req.New, func(n mpc.PartyID) bool { return n.Node == old.Node }) {
			out = append(out, old)
		}
	}
	return out
}

func (h *resharing) run(ctx context.Context, s *talk) error {
	setup, chain, err := h.setup(s)
	if err != nil {
		return err
	}
	if slices.Contains(h.req.New, s.plan.self) {
		if err := s.takePreParams(ctx, setup); err != nil {
			return err
		}
		defer setup.PreParams.Erase()
	}
	result, err := s.engine(ctx, setup, func(r *run) { r.casts = newCasts(s) })
	if err != nil {
		return err
	}
	if result.Share != nil {
		result.Share.ChainCode = chain
		h.share = result.Share
	}
	return h.confirm(ctx, s)
}

// setup puts the committees together from what all have said, and checks it.
func (h *resharing) setup(s *talk) (*mpc.Setup, []byte, error) {
	old, mine, err := h.olden(s)
	if err != nil {
		return nil, nil, err
	}
	setup := &mpc.Setup{
		Op: mpc.OpReshare, Curve: h.req.Curve, Session: s.id, Parties: s.parties, Self: s.self,
		Threshold: h.req.NewThreshold, OldThreshold: old.Threshold, Public: old.Public,
	}
	for i, members := range mine {
		for _, m := range members {
			if i == s.self {
				for _, o := range h.olds {
					if o.member == m {
						setup.Old = append(setup.Old, mpc.OldShare{Role: len(setup.Roles), Secret: o.secret, State: o.state})
					}
				}
			}
			role := old.Members[m]
			setup.Roles = append(setup.Roles, mpc.Role{Party: i, X: [32]byte(role.X), Old: true, Public: role.Public})
		}
	}
	if n := len(setup.Roles); n < old.Threshold {
		return nil, nil, mpc.Failf(mpc.CauseSetup, nil, "%d old shares came and %d are needed", n, old.Threshold)
	}
	for _, n := range h.req.New {
		i := slices.Index(s.parties, n)
		if i < 0 {
			return nil, nil, mpc.Failf(mpc.CauseSetup, nil, "the room has no place for all new parties")
		}
	}
	for i, p := range s.parties {
		if slices.Contains(h.req.New, p) {
			setup.Roles = append(setup.Roles, mpc.Role{Party: i, X: s.x(i)})
		}
	}
	return setup, old.ChainCode, nil
}

// olden reads what the old parties say of the key: all must say the same, and
// speak for members of their own. It returns who speaks for which, by party.
func (h *resharing) olden(s *talk) (old *oldExtra, mine [][]int, err error) {
	old = h.own
	mine = make([][]int, len(s.parties))
	taken := map[int]bool{}
	for i := range s.parties {
		e := h.own
		if i != s.self {
			if e, err = s.oldExtraOf(i); err != nil {
				return nil, nil, err
			}
		}
		if e == nil {
			continue
		}
		if old == nil {
			old = e
		}
		if !old.same(e) {
			return nil, nil, mpc.Failf(mpc.CauseSetup, []mpc.PartyID{s.parties[i]}, "it has another version of the key")
		}
		for _, m := range e.Mine {
			if m < 0 || m >= len(e.Members) || taken[m] {
				return nil, nil, mpc.Failf(mpc.CauseMessage, []mpc.PartyID{s.parties[i]}, "it speaks for a member that is not its own")
			}
			taken[m] = true
		}
		mine[i] = e.Mine
	}
	if old == nil {
		return nil, nil, mpc.Failf(mpc.CauseSetup, nil, "nobody in the room has the key")
	}
	if h.req.Public != nil && !bytes.Equal(h.req.Public, old.Public) {
		return nil, nil, mpc.Failf(mpc.CauseSetup, nil, "the room is for another key")
	}
	return old, mine, nil
}

// oldExtraOf reads what another party has said, nil if it is a new one.
func (s *talk) oldExtraOf(i int) (*oldExtra, error) {
	extra := s.peers[i].seat.hello.Extra
	if len(extra) == 0 {
		return nil, nil
	}
	e := new(oldExtra)
	bad := codec.Decode(extra, e) != nil || len(e.ChainCode) != 32 || len(e.Members) > mpc.MaxParties || e.Threshold < 2 || e.Threshold > len(e.Members)
	for _, m := range e.Members {
		bad = bad || len(m.X) != 32
	}
	if bad {
		return nil, mpc.Failf(mpc.CauseMessage, []mpc.PartyID{s.parties[i]}, "what it says of the old committee is not well formed")
	}
	return e, nil
}

// same compares all but who speaks for whom.
func (e *oldExtra) same(f *oldExtra) bool {
	a, b := *e, *f
	a.Mine, b.Mine = nil, nil
	return bytes.Equal(codec.Encode(a), codec.Encode(b))
}

// confirm waits until all new members have the same key. Parties of the old
// committee only do not know its public shares and say nothing of them; they
// wait for the new ones, which must agree with each other.
func (h *resharing) confirm(ctx context.Context, s *talk) error {
	tag := []byte{}
	if h.share != nil {
		t := h.share.KeyTag()
		tag = t[:]
	}
	s.sendAll(&message{Kind: msgConfirm, Body: tag})
	got, err := s.collect(ctx, msgConfirm)
	if err != nil {
		return err
	}
	for i, p := range s.parties {
		if i == s.self || !slices.Contains(h.req.New, p) {
			continue
		}
		if len(tag) == 0 {
			tag = got[i].Body
		}
		if len(tag) != 32 || !bytes.Equal(tag, got[i].Body) {
			return mpc.Failf(mpc.CauseProtocol, []mpc.PartyID{p}, "it has another key than the other new parties")
		}
	}
	return nil
}
