package wire

import (
	"encoding/hex"
	"strings"
	"testing"
)

// brokenBodies are request bodies that no side takes. Method 2 is Do.
var brokenBodies = []struct{ name, body, want string }{
	{"nothing", "", "ends inside an item"},
	{"not a map", "80", "not a map"},
	{"two items", "a2 01 02 02 a0 00", "bytes after"},
	{"no method", "a1 02 a0", "fields must be 1 and 2"},
	{"no parameters", "a1 01 02", "fields must be 1 and 2"},
	{"method is text", "a2 01 61 32 02 a0", "must be an unsigned integer"},
	{"duplicate key", "a3 01 02 02 a0 02 a0", "twice or out of order"},
	{"duplicate key inside", "a2 01 02 02 a3 01 01 02 60 02 60", "twice or out of order"},
	{"keys out of order", "a2 02 a0 01 02", "twice or out of order"},
	{"text key", "a2 61 31 02 02 a0", "not an unsigned integer"},
	{"negative key", "a2 01 02 20 a0", "not an unsigned integer"},
	{"long form of a key", "a2 18 01 02 02 a0", "shortest form"},
	{"long form of a method", "a2 01 18 02 02 a0", "shortest form"},
	{"long form of a length", "a2 01 02 02 a1 03 58 01 00", "shortest form"},
	{"indefinite map", "bf 01 02 02 a0 ff", "indefinite"},
	{"indefinite bytes", "a2 01 02 02 a1 03 5f 41 00 ff", "indefinite"},
	{"indefinite array", "a2 01 02 02 a1 01 9f ff", "indefinite"},
	{"break alone", "a2 01 02 02 ff", "indefinite"},
	{"reserved length", "a2 01 02 02 1c", "indefinite or reserved"},
	{"tag", "a2 01 02 02 a1 03 c2 41 00", "a tag"},
	{"tagged body", "d9 d9f7 a2 01 02 02 a0", "not a map"},
	{"float", "a2 01 02 02 a1 01 f9 3c00", "a float"},
	{"null", "a2 01 02 02 a1 03 f6", "not a boolean"},
	{"undefined", "a2 01 02 02 a1 03 f7", "not a boolean"},
	{"text that is not UTF-8", "a2 01 02 02 a1 02 61 ff", "not UTF-8"},
	{"list of numbers for bytes", "a2 01 02 02 a1 03 82 01 02", "bare value"},
	{"depth", "a2 01 02 02 " + strings.Repeat("a1 01 ", 8) + "00", "nesting beyond 8 levels"},
	{"depth of arrays", "a2 01 02 02 " + strings.Repeat("81", 8) + "40", "nesting beyond 8 levels"},
	{"deep as a stack", "a2 01 02 02 " + strings.Repeat("81", 100_000), "nesting beyond 8 levels"},
	{"bytes beyond the end", "a2 01 02 02 a1 03 5b ffffffffffffffff", "ends inside an item"},
	{"array beyond the end", "a2 01 02 02 a1 01 99 1000", "ends inside an item"},
	{"array too long", "a2 01 02 02 a1 01 99 1001", "more than 4096 elements"},
	{"array of 2^64-1", "a2 01 02 02 a1 01 9b ffffffffffffffff", "more than 4096 elements"},
	{"map too large", "a2 01 02 02 b8 21", "more than 32 pairs"},
}

func TestBrokenBodyIsRefusedByBothSides(t *testing.T) {
	for _, test := range brokenBodies {
		t.Run(test.name, func(t *testing.T) {
			body := unhex(t, test.body)
			for _, c := range []codec{enclaveCodec, hostCodec} {
				_, _, refused := c.request(body)
				if refused == nil || refused.Reason != ReasonEncoding || !strings.Contains(refused.Message, test.want) {
					t.Errorf("strict=%v: got %v, want %q", c.strict, refused, test.want)
				}
			}
		})
	}
}

func TestEightLevelsAreRead(t *testing.T) {
	body := unhex(t, "a2 01 02 02 "+strings.Repeat("a1 01 ", 7)+"00")
	if _, _, refused := enclaveCodec.request(body); refused != nil {
		t.Error(refused)
	}
}

func TestUnknownFieldsAreRefusedByTheEnclaveAndIgnoredByTheHost(t *testing.T) {
	inResult := unhex(t, "a1 01 a2 01 80 18 63 61 78")        // {1: {1: [], 99: "x"}}
	inEnvelope := unhex(t, "a2 01 a1 01 80 09 a0")            // {1: {1: []}, 9: {}}
	inRequest := unhex(t, "a2 01 12 02 a3 01 00 02 01 09 60") // ReadRange with field 9
	for _, body := range [][]byte{inResult, inEnvelope} {
		if _, err := enclaveCodec.answer(body, &list{}); err == nil {
			t.Errorf("enclave took the answer %x", body)
		}
		if _, err := hostCodec.answer(body, &list{}); err != nil {
			t.Errorf("host refused the answer %x: %v", body, err)
		}
	}
	for _, c := range []codec{enclaveCodec, hostCodec} {
		_, params, refused := c.request(inRequest)
		if refused != nil {
			t.Fatal(refused)
		}
		if err := c.decode(params, &rangeParams{}); (err != nil) != c.strict {
			t.Errorf("strict=%v: %v", c.strict, err)
		}
	}
}

func TestWrongTypeNamesFieldAndRuleButNoBytes(t *testing.T) {
	tests := []struct{ name, params, want string }{
		{"text for bytes", "a1 03 66 736563726574", "field wire.Request.3: cannot be a UTF-8 text string"},
		{"bytes for text", "a1 02 46 736563726574", "field wire.Request.2: cannot be a byte string"},
		{"number too large", "a1 01 19 0100", "field wire.Request.1: cannot be a positive integer"},
		{"negative number", "a1 01 20", "field wire.Request.1: cannot be a negative integer"},
		{"unknown field", "a1 0a 66 736563726574", "unknown field"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := enclaveCodec.decode(unhex(t, test.params), &Request{})
			if err == nil || err.Error() != test.want {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestBrokenAnswerIsRefused(t *testing.T) {
	long := hex.EncodeToString([]byte(strings.Repeat("x", maxMessage+1)))
	tests := []struct{ name, body string }{
		{"empty", "a0"},
		{"both result and error", "a2 01 a0 02 a2 01 05 03 60"},
		{"unknown code", "a1 02 a2 01 02 03 60"},
		{"code is text", "a1 02 a2 01 61 35 03 60"},
		{"message too long", "a1 02 a2 01 05 03 79 1001 " + long},
		{"reason too long", "a1 02 a3 01 05 02 78 41 " + long[:2*(maxReason+1)] + " 03 60"},
		{"result of another type", "a1 01 80"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if refusal, err := hostCodec.answer(unhex(t, test.body), &list{}); err == nil {
				t.Errorf("accepted, error %v", refusal)
			}
		})
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
