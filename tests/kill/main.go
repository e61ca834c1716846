// Command kill kills a working appliance, again and again, and counts what is
// there afterwards.
//
//	go run ./tests/kill -rounds N BIN
//
// In each round eight clients create keys and sign, until the enclave, the
// host or dev itself is killed with SIGKILL at a random moment. A start is
// killed half-way as well, the very first one among them. After the restart
// every acknowledged activity must be there, once, with the same id and
// result; every key must have an activity that made it; and a body whose
// answer never came must be one activity when it is sent again.
//
// It ends with `kill: R rounds, N acknowledged, 0 lost, 0 doubled, 0 orphans`,
// and exits 1 when a number is not 0.
package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport/sallyport/tests/appliance"
)

func main() {
	rounds := flag.Int("rounds", 20, "how often to kill")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the random moments")
	flag.Parse()
	if flag.NArg() != 1 || *rounds < 1 {
		fmt.Fprintln(os.Stderr, "usage: kill [-rounds N] [-seed S] BIN")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *rounds, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "kill:", err)
		os.Exit(1)
	}
}

// A story is all rounds on one folder.
type story struct {
	bin, data string
	random    *rand.Rand
	ledger    *ledger
	ready     appliance.Ready
}

func run(bin string, rounds int, seed uint64) error {
	dir, err := os.MkdirTemp("", "sallyport-kill-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Printf("seed %d\n", seed)
	s := &story{bin: bin, data: filepath.Join(dir, "data"), random: rand.New(rand.NewPCG(seed, 0)), ledger: newLedger()}
	victims := []appliance.Process{appliance.Enclave, appliance.Host, appliance.Dev}
	for i := range rounds {
		if err := s.round(i+1, victims[i%len(victims)]); err != nil {
			return fmt.Errorf("round %d: %w", i+1, err)
		}
	}
	if err := s.last(); err != nil {
		return err
	}
	l := s.ledger
	fmt.Printf("kill: %d rounds, %d acknowledged, %d lost, %d doubled, %d orphans\n", rounds, len(l.acknowledged), l.lost, l.doubled, l.orphans)
	if l.lost+l.doubled+l.orphans > 0 {
		return errors.New("something was lost, doubled or orphaned")
	}
	return nil
}

// longestStart is how long dev is left to start before it is killed: more than a start
// takes, so that all of it is hit.
const longestStart = 250 * time.Millisecond

// moment is a random time up to a limit.
func (s *story) moment(limit time.Duration) time.Duration {
	return time.Duration(s.random.Int64N(int64(limit)))
}

// round kills a start, and then one process of a working appliance.
func (s *story) round(number int, victim appliance.Process) error {
	if err := appliance.StartAndKill(s.bin, s.moment(longestStart), "--data", s.data); err != nil {
		return err
	}
	a, err := s.start()
	if err != nil {
		return err
	}
	c, err := newCrowd(a, s.ledger)
	if err != nil {
		return errors.Join(err, a.Stop())
	}
	if err := c.check(); err != nil {
		return errors.Join(err, a.Stop())
	}
	c.work()
	<-time.After(20*time.Millisecond + s.moment(400*time.Millisecond))
	if err := a.Kill(victim); err != nil {
		return err
	}
	ended := a.Wait()
	c.stop()
	fmt.Printf("round %d: %s killed, %d acknowledged, %d without an answer\n", number, victim, len(s.ledger.acknowledged), len(s.ledger.unanswered))
	return died(victim, ended, a.Stderr())
}

// died holds dev to its promise: when a child dies it ends with an error that
// names it.
func died(victim appliance.Process, ended error, stderr string) error {
	if ended == nil {
		return fmt.Errorf("dev ended without an error when %s was killed", victim)
	}
	if victim != appliance.Dev && !strings.Contains(stderr, string(victim)+" exited") {
		return fmt.Errorf("dev does not name the %s that was killed: %s", victim, stderr)
	}
	return nil
}

// last starts once more, counts, and stops.
func (s *story) last() error {
	a, err := s.start()
	if err != nil {
		return err
	}
	c, err := newCrowd(a, s.ledger)
	if err == nil {
		err = c.check()
	}
	return errors.Join(err, a.Stop())
}

// start starts dev on the folder; its credentials must stay what they were.
func (s *story) start() (*appliance.Appliance, error) {
	a, err := appliance.Start(s.bin, "--data", s.data)
	if err != nil {
		return nil, err
	}
	if s.ready.OrganizationID != "" && (s.ready.OrganizationID != a.OrganizationID || s.ready.Users[0] != a.Users[0] || s.ready.QuorumPublicKey != a.QuorumPublicKey) {
		return nil, errors.Join(errors.New("the credentials are others after a restart"), a.Stop())
	}
	s.ready = a.Ready
	return a, nil
}
