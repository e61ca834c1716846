package ceremony

import (
	"fmt"

	"github.com/sallyport/sallyport/enclave/internal/journal"
)

// A passage tells whether a journal goes on from where that of the enclave ended which
// handed the root over. Otherwise a host could have the next enclave begin with an
// older journal, without any holder. Entries behind that end are the other enclave's
// too, whose answers were lost, or this one's own.
type passage struct {
	through *bequest // nil: holders gave the root
	head    [32]byte
	size    uint64
	passed  bool
}

func (p *passage) entry(e journal.Entry) {
	if p.through == nil {
		return
	}
	p.head = journal.Link(p.head, e.Leaf)
	p.size = e.Index + 1
	if p.size == p.through.size {
		p.passed = p.head == p.through.head
	}
}

// seen is asked after the replay.
func (p *passage) seen() error {
	if p.through == nil || p.passed {
		return nil
	}
	return fmt.Errorf("journal: it has %d entries and does not go on from that of the enclave that handed the root over, which had %d", p.size, p.through.size)
}
