package node

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// published are the values of err_type by status, in the order of the page.
var published = map[int]string{
	400: "already_performed_keygen api_key_not_found bad_n_and_t_params bad_request_params batch_too_large executor_result key_id_not_exists " +
		"key_operation_before_keygen policy_in_use_by_keys policy_in_use_by_users policy_not_found policy_validation_failed room_creation_problem " +
		"rule_in_use rule_not_found rule_not_in_policy server_share_backup_setting_disabled unique_violation user_has_associated_keys " +
		"user_id_not_exists user_name_already_exists you_have_to_be_admin",
	401: "access_denied", 404: "not_found", 500: "internal_problem",
}

const nobody = "00000000-0000-8000-8000-000000000000"

// scene is what the table of errors needs: a key, a user, a rule and policies.
type scene struct {
	*group
	r                                *rig
	user, key                        string // API key of the user, and the key's id
	userID                           string
	created                          string // a key before keygen
	rule, free, policy, keyPolicy, p string
}

func newScene(t *testing.T) *scene {
	c := newCluster(t, 2, nil)
	g := c.keygen("ecdsa", 2)
	s := &scene{group: g, r: c.rigs[0], user: c.users[0], key: g.ids[0]}
	pub, _ := testPEM(t)
	s.rule, s.free = s.r.newRule("rule", pub), s.r.newRule("free", pub)
	s.policy, s.keyPolicy, s.p = s.r.newPolicy("users", s.rule), s.r.newPolicy("keys"), s.r.newPolicy("loose")
	_, s.userID = s.r.newUser("other")
	s.r.admin("POST", "/admin/policies/attach-policy-to-user", fmt.Sprintf(`{"policy_id":%q,"user_id":%q}`, s.policy, s.userID))
	s.r.admin("POST", "/admin/policies/attach-policy-to-key", fmt.Sprintf(`{"policy_id":%q,"key_id":%q}`, s.keyPolicy, s.key))
	s.created = s.r.ok(s.user, "GET", "/ecdsa/create", "").text("key_id")
	return s
}

// owner is the id of the user that has keys.
func (s *scene) owner() string {
	list := s.r.admin("GET", "/admin/list-users", "").json["users"].([]any)
	return list[0].(map[string]any)["user_id"].(string)
}

func ids(pairs ...string) string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	b, _ := json.Marshal(m)
	return string(b)
}

// Each row is the condition that the name of an error says.
var errorRows = []struct {
	errType string
	status  int
	what    string
	do      func(s *scene) answer
}{
	{"already_performed_keygen", 400, "keygen twice", func(s *scene) answer {
		return s.r.call(s.user, "POST", "/ecdsa/keygen", s.keygenBody(0, s.room(2), 2, 2))
	}},
	{"api_key_not_found", 400, "revoking a key that is none", func(s *scene) answer {
		return s.r.call(adminToken, "DELETE", "/admin/revoke-api-key?api_key="+strings.Repeat("0", 64), "")
	}},
	{"bad_n_and_t_params", 400, "more signers than parties", func(s *scene) answer {
		g := s.begin("ecdsa", upTo(2))
		return s.r.call(s.user, "POST", "/ecdsa/keygen", g.keygenBody(0, s.room(2), 2, 3))
	}},
	{"bad_n_and_t_params", 400, "one signer", func(s *scene) answer {
		g := s.begin("ecdsa", upTo(2))
		return s.r.call(s.user, "POST", "/ecdsa/keygen", g.keygenBody(0, s.room(2), 2, 1))
	}},
	{"bad_n_and_t_params", 400, "another number of parties than ids", func(s *scene) answer {
		g := s.begin("ecdsa", upTo(2))
		return s.r.call(s.user, "POST", "/ecdsa/keygen", g.keygenBody(0, s.room(3), 3, 2))
	}},
	{"bad_request_params", 400, "a field that is not there", func(s *scene) answer {
		return s.r.call(s.user, "POST", "/ecdsa/sign", ids("key_id", s.key))
	}},
	{"bad_request_params", 400, "bip340", func(s *scene) answer { return s.r.call(s.user, "GET", "/bip340/create", "") }},
	{"batch_too_large", 400, "101 messages", func(s *scene) answer {
		one := s.signBody(0, s.room(2), "m", "")
		return s.r.call(s.user, "POST", "/ecdsa/batch-sign", `{"sign_requests":[`+strings.Repeat(one+",", 100)+one+`]}`)
	}},
	{"executor_result", 400, "the operation failed", func(s *scene) answer {
		s.fail = &mpc.Failure{Cause: mpc.CauseTimeout, Reason: "nobody came"}
		defer func() { s.fail = nil }()
		return s.r.call(s.user, "POST", "/ecdsa/sign", s.signBody(0, s.room(2), "m", ""))
	}},
	{"key_id_not_exists", 400, "no such key", func(s *scene) answer {
		return s.r.call(s.user, "GET", "/ecdsa/export/exportId/"+nobody, "")
	}},
	{"key_operation_before_keygen", 400, "signing with what was only created", func(s *scene) answer {
		return s.r.call(s.user, "POST", "/ecdsa/sign", strings.ReplaceAll(s.signBody(0, s.room(2), "m", ""), s.key, s.created))
	}},
	{"policy_in_use_by_keys", 400, "deleting a key's policy", func(s *scene) answer {
		return s.r.call(adminToken, "POST", "/admin/policies/delete-policy", ids("policy_id", s.keyPolicy))
	}},
	{"policy_in_use_by_users", 400, "deleting a user's policy", func(s *scene) answer {
		return s.r.call(adminToken, "POST", "/admin/policies/delete-policy", ids("policy_id", s.policy))
	}},
	{"policy_not_found", 400, "attaching what is not there", func(s *scene) answer {
		return s.r.call(adminToken, "POST", "/admin/policies/attach-policy-to-key", ids("policy_id", nobody, "key_id", s.key))
	}},
	{"policy_not_found", 400, "detaching where there is none", func(s *scene) answer {
		return s.r.call(adminToken, "POST", "/admin/policies/detach-policy-from-key", ids("key_id", s.created))
	}},
	{"policy_validation_failed", 400, "a rule says no", func(s *scene) answer {
		add := ids("policy_id", s.keyPolicy, "rule_id", s.free)
		s.r.admin("POST", "/admin/policies/add-rule-to-policy", add)
		defer s.r.admin("POST", "/admin/policies/remove-rule-from-policy", add)
		s.r.host.askRule = func(*wire.RuleQuestion) (*wire.RuleAnswer, error) { return &wire.RuleAnswer{Status: 200}, nil }
		return s.r.call(s.user, "POST", "/ecdsa/sign", s.signBody(0, s.room(2), "m", ""))
	}},
	{"room_creation_problem", 400, "the relay is away", func(s *scene) answer {
		s.r.host.createRoom = func(*wire.RelayPort) error { return wire.Errorf(wire.Unavailable, "", "no relay") }
		return s.r.call(s.user, "POST", "/create-room", `{"room_size":2}`)
	}},
	{"rule_in_use", 400, "deleting a policy's rule", func(s *scene) answer {
		return s.r.call(adminToken, "POST", "/admin/policies/delete-rule", ids("rule_id", s.rule))
	}},
	{"rule_not_found", 400, "a policy of no rule", func(s *scene) answer {
		return s.r.call(adminToken, "POST", "/admin/policies/create-policy", `{"name":"x","rules":["`+nobody+`"]}`)
	}},
	{"rule_not_in_policy", 400, "removing what is not in it", func(s *scene) answer {
		return s.r.call(adminToken, "POST", "/admin/policies/remove-rule-from-policy", ids("policy_id", s.p, "rule_id", s.rule))
	}},
	{"server_share_backup_setting_disabled", 400, "a backup where there are none", func(s *scene) answer {
		s.r.Rules.Backup = false
		defer func() { s.r.Rules.Backup = true }()
		return s.r.call(s.user, "GET", "/ecdsa/backup/export-key-share/"+s.key, "")
	}},
	{"unique_violation", 400, "two policies of one name", func(s *scene) answer {
		return s.r.call(adminToken, "POST", "/admin/policies/create-policy", `{"name":"users","rules":[]}`)
	}},
	{"user_has_associated_keys", 400, "deleting who has keys", func(s *scene) answer {
		return s.r.call(adminToken, "DELETE", "/admin/delete-user?user_id="+s.owner(), "")
	}},
	{"user_id_not_exists", 400, "no such user", func(s *scene) answer {
		return s.r.call(adminToken, "GET", "/admin/generate-api-key?user_id="+nobody, "")
	}},
	{"user_name_already_exists", 400, "two users of one name", func(s *scene) answer {
		return s.r.call(adminToken, "GET", "/admin/create-user?name=user", "")
	}},
	{"you_have_to_be_admin", 400, "a user on an admin path", func(s *scene) answer {
		return s.r.call(s.user, "GET", "/admin/list-users", "")
	}},
	{"access_denied", 401, "no key", func(s *scene) answer { return s.r.call("", "GET", "/ecdsa/create", "") }},
	{"access_denied", 401, "an unknown key", func(s *scene) answer { return s.r.call("x", "GET", "/admin/list-users", "") }},
	{"access_denied", 401, "the admin on a user's path", func(s *scene) answer { return s.r.call(adminToken, "GET", "/ecdsa/create", "") }},
	{"not_found", 404, "no such path", func(s *scene) answer { return s.r.call(s.user, "GET", "/ecdsa/nothing", "") }},
	{"not_found", 404, "another method", func(s *scene) answer { return s.r.call(s.user, "GET", "/ecdsa/sign", "") }},
	{"internal_problem", 500, "the store is away", func(s *scene) answer {
		s.r.host.mu.Lock()
		s.r.host.blobs = map[[32]byte][]byte{}
		s.r.host.mu.Unlock()
		return s.r.call(s.user, "POST", "/ecdsa/sign", s.signBody(0, s.room(2), "m", ""))
	}},
}

func TestEveryPublishedErrorHasItsCondition(t *testing.T) {
	s := newScene(t)
	seen := map[int][]string{}
	for _, row := range errorRows {
		t.Run(row.errType+": "+row.what, func(t *testing.T) { wantType(t, row.do(s), row.status, row.errType) })
		if !slices.Contains(seen[row.status], row.errType) {
			seen[row.status] = append(seen[row.status], row.errType)
		}
	}
	for status, list := range published {
		for _, want := range strings.Fields(list) {
			if !slices.Contains(seen[status], want) {
				t.Errorf("%s (%d) has no row", want, status)
			}
		}
	}
}

func TestBodiesAreReadStrictly(t *testing.T) {
	r := newRig(t, nil)
	for name, body := range map[string]string{
		"twice":    `{"room_size":2,"room_size":3}`,
		"case":     `{"Room_Size":2}`,
		"unknown":  `{"room_size":2,"more":1}`,
		"array":    `[2]`,
		"fraction": `{"room_size":2.0}`,
		"text":     `{"room_size":"2"}`,
		"large":    `{"room_size":17}`,
		"zero":     `{"room_size":0}`,
		"empty":    ``,
		"after":    `{"room_size":2}{}`,
		"utf-8":    "{\"room_size\":2,\"relay_address\":\"\xff\"}",
	} {
		a := r.call(adminToken, "POST", "/create-room", body)
		if a.status != 400 || a.text("err_type") != "bad_request_params" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	for _, query := range []string{"name=a&name=b", "nam=a", "name=a&label=b", "name=%zz", "name=", "stamp_public_key=00", "name=a;b"} {
		a := r.call(adminToken, "GET", "/admin/create-user?"+query, "")
		if a.status != 400 || a.text("err_type") != "bad_request_params" {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
}

func TestRoomsHaveTheRightSize(t *testing.T) {
	s := newScene(t)
	for _, room := range []string{s.room(1), s.room(3), "x", nobody, strings.ToUpper(s.room(2)), "02345678-1234-4234-8234-123456789abc"} {
		wantType(t, s.r.call(s.user, "POST", "/ecdsa/sign", s.signBody(0, room, "m", "")), 400, "bad_request_params")
	}
}
