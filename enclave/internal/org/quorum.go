package org

import "fmt"

type quorumIntent struct {
	Threshold int      `json:"threshold" strict:"required"`
	UserIDs   []string `json:"userIds" strict:"required"`
}

var updateRootQuorum = define("update_root_quorum",
	map[string]string{"ACTIVITY_TYPE_UPDATE_ROOT_QUORUM": "updateRootQuorumIntent"},
	spec[quorumIntent, quorum, none]{
		valid: func(in *quorumIntent) error {
			if len(in.UserIDs) == 0 {
				return bad("bad request body: parameters.userIds must not be empty")
			}
			if in.Threshold < 1 || in.Threshold > len(in.UserIDs) {
				return bad("bad request body: parameters.threshold must be from 1 to the number of users, %d", len(in.UserIDs))
			}
			return nil
		},
		check: checkQuorum,
		apply: func(o *organization, _ made, in *quorumIntent, _ none) {
			if q, err := o.findQuorum(in); err == nil {
				o.quorum = q
				o.configCount++
			}
		},
		result: func(job, *quorumIntent, none) (string, any) {
			return "updateRootQuorumResult", struct{}{}
		},
	})

// checkQuorum refuses a quorum that its users could not meet: it would lock
// everybody out.
func checkQuorum(o *organization, in *quorumIntent) (quorum, error) {
	q, err := o.findQuorum(in)
	if err != nil {
		return q, err
	}
	if able := o.able(q.users, nil); able < q.threshold {
		return q, bad("parameters.userIds: only %d of these users have an API key that works, and the threshold is %d", able, q.threshold)
	}
	return q, nil
}

func (o *organization) findQuorum(in *quorumIntent) (quorum, error) {
	q := quorum{threshold: in.Threshold}
	for i, text := range in.UserIDs {
		where := fmt.Sprintf("parameters.userIds[%d]", i)
		u, err := o.findUser(where, text)
		if err != nil {
			return q, err
		}
		if q.has(u.id) {
			return q, bad("bad request body: %s is listed twice", where)
		}
		q.users = append(q.users, u.id)
	}
	return q, nil
}
