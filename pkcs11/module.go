//go:build cgo

package pkcs11

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
	"unsafe"

	p11 "github.com/miekg/pkcs11"
)

// modules are the loaded ones by resolved path. A module is initialized and
// finalized for the whole process, so it needs one owner: this table.
var modules = struct {
	mu     sync.Mutex
	byPath map[string]*module
	tokens map[string]bool // path, NUL, serial
}{byPath: map[string]*module{}, tokens: map[string]bool{}}

type module struct {
	ctx      *p11.Ctx
	users    int
	reserved []byte // a C string that the module may keep; nil for none
	restarts backoff
}

// initialize calls C_Initialize. NSS softokn learns its folder from the field
// that the standard reserves; others want it empty.
func (m *module) initialize() error {
	if m.reserved == nil {
		return m.ctx.Initialize()
	}
	return m.ctx.Initialize(p11.InitializeWithReserved(unsafe.Pointer(&m.reserved[0]))) //nolint:gosec // a pointer is what the module takes
}

// A backoff bounds how often a module is restarted in vain: the first time at
// once, then after waits that double up to maxBackoff.
type backoff struct {
	wait time.Duration
	next time.Time
}

const (
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 5 * time.Second
)

func (b *backoff) allow(now time.Time) bool {
	if now.Before(b.next) {
		return false
	}
	b.next = now.Add(b.wait)
	b.wait = min(max(2*b.wait, firstBackoff), maxBackoff)
	return true
}

// acquire loads and initializes the module at a resolved path, or counts one
// more user of it. release undoes it once.
func acquire(path, reserved string, log *slog.Logger) (_ cryptoki, release func(), err error) {
	modules.mu.Lock()
	defer modules.mu.Unlock()
	m := modules.byPath[path]
	if m == nil {
		if m, err = load(path, reserved, log); err != nil {
			return nil, nil, err
		}
		modules.byPath[path] = m
	}
	if string(m.reserved) != cString(reserved) {
		return nil, nil, errors.New("pkcs11: URI: x-init-reserved: must be the same as where the module is in use already")
	}
	m.users++
	return m.ctx, sync.OnceFunc(func() { drop(path) }), nil
}

func load(path, reserved string, log *slog.Logger) (*module, error) {
	sum, err := hashFile(path)
	if err != nil {
		return nil, fmt.Errorf("pkcs11: reading the module: %w", err)
	}
	ctx := p11.New(path)
	if ctx == nil {
		return nil, fmt.Errorf("pkcs11: %s is not a PKCS#11 module that can be loaded", path)
	}
	m := &module{ctx: ctx}
	if reserved != "" {
		m.reserved = []byte(cString(reserved))
	}
	if err := m.initialize(); err != nil {
		if errors.Is(err, p11.Error(p11.CKR_CRYPTOKI_ALREADY_INITIALIZED)) {
			return nil, fmt.Errorf("pkcs11: other code in this process has initialized %s already", path)
		}
		return nil, unavailable("initializing the module", err)
	}
	log.Info("PKCS#11 module loaded", "path", path, "sha256", fmt.Sprintf("%x", sum))
	return m, nil
}

func cString(s string) string {
	if s == "" {
		return ""
	}
	return s + "\x00"
}

// drop finalizes a module without users. It is not unloaded: some crash then.
func drop(path string) {
	modules.mu.Lock()
	defer modules.mu.Unlock()
	m := modules.byPath[path]
	if m.users--; m.users == 0 {
		_ = m.ctx.Finalize()
		delete(modules.byPath, path)
	}
}

// restart finalizes and initializes a module anew, unless others use it too.
func restart(path string) bool {
	modules.mu.Lock()
	defer modules.mu.Unlock()
	m := modules.byPath[path]
	if m == nil || m.users != 1 || !m.restarts.allow(time.Now()) {
		return false
	}
	_ = m.ctx.Finalize()
	return m.initialize() == nil
}

// settled says that a module's token is there: the next loss begins anew.
func settled(path string) {
	modules.mu.Lock()
	defer modules.mu.Unlock()
	if m := modules.byPath[path]; m != nil {
		m.restarts = backoff{}
	}
}

func claim(path, serial string) bool {
	modules.mu.Lock()
	defer modules.mu.Unlock()
	key := path + "\x00" + serial
	if modules.tokens[key] {
		return false
	}
	modules.tokens[key] = true
	return true
}

func unclaim(path, serial string) {
	modules.mu.Lock()
	defer modules.mu.Unlock()
	delete(modules.tokens, path+"\x00"+serial)
}

func hashFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}
