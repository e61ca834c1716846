package faults

import (
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/mpctest"
)

// ended says how the honest party's session ended.
func ended(outcomes []mpctest.Outcome) string {
	if len(outcomes) == 0 {
		return "-"
	}
	switch o := outcomes[1-evil]; {
	case o.Failure != nil:
		who := "nobody named"
		if len(o.Failure.Culprits) > 0 {
			who = "sender named"
		}
		return string(o.Failure.Cause) + ", " + who
	case o.Result != nil:
		return "result"
	}
	return "waits for its deadline"
}

// judge says what is wrong with how a case ended, if anything is.
func judge(op *operation, setups []*mpc.Setup, outcomes []mpctest.Outcome, want want, applied bool, err error) string {
	if err != nil {
		return err.Error()
	}
	honest := outcomes[1-evil]
	if f := honest.Failure; f != nil {
		for _, c := range f.Culprits {
			if c != setups[0].Parties[evil] {
				return "an honest party is blamed"
			}
		}
	}
	if honest.Result != nil {
		if err := op.good(honest.Result); err != nil {
			return err.Error()
		}
	}
	switch want {
	case wantResult:
		if honest.Result == nil {
			return "no result"
		}
	case wantNamed:
		if honest.Failure == nil || len(honest.Failure.Culprits) == 0 {
			return "the sender is not named"
		}
	case wantNone:
		if honest.Result != nil {
			return "a result"
		}
	case wantSafe: // anything that is not wrong
	}
	if want != wantNone && !applied {
		return "the message was not sent"
	}
	return ""
}
