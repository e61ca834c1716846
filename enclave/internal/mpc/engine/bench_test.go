package engine_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/engine"
	"github.com/sallyport/sallyport/enclave/internal/mpc/mpctest"
	"github.com/sallyport/sallyport/enclave/internal/mpc/preparams"
)

// Each operation of whole nodes is measured beside the same one of the bare
// library, in turns: nodes are enclaves with journal, policy, attested channels
// and relay, all in this process. CPU time is of all parties, divided by them.
const (
	nodes     = 3
	threshold = 2
)

// cpu is what this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// settle waits until nothing computes any more.
func settle() {
	for quiet := 0; quiet < 5; {
		before := cpu()
		time.Sleep(50 * time.Millisecond)
		if quiet++; cpu()-before > 5*time.Millisecond {
			quiet = 0
		}
	}
}

// A meter sums what one side of a comparison used.
type meter struct{ cpu, wall time.Duration }

func (m *meter) measure(f func()) {
	settle()
	before, start := cpu(), time.Now()
	f()
	m.wall += time.Since(start)
	m.cpu += cpu() - before
}

// A comparison is an operation of whole nodes, and the same of the library.
type comparison struct {
	parties int
	prepare func() // may be nil
	ours    func()
	bare    func() error // may be nil
}

func (c comparison) run(b *testing.B) {
	var our, their meter
	for b.Loop() {
		if c.prepare != nil {
			c.prepare()
		}
		our.measure(c.ours)
		if c.bare != nil {
			their.measure(func() {
				if err := c.bare(); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
	b.ReportMetric(0, "ns/op") // of both, and of waiting
	ms := func(d time.Duration) float64 { return d.Seconds() * 1e3 / float64(b.N) }
	b.ReportMetric(ms(our.wall), "wall-ms")
	b.ReportMetric(ms(our.cpu)/float64(c.parties), "cpu-ms/party")
	if c.bare != nil {
		b.ReportMetric(ms(their.wall), "bare-wall-ms")
		b.ReportMetric(ms(their.cpu)/float64(c.parties), "bare-cpu-ms/party")
		b.ReportMetric(our.cpu.Seconds()/their.cpu.Seconds(), "x-bare")
	}
}

// gated is an engine that makes no half-done signatures while it is shut, so that
// what follows a signature is not measured with it.
type gated struct {
	mpc.Engine
	open atomic.Bool
}

func (g *gated) Start(ctx context.Context, s *mpc.Setup) (mpc.Session, error) {
	if s.Op == mpc.OpPresign && !g.open.Load() {
		return nil, mpc.Failf(mpc.CauseEngine, nil, "not now")
	}
	return g.Engine.Start(ctx, s)
}

func BenchmarkNodes(b *testing.B) {
	relay, ahead := mpctest.NewRelay(), &gated{Engine: engine.New()}
	c := newCluster(b, relay, enclavetest.Options{Engine: ahead})
	bare, err := engine.NewBare(nodes, threshold)
	if err != nil {
		b.Fatal(err)
	}
	digest := sha256.Sum256([]byte("a message"))
	newBare := func() error {
		_, err := engine.NewBare(nodes, threshold)
		return err
	}
	c.keygen()
	b.Run("keygen", comparison{parties: nodes, ours: c.keygen, bare: newBare}.run)
	b.Run("sign/cold", comparison{parties: threshold, ours: c.sign, bare: func() error { return bare.Sign(digest[:]) }}.run)
	b.Run("sign/ready", comparison{parties: threshold, prepare: c.stock(ahead), ours: c.sign}.run)
	b.Run("sign/ready/delays", func(b *testing.B) { delays(b, c, relay, ahead) })
	b.Run("reshare", comparison{parties: nodes, ours: c.refresh, bare: bare.Reshare}.run)
	b.Run("export", comparison{parties: threshold, ours: c.export, bare: bare.Export}.run)
}

// delays tells how many one-way delays of messages a signature takes.
func delays(b *testing.B, c *cluster, relay *mpctest.Relay, ahead *gated) {
	const delay = 100 * time.Millisecond
	defer relay.Edit(func(n *mpctest.Relay) { n.Delay = 0 })
	var m meter
	stock := c.stock(ahead)
	for b.Loop() {
		relay.Edit(func(n *mpctest.Relay) { n.Delay = 0 })
		stock()
		relay.Edit(func(n *mpctest.Relay) { n.Delay = delay })
		m.measure(c.sign)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(m.wall.Seconds()/delay.Seconds()/float64(b.N), "delays")
}

// BenchmarkPreParams is a set of pre-parameters by our sieve, and by the library.
func BenchmarkPreParams(b *testing.B) {
	comparison{parties: 1, ours: func() {
		set, err := preparams.Generate(b.Context(), rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		set.Erase()
	}, bare: func() error { return engine.GenerateBare(1) }}.run(b)
}
