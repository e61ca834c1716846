package keys

import (
	"errors"
	"fmt"
	"sync"

	"filippo.io/bigmod"
)

// maxWeights bounds the cache below. A deployment uses the few subsets of
// share holders that its thresholds allow; if it uses more, starting over
// costs microseconds.
const maxWeights = 1024

// weights caches Lagrange coefficients by curve and indexes, in the order in
// which they were given. Both are public.
var weights = struct {
	mu sync.RWMutex
	m  map[string][]*bigmod.Nat
}{m: map[string][]*bigmod.Nat{}}

// lagrange returns for each share the weight of its value in the sum that is
// the polynomial at zero. The result is shared: it must not be changed.
func lagrange(c Curve, m *bigmod.Modulus, shares []Share) ([]*bigmod.Nat, error) {
	if len(shares) == 0 || len(shares) > 255 {
		return nil, fmt.Errorf("keys: cannot combine %d shares", len(shares))
	}
	var buf [256]byte
	buf[0] = byte(c)
	for i, s := range shares {
		buf[i+1] = s.Index
	}
	key := buf[:len(shares)+1]

	weights.mu.RLock()
	w, ok := weights.m[string(key)]
	weights.mu.RUnlock()
	if ok {
		return w, nil
	}
	w, err := computeWeights(m, key[1:])
	if err != nil {
		return nil, err
	}
	weights.mu.Lock()
	defer weights.mu.Unlock()
	if len(weights.m) >= maxWeights {
		clear(weights.m)
	}
	weights.m[string(key)] = w
	return w, nil
}

// computeWeights gives for each index x_i the product of x_j / (x_j - x_i)
// over all other j. Only public values come here, so time may vary.
func computeWeights(m *bigmod.Modulus, indexes []byte) ([]*bigmod.Nat, error) {
	var seen [256]bool
	for _, x := range indexes {
		if x == 0 {
			return nil, errors.New("keys: share index 0 is the secret itself")
		}
		if seen[x] {
			return nil, fmt.Errorf("keys: share %d appears twice", x)
		}
		seen[x] = true
	}
	out := make([]*bigmod.Nat, len(indexes))
	for i, xi := range indexes {
		numerator, denominator := smallNat(1, m), smallNat(1, m)
		for j, xj := range indexes {
			if i == j {
				continue
			}
			numerator.Mul(smallNat(xj, m), m)
			denominator.Mul(smallNat(xj, m).Sub(smallNat(xi, m), m), m)
		}
		inverse, ok := bigmod.NewNat().InverseVarTime(denominator, m)
		if !ok {
			return nil, errors.New("keys: internal error: modulus is not prime")
		}
		out[i] = numerator.Mul(inverse, m)
	}
	return out, nil
}
