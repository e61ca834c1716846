package mpc

import (
	"fmt"
	"strings"
)

// Cause says what ended an operation, for machines.
type Cause string

// The causes of a [Failure].
const (
	CauseTimeout     Cause = "timeout"         // the deadline came; culprits are those that were waited for
	CauseMessage     Cause = "bad_message"     // a message that an honest party does not send
	CauseProtocol    Cause = "protocol_failed" // a proof or the final check failed
	CauseEquivocated Cause = "equivocation"    // different broadcasts to different parties, proven
	CauseShare       Cause = "bad_share"       // a share that does not belong to its public share
	CauseSetup       Cause = "setup_differs"   // parties were called with different requests
	CauseAttestation Cause = "attestation"     // a party's enclave was not accepted
	CauseRelay       Cause = "relay"           // the relay did not answer or refused
	CauseEngine      Cause = "engine"          // the engine's process ended
	CauseRefused     Cause = "refused"         // another party's enclave or policy said no
	CauseAcks        Cause = "too_few_members" // too few members recorded what had to be recorded first
	CauseCancelled   Cause = "cancelled"       // the caller went away
)

// A Failure ends an operation: what happened, in which round, and which parties
// are to blame where that is known. It holds no secret and may be shown.
type Failure struct {
	Cause    Cause
	Round    int    // 0: before the first
	Reason   string // for people
	Culprits []PartyID
}

func (f *Failure) Error() string {
	var b strings.Builder
	b.WriteString(string(f.Cause))
	if f.Round > 0 {
		fmt.Fprintf(&b, " in round %d", f.Round)
	}
	if f.Reason != "" {
		b.WriteString(": " + f.Reason)
	}
	return b.String()
}

// Failf makes a [*Failure].
func Failf(c Cause, culprits []PartyID, format string, args ...any) *Failure {
	return &Failure{Cause: c, Culprits: culprits, Reason: fmt.Sprintf(format, args...)}
}
