//go:build cgo

package pkcs11

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	p11 "github.com/miekg/pkcs11"
)

// A watcher sees who uses which session, and fails every tenth signature.
type watcher struct {
	cryptoki
	mu     sync.Mutex
	busy   map[p11.SessionHandle]bool // from SignInit to Sign
	closed map[p11.SessionHandle]bool
	open   int
	most   int
	signs  int
	wrong  []string
}

func (w *watcher) see(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *watcher) OpenSession(slot, flags uint) (p11.SessionHandle, error) {
	s, err := w.cryptoki.OpenSession(slot, flags)
	w.see(func() {
		delete(w.closed, s)
		w.open++
		w.most = max(w.most, w.open)
	})
	return s, err
}

func (w *watcher) CloseSession(s p11.SessionHandle) error {
	w.see(func() { w.closed[s], w.busy[s] = true, false; w.open-- })
	return w.cryptoki.CloseSession(s)
}

func (w *watcher) SignInit(s p11.SessionHandle, m []*p11.Mechanism, key p11.ObjectHandle) error {
	w.see(func() {
		if w.busy[s] {
			w.wrong = append(w.wrong, "a session is shared")
		}
		if w.closed[s] {
			w.wrong = append(w.wrong, "a closed session is used")
		}
		w.busy[s] = true
	})
	return w.cryptoki.SignInit(s, m, key)
}

func (w *watcher) Sign(s p11.SessionHandle, digest []byte) ([]byte, error) {
	fail := false
	w.see(func() { w.signs++; fail = w.signs%10 == 0 })
	if fail { // busy stays: a poisoned session
		return nil, p11.Error(p11.CKR_DEVICE_ERROR)
	}
	signature, err := w.cryptoki.Sign(s, digest)
	w.see(func() { w.busy[s] = false })
	return signature, err
}

func TestSessionsAreNeverSharedAndFailedOnesNeverUsed(t *testing.T) {
	k := newTokens(t)
	k.add("sallyport")
	token := mustOpenAs(t, k.uri("sallyport"), RoleSigner)
	signer, err := token.GenerateSigner(t.Context(), P256, "key")
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{cryptoki: token.api, busy: map[p11.SessionHandle]bool{}, closed: map[p11.SessionHandle]bool{}}
	w.open = 2 // of the login and of the pool
	token.api = w
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			for range 20 {
				if _, err := signer.Sign(t.Context(), digestFor(P256)); err != nil && !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrKey) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if len(w.wrong) > 0 || w.most > DefaultSessions+1 {
		t.Errorf("%v, %d sessions at most", w.wrong, w.most)
	}
}

func TestCallersWaitForASessionAsLongAsTheyLike(t *testing.T) {
	k := newTokens(t)
	k.add("sallyport")
	token := mustOpenAs(t, k.uri("sallyport"), RoleSigner)
	signer, err := token.GenerateSigner(t.Context(), P256, "key")
	if err != nil {
		t.Fatal(err)
	}
	if err := token.enter(t.Context(), cap(token.turns)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := signer.Sign(ctx, digestFor(P256)); !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	token.leave(cap(token.turns))
	if _, err := signer.Sign(t.Context(), digestFor(P256)); err != nil {
		t.Error(err)
	}
}

// The limit is the token's: one session is for the login.
func TestSessionsStayBelowTheTokensLimit(t *testing.T) {
	for limit, want := range map[uint]int{p11.CK_EFFECTIVELY_INFINITE: 4, p11.CK_UNAVAILABLE_INFORMATION: 4, 1: 1, 2: 1, 3: 2, 100: 4} {
		if got := sessions(0, p11.TokenInfo{MaxRwSessionCount: limit}); got != want {
			t.Errorf("limit %d: %d sessions, want %d", limit, got, want)
		}
	}
}

func TestSignersComeBackWithTheirToken(t *testing.T) {
	k := newTokens(t)
	k.add("sallyport")
	token := mustOpenAs(t, k.uri("sallyport"), RoleSigner)
	signer, err := token.GenerateSigner(t.Context(), P256, "key")
	if err != nil {
		t.Fatal(err)
	}
	folder, away := tokenFolder(t, k.dir), filepath.Join(t.TempDir(), "away")
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 { // in flight while the token comes and goes
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := signer.Sign(t.Context(), digestFor(P256)); err != nil && !errors.Is(err, ErrUnavailable) {
					t.Error(err)
				}
			}
		})
	}
	for round := range 3 {
		move(t, folder, away)
		if _, err := signer.Sign(t.Context(), digestFor(P256)); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrKey) {
			t.Errorf("round %d: without the token: %v", round, err)
		}
		move(t, away, folder)
		eventually(t, func() error { _, err := signer.Sign(t.Context(), digestFor(P256)); return err })
	}
	stop()
	wg.Wait()
}

func move(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// eventually tries again as a service would, for longer than the longest wait
// before a restart.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	var err error
	for until := time.Now().Add(3 * maxBackoff); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	t.Errorf("it does not come back: %v", err)
}

func TestRestartsInVainBackOff(t *testing.T) {
	var b backoff
	now := time.Unix(0, 0)
	restarts := 0
	for range 6000 { // one minute
		if b.allow(now) {
			restarts++
		}
		now = now.Add(10 * time.Millisecond)
	}
	if restarts < 15 || restarts > 25 {
		t.Errorf("%d restarts in a minute", restarts)
	}
}

func TestKeysThatOthersDeleteAreMissing(t *testing.T) {
	k := newTokens(t)
	k.add("sallyport")
	token := mustOpenAs(t, k.uri("sallyport"), RoleSigner)
	signer, err := token.GenerateSigner(t.Context(), P256, "key")
	if err != nil {
		t.Fatal(err)
	}
	raw(t, token, func(api cryptoki, s p11.SessionHandle) error {
		key, _, err := token.findOne(s, p11.CKO_PRIVATE_KEY, "key", nil)
		if err != nil {
			return err
		}
		return api.DestroyObject(s, key)
	})
	if _, err := signer.Sign(t.Context(), digestFor(P256)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("with the old handle: %v", err)
	}
	if _, err := signer.Sign(t.Context(), digestFor(P256)); !errors.Is(err, ErrKey) {
		t.Errorf("looked for again: %v", err)
	}
}
