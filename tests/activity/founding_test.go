package activity_test

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/client"
)

const organizationsPath = "/sallyport/v1/organizations"

// foundingBody is a body for these root keys, as text.
func (w *world) foundingBody(quorum int, keys ...*client.APIKey) string {
	w.Helper()
	salt := make([]byte, 32)
	rand.Read(salt)
	var users []string
	for i, k := range keys {
		users = append(users, fmt.Sprintf(`{"userName":"u%d","apiKeys":[{"apiKeyName":"k","publicKey":"%s","curveType":"API_KEY_CURVE_P256"}]}`, i, k.PublicHex()))
	}
	return fmt.Sprintf(`{"type":"SALLYPORT_ORGANIZATION_V1","organizationName":"acme","rootUsers":[%s],"rootQuorumThreshold":%d,"quorumPublicKeys":["%x"],"salt":"%x"}`,
		strings.Join(users, ","), quorum, w.quorumKey(), salt)
}

func (w *world) postFounding(body string, stamps ...string) *wire.Reply {
	w.Helper()
	raw, err := json.Marshal(map[string]any{"foundingBody": body, "stamps": append([]string{}, stamps...)})
	if err != nil {
		w.Fatal(err)
	}
	return w.do(&wire.Request{API: wire.APISallyport, Path: organizationsPath, Body: raw})
}

func (w *world) stampsOf(body string, keys ...*client.APIKey) (out []string) {
	w.Helper()
	for _, k := range keys {
		s, err := client.Stamp([]byte(body), k)
		if err != nil {
			w.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

func TestOrganizationIDCommitsToTheBody(t *testing.T) {
	w := newWorld(t, 1, 1)
	a, b := w.newKey(), w.newKey()
	body := w.foundingBody(2, a, b)
	var reply client.FoundingReply
	w.adds(1, func() { w.decode(w.postFounding(body, w.stampsOf(body, a, b)...), 200, &reply) })
	if err := reply.Check([]byte(body)); err != nil {
		t.Error(err)
	}
	if len(reply.Users) != 2 || reply.Users[0].UserName != "u0" {
		t.Errorf("reply %+v", reply)
	}
	var again client.FoundingReply
	w.adds(0, func() { w.decode(w.postFounding(body, w.stampsOf(body, b, a)...), 200, &again) })
	w.enclave.Restart(t)
	w.adds(0, func() { w.decode(w.postFounding(body, w.stampsOf(body, a, b)...), 200, &again) })
	if fmt.Sprint(again) != fmt.Sprint(reply) {
		t.Errorf("%+v, then %+v", reply, again)
	}
	spaced := body + " "
	var other client.FoundingReply
	w.adds(1, func() { w.decode(w.postFounding(spaced, w.stampsOf(spaced, a, b)...), 200, &other) })
	if other.OrganizationID == reply.OrganizationID || other.Users[0].UserID == reply.Users[0].UserID {
		t.Error("another body has the same ids")
	}
}

func TestFoundingNeedsExactlyOneStampOfEveryRootKey(t *testing.T) {
	w := newWorld(t, 1, 1)
	a, b, c := w.newKey(), w.newKey(), w.newKey()
	body := w.foundingBody(2, a, b)
	sa, sb, sc := w.stampsOf(body, a)[0], w.stampsOf(body, b)[0], w.stampsOf(body, c)[0]
	foreign := w.stampsOf(body+" ", b)[0]
	for name, s := range map[string]struct {
		stamps []string
		status int
	}{
		"none":                  {nil, 401},
		"one missing":           {[]string{sa}, 401},
		"one twice":             {[]string{sa, sa}, 400},
		"one in place of other": {[]string{sa, sc}, 401},
		"one too many":          {[]string{sa, sb, sc}, 400},
		"of another body":       {[]string{sa, foreign}, 401},
		"malformed":             {[]string{sa, "x"}, 401},
		"empty":                 {[]string{sa, ""}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			code := map[int]int{400: 3, 401: 16}[s.status]
			w.adds(0, func() { w.refused(w.postFounding(body, s.stamps...), s.status, code) })
		})
	}
	w.adds(1, func() {
		if r := w.postFounding(body, sb, sa); r.Status != 200 {
			t.Errorf("stamps in another order are refused: %s", r.Body)
		}
	})
}

func TestMalformedFoundingBodyIsRefused(t *testing.T) {
	w := newWorld(t, 1, 1)
	a := w.newKey()
	quorum := hex.EncodeToString(w.quorumKey())
	for name, c := range map[string]struct{ old, new, names string }{
		"type":                   {"SALLYPORT_ORGANIZATION_V1", "SALLYPORT_ORGANIZATION_V2", "type"},
		"unknown member":         {`{"type"`, `{"policies":[],"type"`, "policies"},
		"member twice":           {`{"type"`, `{"salt":"","type"`, "salt"},
		"member in other case":   {`"salt"`, `"Salt"`, "Salt"},
		"no name":                {`"acme"`, `""`, "organizationName"},
		"name null":              {`"acme"`, `null`, "organizationName"},
		"threshold 0":            {`"rootQuorumThreshold":1`, `"rootQuorumThreshold":0`, "rootQuorumThreshold"},
		"threshold negative":     {`"rootQuorumThreshold":1`, `"rootQuorumThreshold":-1`, "rootQuorumThreshold"},
		"threshold too high":     {`"rootQuorumThreshold":1`, `"rootQuorumThreshold":2`, "rootQuorumThreshold"},
		"threshold a float":      {`"rootQuorumThreshold":1`, `"rootQuorumThreshold":1.0`, "rootQuorumThreshold"},
		"threshold huge":         {`"rootQuorumThreshold":1`, `"rootQuorumThreshold":18446744073709551617`, "rootQuorumThreshold"},
		"another appliance":      {quorum, quorum[:128] + "00", "quorumPublicKeys"},
		"no appliance":           {`"` + quorum + `"`, ``, "quorumPublicKeys"},
		"appliance in big hex":   {quorum, strings.ToUpper(quorum), "quorumPublicKeys"},
		"short salt":             {`"salt":"`, `"salt":"00","x":"`, ""},
		"no users":               {`"rootUsers":[{`, `"rootUsers":[],"x":[{`, ""},
		"user without a key":     {`"apiKeys":[{`, `"apiKeys":[],"x":[{`, ""},
		"user without a name":    {`"u0"`, `""`, "rootUsers[0].userName"},
		"key of no curve":        {`API_KEY_CURVE_P256`, `API_KEY_CURVE_P384`, "rootUsers[0].apiKeys[0].curveType"},
		"key in upper case":      {a.PublicHex(), strings.ToUpper(a.PublicHex()), "rootUsers[0].apiKeys[0].publicKey"},
		"userId, which is ours":  {`{"userName"`, `{"userId":"x","userName"`, "userId"},
		"control character":      {`"acme"`, `"a\u0007cme"`, "organizationName"},
		"trailing value":         {`{"type"`, `{}{"type"`, ""},
		"expiration overflowing": {`"curveType"`, `"expirationSeconds":"99999999999999","curveType"`, "expirationSeconds"},
	} {
		t.Run(name, func(t *testing.T) {
			body := w.foundingBody(1, a)
			if !strings.Contains(body, c.old) {
				t.Fatal("nothing to change")
			}
			body = strings.Replace(body, c.old, c.new, 1)
			w.adds(0, func() {
				r := w.refused(w.postFounding(body, w.stampsOf(body, a)...), 400, 3)
				if !strings.Contains(r.Message, c.names) || !strings.Contains(r.Message, "foundingBody") {
					t.Errorf("message %q does not name %s", r.Message, c.names)
				}
			})
		})
	}
	for _, raw := range []string{"", "{}", `{"foundingBody":"","stamps":[]}`, `{"foundingBody":{},"stamps":[]}`, `{"foundingBody":"{}","stamps":[],"x":1}`, `[]`} {
		w.adds(0, func() {
			w.refused(w.do(&wire.Request{API: wire.APISallyport, Path: organizationsPath, Body: []byte(raw)}), 400, 3)
		})
	}
}

func TestOneKeyForTwoRootUsersIsRefused(t *testing.T) {
	w := newWorld(t, 1, 1)
	a := w.newKey()
	body := w.foundingBody(2, a, a)
	w.adds(0, func() { w.refused(w.postFounding(body, w.stampsOf(body, a)...), 400, 3) })
}

func TestFoundingTooLargeForTheJournalIsRefused(t *testing.T) {
	w := newWorld(t, 1, 1)
	a := w.newKey()
	body := w.foundingBody(1, a) + strings.Repeat(" ", 600<<10)
	w.adds(0, func() { w.refused(w.postFounding(body, w.stampsOf(body, a)...), 400, 3) })
}

func TestClosedApplianceFoundsNothing(t *testing.T) {
	w := &world{T: t, host: enclavetest.NewHost()}
	w.enclave = enclavetest.New(t, enclavetest.Options{Host: w.host, ClosedOrganizations: true})
	a := w.newKey()
	body := w.foundingBody(1, a)
	w.adds(0, func() { w.refused(w.postFounding(body, w.stampsOf(body, a)...), 403, 7) })
}

func TestFoundingOnAnotherApplianceIsRefused(t *testing.T) {
	one, two := newWorld(t, 1, 1), newWorld(t, 1, 1)
	a := one.newKey()
	body := one.foundingBody(1, a)
	two.adds(0, func() { two.refused(two.postFounding(body, two.stampsOf(body, a)...), 400, 3) })
	one.adds(1, func() { one.postFounding(body, one.stampsOf(body, a)...) })
}

func TestRootKeysOfEveryCurveFound(t *testing.T) {
	w := newWorld(t, 1, 1)
	for _, s := range newSigners(t) {
		body := strings.Replace(w.foundingBody(1, w.keys[0]), w.keys[0].PublicHex()+`","curveType":"API_KEY_CURVE_P256"`, s.public+`","curveType":"`+s.curve+`"`, 1)
		reply := w.postFounding(body, string(encodeStamp(s.json([]byte(body)))))
		if reply.Status != 200 {
			t.Fatalf("%s: %s", s.curve, reply.Body)
		}
	}
}
