package strictjson_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/attestation/strictjson"
)

type key struct {
	Name  string   `json:"privateKeyName" strict:"required"`
	Curve string   `json:"curve,omitempty"`
	Tags  []string `json:"privateKeyTags"`
}

type parameters struct {
	Keys []key   `json:"privateKeys"`
	Grid [][]int `json:"grid"`
}

type head struct {
	Type string `json:"type" strict:"required"`
	Org  string `json:"organizationId"`
}

type upper string

func (u *upper) UnmarshalText(b []byte) error {
	if string(b) != strings.ToUpper(string(b)) {
		return errors.New("must be upper case")
	}
	*u = upper(b)
	return nil
}

type activity struct {
	head
	Parameters *parameters      `json:"parameters"`
	Proofs     *bool            `json:"generateAppProofs"`
	Small      int8             `json:"small"`
	Wide       int64            `json:"wide"`
	Count      uint64           `json:"count"`
	Document   []byte           `json:"document"`
	Extra      strictjson.Raw   `json:"extra"`
	Upper      upper            `json:"upper"`
	More       []strictjson.Raw `json:"more"`
	Deep       []*activity      `json:"deep"`
	Skipped    string           `json:"-"`
	hidden     string
}

func TestBodyOfAClientIsDecoded(t *testing.T) {
	const body = " {\"parameters\":{\"privateKeys\":[{\"privateKeyName\":\"a\\u00e9\\ud83d\\ude00\\n\",\"curve\":\"CURVE_P256\"," +
		`"privateKeyTags":[]}],"grid":[[1,-2],[]]},"organizationId":"o","generateAppProofs":null,"small":-128,` +
		`"wide":-9223372036854775808,"count":9223372036854775807,"document":"AAE=","type":"T",` +
		`"extra": {"a": [1, {"b":null}] } ,"upper":"UP","more":[1,"x"],"deep":[{"type":"inner"}]}` + "\n"
	var got activity
	if err := strictjson.Decode([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	want := activity{
		head: head{Type: "T", Org: "o"},
		Parameters: &parameters{
			Keys: []key{{Name: "aé😀\n", Curve: "CURVE_P256", Tags: []string{}}},
			Grid: [][]int{{1, -2}, {}},
		},
		Small: -128, Wide: -1 << 63, Count: 1<<63 - 1,
		Document: []byte{0, 1},
		Extra:    strictjson.Raw(`{"a": [1, {"b":null}] }`),
		Upper:    "UP",
		More:     []strictjson.Raw{strictjson.Raw("1"), strictjson.Raw(`"x"`)},
		Deep:     []*activity{{head: head{Type: "inner"}}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(activity{})); diff != "" {
		t.Errorf("decoded value (-want +got):\n%s", diff)
	}
}

func TestEverySecondReadingIsRefused(t *testing.T) {
	deep := func(n int) string {
		return `{"type":"","extra":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	tests := []struct{ name, body, want string }{
		{"empty", "", "is not complete JSON"},
		{"null", "null", "must not be null"},
		{"array", "[]", "must be an object"},
		{"string", `"x"`, "must be an object"},
		{"byte order mark", "\xef\xbb\xbf{}", "is not valid JSON from byte 0 on"},
		{"second value", `{"type":""}{}`, "must be followed by nothing but white space"},
		{"trailing NUL", "{\"type\":\"\"}\x00", "must be followed by nothing but white space"},
		{"bad UTF-8", "{\"type\":\"\xff\"}", "must be valid UTF-8"},
		{"surrogate in UTF-8", "{\"type\":\"\xed\xa0\x80\"}", "must be valid UTF-8"},
		{"lone high surrogate", `{"type":"\ud800"}`, "type: must not hold half of a surrogate pair"},
		{"lone low surrogate", `{"type":"\udc00x"}`, "type: must not hold half of a surrogate pair"},
		{"two high surrogates", `{"type":"\ud800\ud800"}`, "type: must not hold half of a surrogate pair"},
		{"cut surrogate", `{"type":"\ud800\`, "type: must not hold half of a surrogate pair"},
		{"escaped NUL", `{"type":"\u0000"}`, "type: must not hold U+0000"},
		{"raw control", "{\"type\":\"\x01\"}", "type: is not valid JSON from byte 9 on"},
		{"raw newline after escape", "{\"type\":\"\\n\n\"}", "type: is not valid JSON from byte 11 on"},
		{"bad escape", `{"type":"\x"}`, "type: is not valid JSON from byte 10 on"},
		{"bad hex escape", `{"type":"\u00g0"}`, "type: is not valid JSON from byte 10 on"},
		{"open string", `{"type":"abc`, "type: is not complete JSON"},
		{"unknown member", `{"type":"","typo":1}`, "typo: is not a known member"},
		{"unknown nested", `{"type":"","parameters":{"privateKeys":[{"privateKeyName":"","x":1}]}}`, "parameters.privateKeys[0].x: is not a known member"},
		{"unknown member with odd name", "{\"a b\\n\":1}", `"a b\n": is not a known member`},
		{"empty name", `{"":1}`, `"": is not a known member`},
		{"long name", `{"` + strings.Repeat("n", 100) + `":1}`, strings.Repeat("n", 64) + "~: is not a known member"},
		{"other case", `{"Type":""}`, "Type: must be spelled type"},
		{"other case of Unicode", `{"ſmall":1}`, `"\u017fmall": must be spelled small`},
		{"twice", `{"type":"","type":""}`, "type: must not appear twice"},
		{"twice with escape", `{"type":"","t\u0079pe":""}`, "type: must not appear twice"},
		{"twice with null", `{"type":null,"type":""}`, "type: must not appear twice"},
		{"twice in raw", `{"type":"","extra":{"a":1,"a":1}}`, "extra.a: must not appear twice"},
		{"two cases in raw", `{"type":"","extra":[{"a":{"K":1,"\u212a":2}}]}`, `extra[0].a."\u212a": must differ from K in more than case`},
		{"required", `{}`, "type: is required"},
		{"required null", `{"type":null}`, "type: is required"},
		{"required in array", `{"type":"","parameters":{"privateKeys":[{}]}}`, "parameters.privateKeys[0].privateKeyName: is required"},
		{"number for string", `{"type":1}`, "type: must be a string"},
		{"string for bool", `{"generateAppProofs":"true"}`, "generateAppProofs: must be true or false"},
		{"object for array", `{"deep":{}}`, "deep: must be an array"},
		{"array for object", `{"parameters":[]}`, "parameters: must be an object"},
		{"string for number", `{"small":"1"}`, "small: must be an integer"},
		{"fraction", `{"small":1.0}`, "small: must be an integer without fraction or exponent"},
		{"exponent", `{"small":1e2}`, "small: must be an integer without fraction or exponent"},
		{"minus zero", `{"small":-0}`, "small: must be an integer without leading zero, and zero without sign"},
		{"leading zero", `{"small":01}`, "small: must be an integer without leading zero, and zero without sign"},
		{"lone minus", `{"small":-}`, "small: is not valid JSON from byte 10 on"},
		{"plus", `{"small":+1}`, "small: is not valid JSON from byte 9 on"},
		{"too big for field", `{"small":128}`, "small: must fit 8 bits"},
		{"too big for int64", `{"wide":9223372036854775808}`, "wide: must be an integer of at most 64 bits with sign"},
		{"too big for int64 in uint64", `{"count":9223372036854775808}`, "count: must be an integer of at most 64 bits with sign"},
		{"negative count", `{"count":-1}`, "count: must not be negative"},
		{"float in raw", `{"extra":{"x":0.5}}`, "extra.x: must be an integer without fraction or exponent"},
		{"null element", `{"more":[null]}`, "more[0]: must not be null"},
		{"null element in raw", `{"extra":[1,null]}`, "extra[1]: must not be null"},
		{"null row", `{"parameters":{"grid":[[1],null]}}`, "parameters.grid[1]: must not be null"},
		{"base64 without padding", `{"document":"AAE"}`, "document: must be canonical base64"},
		{"base64 with spare bits", `{"document":"AAF="}`, "document: must be canonical base64"},
		{"base64 with newline", `{"document":"AA\nE="}`, "document: must be canonical base64"},
		{"base64url", `{"document":"__8="}`, "document: must be canonical base64"},
		{"text method", `{"upper":"low"}`, "upper: must be upper case"},
		{"too deep", deep(32), "extra" + strings.Repeat("[0]", 31) + ": must not nest deeper than 32 levels"},
		{"trailing comma", `{"type":"",}`, "is not valid JSON from byte 11 on"},
		{"trailing comma in array", `{"more":[1,]}`, "more[1]: is not valid JSON from byte 11 on"},
		{"missing colon", `{"type" ""}`, "type: is not valid JSON from byte 8 on"},
		{"comment", `{/**/}`, "is not valid JSON from byte 1 on"},
		{"word", `{"generateAppProofs":tru}`, "generateAppProofs: must be true or false"},
		{"word and more", `{"generateAppProofs":truex}`, "is not valid JSON from byte 25 on"},
		{"too many elements", `{"extra":[` + strings.Repeat("1,", 1<<16) + `1]}`, "extra[65536]: must not have more than 65536 array elements in all"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := activity{hidden: "x", head: head{Type: "old"}}
			err := strictjson.Decode([]byte(tt.body), &got)
			var typed *strictjson.Error
			if !errors.As(err, &typed) {
				t.Fatalf("Decode error = %v, want an *Error", err)
			}
			if err.Error() != tt.want {
				t.Errorf("error\n got %s\nwant %s", err, tt.want)
			}
			if diff := cmp.Diff(activity{}, got, cmp.AllowUnexported(activity{})); diff != "" {
				t.Errorf("a refused document left something behind:\n%s", diff)
			}
		})
	}
	var ok activity
	if err := strictjson.Decode([]byte(deep(31)), &ok); err != nil {
		t.Errorf("the deepest document allowed: %v", err)
	}
}

func TestOversizedNamesAreCapped(t *testing.T) {
	for _, name := range []string{strings.Repeat(`\n`, 500), strings.Repeat("\U0001f600", 500), strings.Repeat(`\"`, 40)} {
		var v activity
		err := strictjson.Decode([]byte(`{"`+name+`":1}`), &v)
		if err == nil || len(err.Error()) > 64+40 {
			t.Errorf("error of %d bytes: %v", len(err.Error()), err)
		}
	}
}

func TestMistakesInTypesPanic(t *testing.T) {
	type fold struct {
		A string `json:"pcr"`
		B string `json:"PCR"`
	}
	type quoted struct {
		A int `json:"a,string"`
	}
	for name, v := range map[string]any{
		"float": new(float64), "map": new(map[string]string), "interface": new(any), "array": new([4]int),
		"json.RawMessage": new(json.RawMessage), "two cases": new(fold), "string option": new(quoted),
		"no pointer": activity{}, "nil": (*activity)(nil),
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("Decode did not panic")
				}
			}()
			_ = strictjson.Decode([]byte(`{}`), v)
		})
	}
}

func TestMarshalLeavesMarkupAlone(t *testing.T) {
	got, err := strictjson.Marshal(struct {
		A string         `json:"a"`
		R strictjson.Raw `json:"r"`
		N strictjson.Raw `json:"n"`
	}{"<&>", strictjson.Raw(`{"x":1}`), nil})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"a":"<&>","r":{"x":1},"n":null}`; string(got) != want {
		t.Errorf("Marshal = %s, want %s", got, want)
	}
	if _, err := strictjson.Marshal(func() {}); err == nil {
		t.Error("Marshal of a function gave no error")
	}
}

func TestAnUnknownMemberOfARequestMayBeNull(t *testing.T) {
	many := ""
	for i := range 65 {
		many += `"n` + strings.Repeat("x", i) + `":null,`
	}
	for body, want := range map[string]string{
		`{"type":"","newer":null,"parameters":{"newer":null}}`: "",
		`{"type":"","newer" : null , "other":null}`:            "",
		`{"type":"","newer":0}`:                                "newer: is not a known member",
		`{"type":"","newer":nul}`:                              "newer: is not a known member",
		`{"type":"","newer":null,"newer":null}`:                "newer: must not appear twice",
		`{"type":"","newer":null,"Newer":null}`:                "Newer: must differ from newer in more than case",
		`{"type":"","newer":null,"newer":1}`:                   "newer: is not a known member",
		`{"type":"","newer"}`:                                  "newer: is not valid JSON from byte 18 on",
		`{"type":"","newer":null`:                              "is not complete JSON",
		`{"Type":null,"type":""}`:                              "Type: must be spelled type",
		`{` + many + `"type":""}`:                              "must not have more than 64 unknown members",
	} {
		var v activity
		got := ""
		if err := strictjson.DecodeRequest([]byte(body), &v); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
		if strings.Contains(body, "null") && strictjson.Decode([]byte(body), &v) == nil {
			t.Errorf("%s: is taken where it is no request", body)
		}
	}
}
