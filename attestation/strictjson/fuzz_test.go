package strictjson_test

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/attestation/strictjson"
)

// FuzzDecode holds Decode to encoding/json: what we accept, it accepts too,
// with an equal result.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		benchBody,
		`{"type":"a","small":-1,"wide":12,"count":3,"document":"AAE=","extra":{"a":[1,{"b":null}]},"upper":"U"}`,
		`{"type":"a","deep":[{"type":"b","generateAppProofs":true}],"more":[1,"x",{},[]],"parameters":{"grid":[[1],[]]}}`,
		`{"type":"\ud83d\ude00\u0041","organizationId":null}`, `{"Type":"x"}`, `{"type":"","type":""}`, `null`, `{"type":1e3}`,
		"{\"type\":\"\xff\"}", `{"type":"\ud800"}`, `{"type":"","extra":{"k":1,"\u212a":2}}`, `{"type":"","document":"AA\n=="}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var ours, theirs activity
		if strictjson.Decode(data, &ours) != nil {
			return
		}
		d := json.NewDecoder(bytes.NewReader(data))
		d.DisallowUnknownFields()
		if err := d.Decode(&theirs); err != nil {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		if _, err := d.Token(); err != io.EOF {
			t.Fatal("accepted bytes after the value")
		}
		if diff := cmp.Diff(theirs, ours, cmp.AllowUnexported(activity{})); diff != "" {
			t.Fatalf("read otherwise than encoding/json:\n%s", diff)
		}
		again, err := strictjson.Marshal(ours)
		if err != nil {
			t.Fatalf("marshalling what was accepted: %v", err)
		}
		if err := strictjson.Decode(again, new(activity)); err != nil {
			t.Fatalf("own encoding is refused: %v", err)
		}
	})
}
