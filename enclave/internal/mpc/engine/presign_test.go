package engine_test

import (
	"crypto/sha256"
	"sync"
	"testing"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/engine"
	"github.com/sallyport/sallyport/enclave/internal/mpc/mpctest"
)

// TestHalfDoneSignatureIsUsedOnce also pins that the library reads its message no
// earlier than in round 5.
func TestHalfDoneSignatureIsUsedOnce(t *testing.T) {
	shares := mpctest.Key(t, keys.Secp256k1)
	digest, other := sha256.Sum256([]byte("x")), sha256.Sum256([]byte("y"))
	sessions := mpctest.Start(t, engine.New(), mpctest.SignSetups(mpc.OpPresign, shares, []int{0, 1}, nil, nil))
	if err := sessions[0].Finish(digest[:]); err == nil {
		t.Error("finished before it is ready")
	}
	var ready, done sync.WaitGroup
	ready.Add(2)
	results := make([]*mpc.Result, 2)
	for i, s := range sessions {
		done.Go(func() {
			presigned := false
			for e := range s.Events() {
				switch {
				case e.Message != nil:
					if e.Message.Round > 4 && !presigned {
						t.Error("goes on before it has a digest")
					}
					sessions[1-i].Deliver(i, e.Message.Broadcast, e.Message.Body)
				case e.Presigned:
					presigned = true
					ready.Done()
				case e.Failure != nil:
					t.Error(e.Failure)
				case e.Result != nil:
					results[i] = e.Result
				}
			}
		})
	}
	ready.Wait()
	for _, s := range sessions {
		if err := s.Finish(digest[:31]); err == nil {
			t.Error("took a short digest")
		}
		good := 0
		var tries sync.WaitGroup
		var mu sync.Mutex
		for range 8 {
			tries.Go(func() {
				if s.Finish(digest[:]) == nil {
					mu.Lock()
					good++
					mu.Unlock()
				}
			})
		}
		tries.Wait()
		if good != 1 {
			t.Errorf("%d calls of Finish counted", good)
		}
	}
	done.Wait()
	for i, s := range sessions {
		if results[i] == nil {
			t.Fatal("there is no result")
		}
		verify(t, keys.Secp256k1, shares[0].Public, digest[:], results[i].Signature)
		if err := s.Finish(other[:]); err == nil {
			t.Error("used again when it had ended")
		}
	}
}

// Two parties that are given different digests do not get a signature, nor
// partial ones that add up to one.
func TestHalfDoneSignatureOfTwoDigests(t *testing.T) {
	shares := mpctest.Key(t, keys.Secp256k1)
	sessions := mpctest.Start(t, engine.New(), mpctest.SignSetups(mpc.OpPresign, shares, []int{0, 1}, nil, nil))
	var done sync.WaitGroup
	for i, s := range sessions {
		done.Go(func() {
			digest := sha256.Sum256([]byte{byte(i)})
			failed := false
			for e := range s.Events() {
				switch {
				case e.Message != nil:
					if e.Message.Round == 9 {
						t.Error("the last message left")
					}
					sessions[1-i].Deliver(i, e.Message.Broadcast, e.Message.Body)
				case e.Presigned:
					if err := s.Finish(digest[:]); err != nil {
						t.Error(err)
					}
				case e.Failure != nil:
					failed = e.Failure.Cause == mpc.CauseProtocol && e.Failure.Round == 9
				}
			}
			if !failed {
				t.Error("it did not fail in round 9")
			}
		})
	}
	done.Wait()
}

func TestFinishIsForHalfDoneSignatures(t *testing.T) {
	shares := mpctest.Key(t, keys.Ed25519)
	sessions := mpctest.Start(t, engine.New(), mpctest.SignSetups(mpc.OpSign, shares, []int{0, 1}, []byte("x"), nil))
	if err := sessions[0].Finish(make([]byte, 32)); err == nil {
		t.Error("a session with a message took another")
	}
}
