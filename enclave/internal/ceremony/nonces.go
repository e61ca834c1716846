package ceremony

import (
	"sync"
	"time"
)

const (
	maxNonces = 16
	nonceLife = 5 * time.Minute
)

// nonces are what this enclave asked other enclaves to attest over.
type nonces struct {
	mu    sync.Mutex
	given map[string]time.Time
}

func (n *nonces) give(now time.Time) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.given == nil || len(n.given) >= maxNonces {
		n.given = map[string]time.Time{}
	}
	nonce := random(32)
	n.given[string(nonce)] = now
	return nonce
}

func (n *nonces) take(nonce []byte, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	at, ok := n.given[string(nonce)]
	delete(n.given, string(nonce))
	return ok && now.Sub(at) <= nonceLife
}
