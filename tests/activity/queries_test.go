package activity_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestListOfActivitiesIsWalkedByCursor(t *testing.T) {
	w := newWorld(t, 2, 1)
	var newestFirst []string
	for i := range 12 {
		a := w.submit("create_private_keys", createKeysType, keyParams(fmt.Sprint(i)), 0)
		newestFirst = append([]string{a.ID}, newestFirst...)
	}
	ids := func(page map[string]string) (out []string) {
		t.Helper()
		for _, a := range w.list(map[string]any{"paginationOptions": page}, 1) {
			out = append(out, a.ID)
		}
		return out
	}
	for name, c := range map[string]struct {
		page map[string]string
		want []string
	}{
		"default":              {nil, newestFirst[:10]},
		"empty members":        {map[string]string{"limit": "", "before": "", "after": ""}, newestFirst[:10]},
		"limit 1":              {map[string]string{"limit": "1"}, newestFirst[:1]},
		"limit 100":            {map[string]string{"limit": "100"}, newestFirst},
		"after":                {map[string]string{"limit": "3", "after": newestFirst[4]}, newestFirst[5:8]},
		"after the oldest":     {map[string]string{"after": newestFirst[11]}, nil},
		"before":               {map[string]string{"limit": "3", "before": newestFirst[4]}, newestFirst[1:4]},
		"before the newest":    {map[string]string{"before": newestFirst[0]}, nil},
		"between":              {map[string]string{"after": newestFirst[2], "before": newestFirst[6]}, newestFirst[3:6]},
		"between, wrong order": {map[string]string{"after": newestFirst[6], "before": newestFirst[2]}, nil},
	} {
		if got := ids(c.page); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestListOfActivitiesIsFiltered(t *testing.T) {
	w := newWorld(t, 2, 2)
	open, _ := w.propose("a", 0)
	shut, _ := w.propose("b", 0)
	w.reject(shut, 1)
	for name, c := range map[string]struct {
		filter map[string]any
		want   int
	}{
		"nothing":       {nil, 2},
		"empty filters": {map[string]any{"filterByStatus": []string{}, "filterByType": []string{}}, 2},
		"status":        {map[string]any{"filterByStatus": []string{consensusNeeded}}, 1},
		"two statuses":  {map[string]any{"filterByStatus": []string{consensusNeeded, rejected}}, 2},
		"other status":  {map[string]any{"filterByStatus": []string{failed}}, 0},
		"type":          {map[string]any{"filterByType": []string{createKeysType}}, 2},
		"other type":    {map[string]any{"filterByType": []string{approveType}}, 0},
	} {
		if got := w.list(c.filter, 0); len(got) != c.want {
			t.Errorf("%s: %d activities, want %d", name, len(got), c.want)
		}
	}
	if got := w.list(map[string]any{"filterByStatus": []string{consensusNeeded}}, 0); got[0].ID != open.ID {
		t.Error("the wrong one")
	}
}

func TestMalformedQueriesAreRefused(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.newPrivateKey("a", "CURVE_P256")
	const nobody = "00000000-0000-8000-8000-000000000000"
	for _, c := range []struct {
		name, extra string
		status      int
	}{
		{"whoami", `,"userId":"x"`, 400},
		{"whoami", `,"organizationId":"x"`, 400},
		{"whoami", `,"OrganizationId":"x"`, 400},
		{"get_user", ``, 400},
		{"get_user", `,"userId":null`, 400},
		{"get_user", `,"userId":"x"`, 400},
		{"get_user", `,"userId":"` + nobody + `"`, 404},
		{"get_private_key", `,"privateKeyId":"a"`, 400},
		{"get_private_key", `,"privateKeyId":"` + nobody + `"`, 404},
		{"get_activity", `,"activityId":"` + strings.ToUpper(w.users[0].UserID) + `"`, 400},
		{"get_activity", `,"activityId":"` + nobody + `"`, 404},
		{"list_activities", `,"paginationOptions":{"limit":10}`, 400},
		{"list_activities", `,"paginationOptions":{"limit":"0"}`, 400},
		{"list_activities", `,"paginationOptions":{"limit":"101"}`, 400},
		{"list_activities", `,"paginationOptions":{"limit":"+1"}`, 400},
		{"list_activities", `,"paginationOptions":{"limit":"01"}`, 400},
		{"list_activities", `,"paginationOptions":{"limit":"1e1"}`, 400},
		{"list_activities", `,"paginationOptions":{"after":"x"}`, 400},
		{"list_activities", `,"paginationOptions":{"before":"` + nobody + `"}`, 404},
		{"list_activities", `,"filterByStatus":"x"`, 400},
		{"list_activities", `,"filterByStatus":["completed"]`, 400},
		{"list_activities", `,"filterByType":["EXPORT"]`, 400},
		{"list_activities", `,"filterByType":[null]`, 400},
	} {
		body := []byte(strings.Replace(string(w.whoami()), "}", c.extra+"}", 1))
		code := map[int]int{400: 3, 404: 5}[c.status]
		w.adds(0, func() { w.refused(w.send("/public/v1/query/"+c.name, body, 0), c.status, code) })
	}
}

func TestOneOrganizationCannotReadAnother(t *testing.T) {
	w := newWorld(t, 1, 1)
	kid := w.newPrivateKey("secret", "CURVE_P256")
	a := w.list(nil, 0)[0]
	mine, myUser := w.org, w.users[0].UserID
	w.org, w.users, w.keys = w.found("other", 1, 1)
	for name, extra := range map[string]string{
		"get_private_key": `"privateKeyId":"` + kid + `"`, "get_activity": `"activityId":"` + a.ID + `"`, "get_user": `"userId":"` + myUser + `"`,
		"list_activities": `"paginationOptions":{"after":"` + a.ID + `"}`,
	} {
		w.refused(w.send("/public/v1/query/"+name, []byte(`{"organizationId":"`+w.org+`",`+extra+`}`), 0), 404, 5)
		w.refused(w.send("/public/v1/query/"+name, []byte(`{"organizationId":"`+mine+`",`+extra+`}`), 0), 401, 16)
	}
	w.adds(0, func() {
		w.refused(w.send("/public/v1/submit/sign_raw_payload", w.body("ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2", map[string]string{
			"signWith": kid, "payload": "00", "encoding": "PAYLOAD_ENCODING_HEXADECIMAL", "hashFunction": "HASH_FUNCTION_SHA256",
		}), 0), 404, 5)
		w.refused(w.send("/public/v1/submit/export_private_key", w.body("ACTIVITY_TYPE_EXPORT_PRIVATE_KEY", map[string]string{
			"privateKeyId": kid, "targetPublicKey": fmt.Sprintf("%x", w.quorumKey()),
		}), 0), 404, 5)
		w.refused(w.send(approvePath, w.body(approveType, fingerprintOf(a)), 0), 404, 5)
	})
}

func TestQueriesChangeNothing(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.newPrivateKey("a", "CURVE_P256")
	w.adds(0, func() {
		for _, name := range []string{"whoami", "list_activities", "list_private_keys", "list_users"} {
			first := w.send("/public/v1/query/"+name, w.whoami(), 0)
			if again := w.send("/public/v1/query/"+name, w.whoami(), 0); first.Status != 200 || string(again.Body) != string(first.Body) {
				t.Errorf("%s: %s, then %s", name, first.Body, again.Body)
			}
		}
	})
}

// A finished activity leaves memory some day and is read back then.
func TestActivityThatHasLeftMemoryIsReadBack(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.newPrivateKey("old", "CURVE_P256")
	body, _ := json.Marshal(map[string]string{"organizationId": w.org, "activityId": w.list(nil, 0)[0].ID})
	before := w.send("/public/v1/query/get_activity", body, 0)
	kid := w.newPrivateKey("k", "CURVE_ED25519")
	for range 4100 {
		w.sign(kid, "x", "TEXT_UTF8", "NOT_APPLICABLE")
	}
	if after := w.send("/public/v1/query/get_activity", body, 0); string(after.Body) != string(before.Body) {
		t.Errorf("%s, then %s", before.Body, after.Body)
	}
	w.enclave.Restart(t)
	if after := w.send("/public/v1/query/get_activity", body, 0); string(after.Body) != string(before.Body) {
		t.Errorf("%s, then %s", before.Body, after.Body)
	}
	w.host.Edit(hostFlip(2))
	w.refused(w.send("/public/v1/query/get_activity", body, 0), 503, 14)
}
