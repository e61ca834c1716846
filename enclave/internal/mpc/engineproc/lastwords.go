package engineproc

import (
	"bytes"
	"strings"
	"sync"
)

// lastWords keeps the first line of what the child says when it panics. The rest,
// which is addresses, is dropped.
type lastWords struct {
	mu   sync.Mutex
	line []byte
	full bool
}

const maxLastWords = 200

func (l *lastWords) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.full {
		line, _, found := bytes.Cut(b, []byte("\n"))
		l.line = append(l.line, line...)
		l.full = found || len(l.line) > maxLastWords
		l.line = l.line[:min(len(l.line), maxLastWords)]
	}
	return len(b), nil
}

func (l *lastWords) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.ToValidUTF8(string(l.line), "?")
}
