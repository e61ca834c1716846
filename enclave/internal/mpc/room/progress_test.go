package room

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// A notebook keeps what is logged.
type notebook struct {
	mu sync.Mutex
	b  strings.Builder
}

func (n *notebook) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.Write(b)
}

func signRequest(where mpc.Where, share *mpc.Share) *mpc.SignRequest {
	return &mpc.SignRequest{Where: where, Share: share, Digest: make([]byte, 32)}
}

func TestLongOperationsTellThatTheyGoOn(t *testing.T) {
	w, log := newWorld(t, 2), new(notebook)
	w.rooms[0].Log = slog.New(slog.NewTextHandler(log, nil))
	shares := w.keygen(2, 0, 1)
	quick := log.b.String()
	where := w.where(2)
	done := make(chan error, 2)
	for n := range 2 {
		go func() {
			time.Sleep(time.Duration(n) * (firstReport + 300*time.Millisecond))
			_, err := w.rooms[n].Sign(t.Context(), signRequest(where, shares[n]))
			done <- err
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	w.rooms[0].Close()
	log.mu.Lock()
	defer log.mu.Unlock()
	if text := log.b.String(); !strings.Contains(text, `msg="under way" operation=sign for=1s stage="waiting for all parties`) || !strings.Contains(text, "msg=ended operation=sign") {
		t.Errorf("the log says %q", text)
	}
	if strings.Contains(quick, "under way") {
		t.Errorf("a quick operation says %q", quick)
	}
}
