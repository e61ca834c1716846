package dev

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"sync"
)

// maxLine bounds what is kept of a line without an end.
const maxLine = 16 << 10

// lineWriter passes whole lines on with a prefix. Unless verbose it drops
// those that a logger marked as routine.
type lineWriter struct {
	w       io.Writer
	prefix  string
	verbose bool

	mu   sync.Mutex
	part []byte
	last string
}

func (l *lineWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for rest := p; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		if room := maxLine - len(l.part); len(line) > room {
			line = line[:room]
		}
		l.part = append(l.part, line...)
		if ended {
			l.emit()
		}
		rest = after
	}
	return len(p), nil // whatever becomes of our own standard error, the child goes on
}

// flush passes on a last line without an end.
func (l *lineWriter) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.part) > 0 {
		l.emit()
	}
}

func (l *lineWriter) emit() {
	line := string(l.part)
	l.part = l.part[:0]
	if routine(line) {
		if !l.verbose {
			return
		}
	} else {
		l.last = line
	}
	_, _ = io.WriteString(l.w, l.prefix+line+"\n")
}

// lastWords is the last line that was not routine, without what a logger put
// around it.
func (l *lineWriter) lastWords() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var entry struct{ Msg, Error string }
	if err := json.Unmarshal([]byte(l.last), &entry); err != nil || entry.Msg == "" {
		return l.last
	}
	if entry.Error == "" {
		return entry.Msg
	}
	return entry.Msg + ": " + entry.Error
}

// routine reports whether a log/slog handler, text or JSON, wrote the line
// below the level WARN. Time and level come first in both.
func routine(line string) bool {
	head := line[:min(len(line), 80)]
	for _, level := range []string{"INFO", "DEBUG"} {
		if strings.Contains(head, "level="+level) || strings.Contains(head, `"level":"`+level) {
			return true
		}
	}
	return false
}

// lockedWriter keeps lines of two children apart.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
