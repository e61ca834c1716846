package org

import "github.com/sallyport/sallyport/enclave/wire"

// voteLifeMs is how long votes count when consensus is not reached: 24 hours
// from the first of them.
const voteLifeMs = 24 * 60 * 60 * 1000

// liveVotes are the votes that still count at a time: those since the first
// vote of the last 24-hour window.
func liveVotes(votes []vote, nowMs int64) []vote {
	start := 0
	for i := range votes {
		if votes[i].created-votes[start].created >= voteLifeMs {
			start = i
		}
	}
	if len(votes) == 0 || nowMs-votes[start].created >= voteLifeMs {
		return nil
	}
	return votes[start:]
}

// A decision is what the votes on an activity amount to.
type decision uint8

const (
	deny decision = iota
	pending
	allow
	reject
)

// decide counts users, not credentials or stamps, against the quorum as it
// is now; the caller holds the lock. Only the root quorum allows anything in
// this release. An activity waits for more votes when a root user stands
// behind it, and is denied otherwise.
func (o *organization) decide(votes []vote) decision {
	counted := make([]id, 0, len(votes))
	for _, v := range votes {
		switch {
		case !o.quorum.has(v.user):
		case v.reject:
			return reject
		case !contains(counted, v.user):
			counted = append(counted, v.user)
		}
	}
	switch {
	case len(counted) >= o.quorum.threshold:
		return allow
	case len(counted) > 0:
		return pending
	}
	return deny
}

func contains(ids []id, one id) bool {
	for _, other := range ids {
		if other == one {
			return true
		}
	}
	return false
}

func hasVoted(votes []vote, user id) bool {
	for _, v := range votes {
		if v.user == user {
			return true
		}
	}
	return false
}

// hasStamped tells whether one of the votes is the user's stamp of this body,
// whether or not it still counts.
func hasStamped(votes []vote, user id, made fingerprint) bool {
	for i := range votes {
		if votes[i].user == user && votes[i].made == made {
			return true
		}
	}
	return false
}

// sizeOf is the bytes of the votes' bodies.
func sizeOf(votes []vote) int {
	size := 0
	for i := range votes {
		size += len(votes[i].body)
	}
	return size
}

// denied is the refusal of an activity that nothing allows.
func denied() *wire.Error {
	return wire.Errorf(wire.PermissionDenied, "POLICY_DENIED",
		"You don't have sufficient permissions to take this action. No policies evaluated to outcome: Allow")
}
