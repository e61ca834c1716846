package org

// A voteIntent is the parameters of approve_activity and reject_activity.
type voteIntent struct {
	Fingerprint string `json:"fingerprint" strict:"required"`

	reject bool
}

func defineVote(path, typ, key string, reject bool) *kind {
	k := define(path, map[string]string{typ: key}, spec[voteIntent, struct{}, struct{}]{
		valid: func(in *voteIntent) error {
			in.reject = reject
			if _, ok := parseFingerprint(in.Fingerprint); !ok {
				return bad("bad request body: parameters.fingerprint must be sha256: and 64 lower-case hex digits")
			}
			return nil
		},
		check:  func(*organization, *voteIntent) (struct{}, error) { return struct{}{}, nil },
		result: func(job, *voteIntent, struct{}) (string, any) { return "", nil },
	})
	k.execute = nil
	return k
}

var (
	approveActivity = defineVote("approve_activity", "ACTIVITY_TYPE_APPROVE_ACTIVITY", "approveActivityIntent", false)
	rejectActivity  = defineVote("reject_activity", "ACTIVITY_TYPE_REJECT_ACTIVITY", "rejectActivityIntent", true)
)

// aim turns a vote request into a vote on the activity that it names. The
// answer to it is that activity.
func (s *Service) aim(sub *submission, v *voteIntent) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return sub.aim(v)
}

// aim is for who holds the lock.
func (sub *submission) aim(v *voteIntent) error {
	f, _ := parseFingerprint(v.Fingerprint)
	a := sub.org.byBody[f]
	if a == nil || a.fingerprint != f {
		return notFound("No activity found with fingerprint %s", v.Fingerprint)
	}
	if sub.org.recorded(sub.made, sub.user.id) != nil || !sub.org.quorum.has(sub.user.id) {
		return nil // recorded already, or denied as an activity of its own
	}
	if a.status != statusPending {
		return bad("activity %s is %s and takes no more votes", a.id, a.status.text())
	}
	sub.target, sub.reject, sub.of = a, v.reject, a.content.asked
	return nil
}
