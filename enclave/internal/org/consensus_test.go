package org

import (
	"testing"

	"pgregory.net/rapid"
)

// naiveLive keeps votes as a person with a calendar would: when a vote
// arrives, and again when it is asked, everything goes if the oldest is a day
// old.
func naiveLive(votes []vote, nowMs int64) []vote {
	var kept []vote
	expire := func(at int64) {
		if len(kept) > 0 && at-kept[0].created >= 24*60*60*1000 {
			kept = nil
		}
	}
	for _, v := range votes {
		expire(v.created)
		kept = append(kept, v)
	}
	expire(nowMs)
	return kept
}

// naiveDecide counts on sets.
func naiveDecide(q quorum, votes []vote) decision {
	root := map[id]bool{}
	for _, u := range q.users {
		root[u] = true
	}
	for_, against := map[id]bool{}, false
	for _, v := range votes {
		if root[v.user] {
			against = against || v.reject
			for_[v.user] = true
		}
	}
	switch {
	case against:
		return reject
	case len(for_) == 0:
		return deny
	case len(for_) < q.threshold:
		return pending
	}
	return allow
}

func drawVotes(t *rapid.T) (q quorum, votes []vote, nowMs int64) {
	users := rapid.SliceOfNDistinct(rapid.IntRange(0, 7), 1, 6, rapid.ID[int]).Draw(t, "root users")
	for _, u := range users {
		q.users = append(q.users, id{byte(u)})
	}
	q.threshold = rapid.IntRange(1, len(users)).Draw(t, "threshold")
	nowMs = 1_700_000_000_000
	for range rapid.IntRange(0, 8).Draw(t, "votes") {
		nowMs += rapid.SampledFrom([]int64{0, 1, 3_600_000, voteLifeMs - 1, voteLifeMs, voteLifeMs + 1}).Draw(t, "pause")
		votes = append(votes, vote{
			user: id{byte(rapid.IntRange(0, 7).Draw(t, "user"))}, reject: rapid.IntRange(0, 9).Draw(t, "reject") == 0, created: nowMs,
		})
	}
	nowMs += rapid.SampledFrom([]int64{0, 1, voteLifeMs - 1, voteLifeMs}).Draw(t, "pause at the end")
	return q, votes, nowMs
}

func TestConsensusIsWhatANaiveCountGives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q, votes, nowMs := drawVotes(t)
		o := &organization{quorum: q}
		live := liveVotes(votes, nowMs)
		want := naiveLive(votes, nowMs)
		if len(live) != len(want) {
			t.Fatalf("%d votes live, want %d", len(live), len(want))
		}
		if got, want := o.decide(live), naiveDecide(q, want); got != want {
			t.Fatalf("decided %d, want %d", got, want)
		}
	})
}

// A vote of somebody outside the quorum changes nothing, and one more approval
// never takes an approval back.
func TestMoreApprovalsNeverAllowLess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q, votes, _ := drawVotes(t)
		o := &organization{quorum: q}
		before := o.decide(votes)
		if after := o.decide(append(votes, vote{user: id{99}, reject: true})); after != before {
			t.Fatalf("an outsider's rejection turned %d to %d", before, after)
		}
		after := o.decide(append(votes, vote{user: q.users[0]}))
		if after < before {
			t.Fatalf("an approval turned %d to %d", before, after)
		}
	})
}

func TestIDsOfDenialsAreTheirUsers(t *testing.T) {
	made := fingerprintOf([]byte("body"))
	a, b := deniedID(id{1}, id{2}, made), deniedID(id{1}, id{3}, made)
	if a == b || a == objectID("activity", id{1}, made, 0) {
		t.Error("two activities have one id")
	}
}
