package org

import (
	"context"

	"github.com/sallyport/sallyport/attestation/strictjson"
	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// A kind is one sort of activity: the types that belong to its path, how its
// parameters are judged, carried out, and replayed. Kinds are made by define,
// which hides the types of intent, plan and result.
type kind struct {
	path  string            // last element of /public/v1/submit/...
	types map[string]string // activity type to the key of its intent

	decode  func(typ string, parameters strictjson.Raw) (any, error)
	check   func(o *organization, intent any) (plan any, err error)
	execute func(ctx context.Context, s *Service, j job, intent, plan any) (any, error)
	record  func(s *Service, j job, intent, plan, result any, at position) (any, error)
	apply   func(o *organization, m made, intent any, result []byte) error
	render  func(j job, intent any, result []byte) (key string, value any, err error)

	// Of key groups: jointly tells that they carry it out after it was decided.
	jointly bool
	begin   func(o *organization, intent any)
	joint   func(ctx context.Context, s *Service, t task, intent, plan any) (result []byte, err error)
	verify  func(o *organization, by mpc.NodeID, intent, plan any, result []byte) error
}

// A job says which request is carried out.
type job struct {
	org         id
	fingerprint fingerprint // of the activity
}

// A position is where a result will stand in the journal.
type position struct {
	index  uint64
	timeMs int64
}

// made says by what a change of state came about.
type made struct {
	fingerprint fingerprint
	timeMs      int64
}

// A spec is a kind with its types: I the intent (parameters), P what check
// found in the present state, R the result as the journal keeps it.
type spec[I, P, R any] struct {
	// decode reads parameters; nil means strict decoding into I.
	decode func(typ string, parameters strictjson.Raw) (*I, error)
	// valid judges the intent by itself, whatever the state.
	valid func(in *I) error
	// check judges the intent against the present state, under the lock. It
	// runs again before the result is recorded.
	check func(o *organization, in *I) (P, error)
	// execute carries the intent out, without the lock and without any
	// effect that is visible before the result is recorded.
	execute func(ctx context.Context, s *Service, j job, in *I, plan P) (R, error)
	// begin changes the state of a key group's organization when the activity is
	// allowed, before it is carried out; may be nil.
	begin func(o *organization, in *I)
	// joint is execute in a key group, and verify judges its result at every member,
	// by nothing but its arguments.
	joint  func(ctx context.Context, s *Service, t task, in *I, plan P) (R, error)
	verify func(o *organization, by mpc.NodeID, in *I, plan P, r R) error
	// record completes the result with its place in the journal; may be nil.
	record func(s *Service, j job, in *I, plan P, r R, at position) (R, error)
	// apply changes the state, at commit and at replay.
	apply func(o *organization, m made, in *I, r R)
	// result gives the activity's result as clients see it.
	result func(j job, in *I, r R) (key string, value any)
}

func define[I, P, R any](path string, types map[string]string, sp spec[I, P, R]) *kind {
	k := &kind{path: path, types: types}
	k.decode = func(typ string, raw strictjson.Raw) (any, error) {
		in := new(I)
		var err error
		if sp.decode != nil {
			in, err = sp.decode(typ, raw)
		} else {
			err = strictjson.DecodeRequest(raw, in)
		}
		if err == nil && sp.valid != nil {
			err = sp.valid(in)
		}
		if err != nil {
			return nil, invalid(err)
		}
		return in, nil
	}
	k.check = func(o *organization, in any) (any, error) {
		plan, err := sp.check(o, in.(*I))
		return plan, err
	}
	k.execute = func(ctx context.Context, s *Service, j job, in, plan any) (any, error) {
		if sp.execute == nil {
			var none R
			return none, nil
		}
		return sp.execute(ctx, s, j, in.(*I), plan.(P))
	}
	k.jointly = sp.joint != nil
	k.joint = func(ctx context.Context, s *Service, t task, in, plan any) ([]byte, error) {
		r, err := sp.joint(ctx, s, t, in.(*I), plan.(P))
		if err != nil {
			return nil, err
		}
		return codec.Encode(r), nil
	}
	k.verify = func(o *organization, by mpc.NodeID, in, plan any, raw []byte) error {
		r, err := decodeResult[R](raw)
		if err != nil {
			return bad("result: is not one of this kind")
		}
		return sp.verify(o, by, in.(*I), plan.(P), r)
	}
	k.begin = func(o *organization, in any) {
		if sp.begin != nil {
			sp.begin(o, in.(*I))
		}
	}
	if sp.record != nil {
		k.record = func(s *Service, j job, in, plan, r any, at position) (any, error) {
			return sp.record(s, j, in.(*I), plan.(P), r.(R), at)
		}
	}
	k.apply = func(o *organization, m made, in any, raw []byte) error {
		r, err := decodeResult[R](raw)
		if err == nil && sp.apply != nil {
			sp.apply(o, m, in.(*I), r)
		}
		return err
	}
	k.render = func(j job, in any, raw []byte) (string, any, error) {
		r, err := decodeResult[R](raw)
		if err != nil {
			return "", nil, err
		}
		key, value := sp.result(j, in.(*I), r)
		return key, value, nil
	}
	return k
}

// nothing is the encoded result of a kind that is not carried out.
func (k *kind) nothing() ([]byte, error) {
	r, err := k.execute(context.Background(), nil, job{}, nil, nil)
	if err != nil {
		return nil, err
	}
	return codec.Encode(r), nil
}

// kinds are all activities that are served, by path.
var kinds = map[string]*kind{}

// kindOf finds the kind of an activity type.
var kindOf = map[string]*kind{}

func init() {
	for _, k := range []*kind{
		createPrivateKeys, signRawPayload, signRawPayloads, exportPrivateKey,
		createUsers, createAPIKeys, deleteAPIKeys, updateRootQuorum,
		approveActivity, rejectActivity,
	} {
		kinds[k.path] = k
		for typ := range k.types {
			kindOf[typ] = k
		}
	}
}

// invalid makes a client error of whatever refused a request's form.
func invalid(err error) error {
	if e, ok := err.(*wire.Error); ok {
		return e
	}
	if e, ok := err.(*strictjson.Error); ok && e.Path != "" {
		return wire.Errorf(wire.InvalidArgument, "REQUEST_INVALID", "bad request body: parameters.%v", e)
	}
	return wire.Errorf(wire.InvalidArgument, "REQUEST_INVALID", "bad request body: parameters: %v", err)
}

// bad is a refusal of one field, by name and rule.
func bad(format string, args ...any) *wire.Error {
	return wire.Errorf(wire.InvalidArgument, "REQUEST_INVALID", format, args...)
}

func notFound(format string, args ...any) *wire.Error {
	return wire.Errorf(wire.NotFound, "", format, args...)
}
