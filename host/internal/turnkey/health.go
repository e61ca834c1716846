package turnkey

import (
	"context"
	"sync"
	"time"

	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/internal/front"
)

var (
	aliveBody = []byte(`{"status":"alive"}`)
	readyBody = []byte(`{"status":"ready"}`)
)

var unreachable = voice.Unavailable("the enclave cannot be reached")

func serveAlive(x *front.Exchange) { x.Write(200, aliveBody) }

const (
	// readyFor is how long an answer of /readyz serves: the page needs no
	// credential, so it must not be a way to keep the enclave busy.
	readyFor = 250 * time.Millisecond
	// readyTimeout is less than what load balancers wait by default.
	readyTimeout = 2 * time.Second
)

// readiness answers /readyz: 200 when the enclave's phase is Ready, else 503
// that names the phase.
type readiness struct {
	enclave wire.Enclave

	mu      sync.Mutex
	until   time.Time
	refusal *front.Refusal // nil when ready
}

func (r *readiness) serve(x *front.Exchange) {
	if no := r.ask(); no != nil {
		x.Refuse(no)
		return
	}
	x.Write(200, readyBody)
}

func (r *readiness) ask() *front.Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Now().Before(r.until) {
		return r.refusal
	}
	// Not the request's context: the answer is for others too.
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	status, err := r.enclave.Status(ctx)
	switch {
	case err != nil || status == nil:
		r.refusal = unreachable
	case status.Phase == wire.PhaseReady:
		r.refusal = nil
	default:
		r.refusal = voice.Unavailable("the enclave is " + front.Printable(string(status.Phase), 32))
	}
	r.until = time.Now().Add(readyFor)
	return r.refusal
}
