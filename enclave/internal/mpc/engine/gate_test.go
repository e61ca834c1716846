package engine

import "testing"

func TestHonestMessagesPass(t *testing.T) {
	for _, name := range operations {
		if f, _ := record(t, name).replay(t, nil); f != nil {
			t.Errorf("%s: %v", name, f)
		}
	}
}
