package nsm_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/nsm"
	"github.com/sallyport/sallyport/enclave/internal/simulator"
)

func TestErrorRepliesAreErrors(t *testing.T) {
	n := nsm.Over(fixed(encode(t, object{"Error": "ReadOnlyIndex"})))
	_, pcrErr := n.PCR(16)
	_, attestErr := n.Attest(t.Context(), nil, nil, nil)
	_, readErr := n.Read(make([]byte, 1))
	for name, err := range map[string]error{
		"PCR": pcrErr, "Attest": attestErr, "Read": readErr,
		"ExtendPCR": n.ExtendPCR(16, nil), "LockPCR": n.LockPCR(16), "LockPCRs": n.LockPCRs(32),
	} {
		var refused *nsm.Error
		if !errors.As(err, &refused) || refused.Code != nsm.ReadOnlyIndex || refused.Request == "" {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestReplyOfAnotherShapeIsRefused(t *testing.T) {
	pcr := make([]byte, 48)
	good := encode(t, object{"DescribePCR": object{"lock": true, "data": pcr}})
	if _, err := nsm.Over(fixed(good)).PCR(1); err != nil {
		t.Fatal(err)
	}
	for name, reply := range map[string][]byte{
		"empty":                      nil,
		"cut short":                  good[:len(good)-1],
		"bytes behind it":            append(bytes.Clone(good), 0),
		"another reply":              encode(t, object{"ExtendPCR": object{"data": pcr}}),
		"a bare name":                encode(t, "DescribePCR"),
		"a bare error":               encode(t, "Error"),
		"two replies":                encode(t, object{"DescribePCR": object{"data": pcr}, "LockPCR": nil}),
		"register of 32 bytes":       encode(t, object{"DescribePCR": object{"lock": true, "data": pcr[:32]}}),
		"register missing":           encode(t, object{"DescribePCR": object{"lock": true}}),
		"register as text":           encode(t, object{"DescribePCR": object{"lock": true, "data": strings.Repeat("x", 48)}}),
		"member twice":               []byte("\xa1\x6bDescribePCR\xa2\x64lock\xf5\x64lock\xf4"),
		"array":                      encode(t, []int{1}),
		"tag":                        append([]byte{0xc6}, good...),
		"null":                       {0xf6},
		"error without a code":       encode(t, object{"Error": ""}),
		"error that is no text":      encode(t, object{"Error": 7}),
		"error with an endless code": encode(t, object{"Error": strings.Repeat("x", 65)}),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := nsm.Over(fixed(reply)).PCR(1); err == nil || got != nil {
				t.Errorf("got %x, %v", got, err)
			}
		})
	}
	t.Run("open map", func(t *testing.T) {
		reply := []byte("\xbf\x6bDescribePCR\xbf\x64lock\xf5\x64data\x58\x30" + string(pcr) + "\xff\xff")
		if _, err := nsm.Over(fixed(reply)).PCR(1); err != nil {
			t.Error(err)
		}
	})
	t.Run("no document", func(t *testing.T) {
		if _, err := nsm.Over(fixed(encode(t, object{"Attestation": object{"document": []byte{}}}))).Attest(t.Context(), nil, nil, nil); err == nil {
			t.Error("no error")
		}
	})
	t.Run("no random bytes", func(t *testing.T) {
		if n, err := nsm.Over(fixed(encode(t, object{"GetRandom": object{"random": []byte{}}}))).Read(make([]byte, 8)); err == nil || n != 0 {
			t.Errorf("got %d, %v", n, err)
		}
	})
	t.Run("length beyond the buffer", func(t *testing.T) {
		d := &fake{answer: func(_, reply []byte) (int, error) { return len(reply) + 1, nil }}
		if _, err := nsm.Over(d).PCR(1); err == nil {
			t.Error("no error")
		}
	})
}

func TestTimeIsThatOfTheModule(t *testing.T) {
	at := time.UnixMilli(1764000000123)
	s, err := simulator.New(simulator.WithClock(func() time.Time { return at }))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Time(); err != nil || !got.Equal(at) {
		t.Errorf("got %v, %v", got, err)
	}
	for name, doc := range map[string][]byte{
		"no envelope":   {0x80},
		"no payload":    {0x84, 0x40, 0xa0, 0xf6, 0x40},
		"empty payload": {0x84, 0x40, 0xa0, 0x41, 0xa0, 0x40},
		"no CBOR":       {0xff},
	} {
		t.Run(name, func(t *testing.T) {
			reply := encode(t, object{"Attestation": object{"document": doc}})
			if got, err := nsm.Over(fixed(reply)).Time(); err == nil || !got.IsZero() {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}
