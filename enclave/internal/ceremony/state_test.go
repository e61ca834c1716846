package ceremony

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/enclave/wire"
)

// A readingHost gives its answers to reads in order, and then none but success.
type readingHost struct {
	wire.Host
	answers []error
}

func (h *readingHost) ReadRange(context.Context, uint64, int) ([][]byte, error) {
	if len(h.answers) == 0 {
		return nil, nil
	}
	err := h.answers[0]
	h.answers = h.answers[1:]
	return nil, err
}

func TestHostThatDoesNotAnswerIsWaitedFor(t *testing.T) {
	away := wire.Errorf(wire.Unavailable, "", "no answer from the host")
	h := &readingHost{answers: []error{away, errors.New("connection refused"), away}}
	if err := waitForHost(t.Context(), h); err != nil || len(h.answers) != 0 {
		t.Errorf("%v, %d answers left", err, len(h.answers))
	}
}

func TestHostThatCannotReadItsStoreIsNotWaitedFor(t *testing.T) {
	h := &readingHost{answers: []error{wire.Errorf(wire.Internal, "", "internal error, incident 1")}}
	err := waitForHost(t.Context(), h)
	if err == nil || !strings.Contains(err.Error(), "journal entry 0: reading: internal error") {
		t.Errorf("got %v", err)
	}
}
