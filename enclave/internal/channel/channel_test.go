package channel

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

func TestBothSidesHaveThePair(t *testing.T) {
	a, b := pairOf(t, nil)
	if _, err := shake(t, a, b); err != nil {
		t.Fatal(err)
	}
	pa, pb := a.Common(node(b.quorum), b.IDs(node(a.quorum))), b.Common(node(a.quorum), a.IDs(node(b.quorum)))
	if pa == nil || pb == nil || pa.ID() != pb.ID() {
		t.Fatal("no common pair")
	}
	sealer, err := pa.Sealer([]byte("room"), "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	opener, err := pb.Opener([]byte("room"), "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	var sealed [][]byte
	for i := range 5 {
		sealed = append(sealed, sealer.Seal([]byte("x"), []byte{byte(i)}))
	}
	for _, i := range []int{3, 0, 4, 1} {
		if got, err := opener.Open([]byte("x"), sealed[i]); err != nil || !bytes.Equal(got, []byte{byte(i)}) {
			t.Errorf("message %d: %v", i, err)
		}
		if _, err := opener.Open([]byte("x"), sealed[i]); err == nil {
			t.Errorf("message %d opens twice", i)
		}
	}
	if _, err := opener.Open([]byte("y"), sealed[2]); err == nil {
		t.Error("opens under other associated data")
	}
	for range 2 * replayWindow {
		if _, err := opener.Open([]byte("x"), sealer.Seal([]byte("x"), nil)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := opener.Open([]byte("x"), sealed[2]); err == nil {
		t.Error("opens a message from behind the window")
	}
	if _, err := pa.Sealer([]byte("room"), "a", "b"); !errors.Is(err, ErrTaken) {
		t.Errorf("a direction is taken twice: %v", err)
	}
	other, err := pb.Opener([]byte("room"), "b", "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Open([]byte("x"), sealed[2]); err == nil {
		t.Error("a message opens in the other direction")
	}
}

func TestLastNumberIsRefused(t *testing.T) {
	a, err := chacha20poly1305.New(make([]byte, chacha20poly1305.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	s := &Sealer{aead: a, next: math.MaxUint64 - 1}
	o := &Opener{aead: a}
	if _, err := o.Open(nil, s.Seal(nil, nil)); err != nil {
		t.Errorf("the last but one: %v", err)
	}
	if _, err := o.Open(nil, s.Seal(nil, nil)); err == nil {
		t.Error("opens a number with none above it")
	}
	for n := range seqSize {
		if _, err := o.Open(nil, make([]byte, n)); err == nil {
			t.Errorf("opens %d bytes", n)
		}
	}
}

func TestContextsHaveKeysOfTheirOwn(t *testing.T) {
	a, b := pairOf(t, nil)
	if _, err := shake(t, a, b); err != nil {
		t.Fatal(err)
	}
	pa, pb := a.alive(node(b.quorum))[0], b.alive(node(a.quorum))[0]
	sealer, err := pa.Sealer([]byte("one"), "a", "bc")
	if err != nil {
		t.Fatal(err)
	}
	sealed := sealer.Seal(nil, []byte("x"))
	for _, other := range []struct{ context, sender, receiver string }{
		{"two", "a", "bc"}, {"one", "bc", "a"}, {"one", "ab", "c"}, {"onea", "", "bc"}, {"", "onea", "bc"},
	} {
		o, err := pb.Opener([]byte(other.context), other.sender, other.receiver)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Open(nil, sealed); err == nil {
			t.Errorf("opens in %q from %q to %q", other.context, other.sender, other.receiver)
		}
	}
	for i := range maxDirections/2 - 1 {
		pa.taken[[32]byte{byte(i), byte(i >> 8), byte(i >> 16)}] = true
	}
	if a.pairs(b) != 0 || a.Common(node(b.quorum), [][8]byte{pa.id}) == nil {
		t.Error("a worn pair must not be offered, and may still be used")
	}
	for i := range maxDirections {
		pa.taken[[32]byte{byte(i), byte(i >> 8), byte(i >> 16)}] = true
	}
	if _, err := pa.Sealer([]byte("more"), "a", "b"); !errors.Is(err, ErrEnded) {
		t.Errorf("a pair goes on for ever: %v", err)
	}
}

func TestPairsAreRenewedAndWiped(t *testing.T) {
	a, b := pairOf(t, nil)
	to := node(b.quorum)
	var first *Pair
	for i := range maxPairs + 2 {
		if _, err := shake(t, a, b); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = a.alive(to)[0]
		}
	}
	if a.pairs(b) != maxPairs || first.secret.Expose() != nil {
		t.Errorf("%d pairs; the first is kept: %t", a.pairs(b), first.secret.Expose() != nil)
	}
	if _, err := first.Sealer(nil, "a", "b"); !errors.Is(err, ErrEnded) {
		t.Errorf("a pair that is gone gives keys: %v", err)
	}
	newest := a.alive(to)[0]
	newest.made = time.Now().Add(-pairLife - time.Minute)
	if slices.Contains(a.IDs(to), newest.id) || a.Common(to, [][8]byte{newest.id}) != newest {
		t.Error("an old pair must not be offered, and may still be used")
	}
	newest.made = time.Now().Add(-pairLife - pairGrace)
	if a.Common(to, [][8]byte{newest.id}) != nil || newest.secret.Expose() != nil {
		t.Error("a pair outlives its time")
	}
}
