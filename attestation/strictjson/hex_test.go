package strictjson_test

import (
	"bytes"
	"testing"

	"github.com/sallyport/sallyport/attestation/strictjson"
)

type keys struct {
	Key strictjson.Hex `json:"key" strict:"required"`
}

func TestHexHasOneText(t *testing.T) {
	var got keys
	if err := strictjson.Decode([]byte(`{"key":"00ff"}`), &got); err != nil || !bytes.Equal(got.Key, []byte{0, 255}) {
		t.Fatalf("Decode = %x, %v", got.Key, err)
	}
	if again, err := strictjson.Marshal(got); err != nil || string(again) != `{"key":"00ff"}` {
		t.Errorf("Marshal = %s, %v", again, err)
	}
	for _, s := range []string{"00FF", "0", "0x00", "00 ", "gg", "00f\u212a"} {
		err := strictjson.Decode([]byte(`{"key":"`+s+`"}`), &got)
		if err == nil || err.Error() != "key: must be lower-case hex" {
			t.Errorf("%q: error = %v", s, err)
		}
	}
}
