package engine

import (
	"slices"
	"testing"
)

func TestHonestMessagesPass(t *testing.T) {
	for _, name := range operations {
		if f, _ := record(t, name).replay(t, nil); f != nil {
			t.Errorf("%s: %v", name, f)
		}
	}
}

// A relay may change the order; and repeat.
func TestHonestMessagesPassInAnyOrder(t *testing.T) {
	for _, name := range operations {
		r := *record(t, name)
		r.mail = slices.Clone(r.mail)
		slices.Reverse(r.mail)
		if f, _ := r.replay(t, nil); f != nil {
			t.Errorf("%s: %v", name, f)
		}
	}
}
