package client

import (
	"fmt"
	"sync"

	"github.com/sallyport/sallyport/attestation/proof"
)

// history is the longest journal that this client has seen proof of.
type history struct {
	mu    sync.Mutex
	size  uint64
	head  [32]byte
	epoch uint64
}

// A mark is where the journal was when a request was sent. Replies to requests
// that run side by side arrive in any order, so a reply is held against what
// was known before its own request, and not against what arrived meanwhile.
type mark struct{ size, epoch uint64 }

func (h *history) mark() mark {
	h.mu.Lock()
	defer h.mu.Unlock()
	return mark{h.size, h.epoch}
}

// admit remembers a proven position, or refuses one that a journal which only
// grows cannot have come to.
func (h *history) admit(since mark, got proof.Reply) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case got.JournalSize < since.size:
		return fmt.Errorf("%w: it had %d entries and now has %d", ErrJournalWentBack, since.size, got.JournalSize)
	case got.Epoch < since.epoch:
		return fmt.Errorf("%w: it was in epoch %d and now is in %d", ErrJournalWentBack, since.epoch, got.Epoch)
	case got.JournalSize == h.size && h.size > 0 && got.JournalHead != h.head:
		return fmt.Errorf("%w: two journals of %d entries have different heads", ErrJournalWentBack, h.size)
	}
	if got.JournalSize > h.size {
		h.size, h.head = got.JournalSize, got.JournalHead
	}
	h.epoch = max(h.epoch, got.Epoch)
	return nil
}
