// Package attestation verifies attestation documents of AWS Nitro Enclaves and
// of the local platform that simulates them. A bug here makes a client believe
// a lie.
//
// It trusts the AWS root certificate, or one local root, and nothing that a
// document says before its signature and chain are verified. Those two are the
// work of nitrite; everything that nitrite leaves open is done around it: a
// strict decode before, and kind, freshness, measurements and bindings after.
// See the README for the procedure, step by step.
//
// There are two ways to verify, because they claim different things:
// [VerifyLive] and [VerifyChallenge] say that the enclave runs now,
// [VerifyArchived] says that it ran when the document was made. None of them
// checks revocation, and none accepts an enclave in debug mode.
package attestation

import (
	"crypto/subtle"
	"time"
)

const (
	// MaxAge is how far a live document's own time may be from now, either way.
	MaxAge = 5 * time.Minute
	// clockLeeway covers a verifier whose clock is slow: modules make a new
	// leaf certificate seconds before they sign with it.
	clockLeeway = 60 * time.Second
)

// VerifyLive verifies a document that was just made for the caller's nonce, of
// at least 16 random bytes used once. The chain must be valid now, and the
// document's time within [MaxAge] of now and within the life of its leaf
// certificate. Only kinds with a nonce can be live.
//
// There is no Document beside an error; errors are of type [*Error].
func VerifyLive(doc []byte, t Trust, e Expect, nonce []byte, now time.Time) (*Document, error) {
	if !e.Kind.hasNonce() {
		return nil, refuse(ReasonUsage, "only challenge and channel documents have a nonce and can be verified live")
	}
	if len(nonce) < minNonce || len(nonce) > MaxNonce {
		return nil, refuse(ReasonUsage, "a nonce must have %d to %d bytes", minNonce, MaxNonce)
	}
	if now.IsZero() {
		return nil, refuse(ReasonUsage, "verifying a live document needs the time")
	}
	return verify(doc, t, e, func(p *payload, c *chain) (time.Time, error) {
		return liveTime(p, c, now)
	}, func(p *payload) error {
		if subtle.ConstantTimeCompare(p.Nonce, nonce) != 1 {
			return refuse(ReasonNonce, "nonce: is not the one that was asked for")
		}
		return nil
	})
}

// VerifyArchived verifies a document of any age: the chain must have been valid
// at the document's own time. It claims nothing about now: whoever had the key
// of the leaf, while it was valid or later, could have chosen that time.
//
// There is no Document beside an error; errors are of type [*Error].
func VerifyArchived(doc []byte, t Trust, e Expect) (*Document, error) {
	return verify(doc, t, e, func(p *payload, _ *chain) (time.Time, error) {
		return p.time(), nil
	}, func(*payload) error { return nil })
}

// verify is the procedure, in the order of the README.
func verify(doc []byte, t Trust, e Expect, at func(*payload, *chain) (time.Time, error), fresh func(*payload) error) (*Document, error) {
	if t.trust == nil {
		return nil, refuse(ReasonUsage, "no root is trusted")
	}
	if err := e.check(); err != nil {
		return nil, err
	}
	cose, p, err := decode(doc)
	if err != nil {
		return nil, err
	}
	c, err := t.parseChain(p)
	if err != nil {
		return nil, err
	}
	when, err := at(p, c)
	if err != nil {
		return nil, err
	}
	if err := t.verify(cose, c, when); err != nil {
		return nil, err
	}
	if err := t.checkMeasurements(p); err != nil {
		return nil, err
	}
	if err := e.match(p); err != nil {
		return nil, err
	}
	if err := fresh(p); err != nil {
		return nil, err
	}
	return p.document(t.assurance, c.leaf.NotAfter), nil
}

// liveTime checks the document's time against now, and returns the time at which
// the chain must be valid: now, or the start of a leaf that is at most a minute
// in the future.
func liveTime(p *payload, c *chain, now time.Time) (time.Time, error) {
	made := p.time()
	if made.Before(now.Add(-MaxAge)) {
		return time.Time{}, refuse(ReasonStale, "timestamp: the document was made more than %v ago", MaxAge)
	}
	if made.After(now.Add(MaxAge)) {
		return time.Time{}, refuse(ReasonStale, "timestamp: the document was made more than %v from now", MaxAge)
	}
	if made.Before(c.leaf.NotBefore) || made.After(c.leaf.NotAfter) {
		return time.Time{}, refuse(ReasonExpired, "timestamp: the certificate was not valid when the document was made")
	}
	if early := c.leaf.NotBefore.Sub(now); early > 0 && early <= clockLeeway {
		return c.leaf.NotBefore, nil
	}
	return now, nil
}

func (p *payload) measurements() Measurements {
	var m Measurements
	copy(m.PCR0[:], p.PCRs[0])
	copy(m.PCR1[:], p.PCRs[1])
	copy(m.PCR2[:], p.PCRs[2])
	return m
}

// checkMeasurements refuses debug mode first, so that it is named.
func (t *trust) checkMeasurements(p *payload) error {
	for index := range uint64(3) {
		if p.PCRs[index] == nil {
			return refuse(ReasonMeasurements, "pcrs: register %d is missing", index)
		}
	}
	m := p.measurements()
	if m.PCR0 == ([PCRSize]byte{}) {
		return refuse(ReasonDebugEnclave, "pcrs: register 0 is all zero: a debug-mode enclave, whose memory its host can read")
	}
	for _, accepted := range t.accepted {
		if m == accepted {
			return nil
		}
	}
	return refuse(ReasonMeasurements, "pcrs: registers 0, 1 and 2 are not an accepted measurement")
}
