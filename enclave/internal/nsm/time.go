package nsm

import (
	"context"
	"errors"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// Time returns the module's time: the timestamp of a document that it makes
// for the question. The module is this enclave's own, so its signature is not
// looked at.
func (n *NSM) Time() (time.Time, error) {
	doc, err := n.Attest(context.Background(), nil, nil, nil)
	if err != nil {
		return time.Time{}, err
	}
	var sign1 []cbor.RawMessage
	if err := cbor.Unmarshal(doc, &sign1); err != nil || len(sign1) != 4 {
		return time.Time{}, errors.New("nsm: the document is not a COSE_Sign1")
	}
	var inner []byte
	var payload struct {
		Timestamp uint64 `cbor:"timestamp"` // Unix milliseconds
	}
	if err := cbor.Unmarshal(sign1[2], &inner); err != nil {
		return time.Time{}, errors.New("nsm: the document has no payload")
	}
	if err := cbor.Unmarshal(inner, &payload); err != nil || payload.Timestamp == 0 {
		return time.Time{}, errors.New("nsm: the document has no timestamp")
	}
	return time.UnixMilli(int64(payload.Timestamp)), nil
}
