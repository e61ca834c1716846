package channel

import (
	"context"
	"testing"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/platform"
)

// quick signs nothing: nobody comes so far as to read it.
type quick struct{ platform.Attester }

func (quick) Attest(context.Context, []byte, []byte, []byte) ([]byte, error) {
	return make([]byte, 5000), nil
}

func FuzzHandle(f *testing.F) {
	a, b := pairOf(f, nil)
	a.id.Attester, b.id.Attester = quick{}, quick{}
	one, err := a.Initiate(f.Context(), node(b.quorum))
	if err != nil {
		f.Fatal(err)
	}
	var s step
	if err := codec.Decode(one, &s); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{0xa5}, 0, []byte{})
	f.Add(one, 1, s.Noise)
	f.Add([]byte{}, 2, make([]byte, 96))
	f.Add([]byte{}, 3, make([]byte, 64))
	f.Fuzz(func(t *testing.T, in []byte, number int, noise []byte) {
		_, _ = b.Handle(t.Context(), in)
		// The same, past the frame: to a side that waits for any step.
		for _, to := range []*side{a, b} {
			from := a
			if to == a {
				from = b
			}
			waiting, err := to.Initiate(t.Context(), node(from.quorum))
			if err != nil {
				t.Fatal(err)
			}
			bad := decoded(t, waiting)
			bad.From, bad.To, bad.Step, bad.Noise = bad.To, bad.From, number, noise
			out, err := to.Handle(t.Context(), codec.Encode(bad))
			if number != 1 && (err == nil || out != nil) {
				t.Error("a message that nobody made is accepted")
			}
		}
		if a.pairs(b)+b.pairs(a) != 0 {
			t.Error("there is a pair")
		}
	})
}
