// Package cli holds the client verbs of `sallyport`: keys, signatures,
// exports, approvals. Each is one field of [Verbs], which the program embeds
// in its grammar.
//
// The verbs run wherever their user is and trust what the user pins: a root or
// measurements, and a quorum key. Whatever the appliance's host says is
// verified by package client first. Private keys and exports are written to
// files of mode 0600 that did not exist before, and to nowhere else unless the
// user asks.
package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"unicode"

	"github.com/sallyport/sallyport/attestation/strictjson"
	"github.com/sallyport/sallyport/host/client"
)

// Verbs are the client verbs, one field each.
type Verbs struct {
	Key      keyGroup       `cmd:"" help:"Make API keys."`
	Org      orgGroup       `cmd:"" help:"Found organizations."`
	Keys     keysGroup      `cmd:"" help:"Make and list private keys."`
	Sign     signCommand    `cmd:"" help:"Sign with a private key."`
	Export   exportCommand  `cmd:"" help:"Take a private key out, sealed to a key of yours, verified and opened here."`
	Activity activityGroup  `cmd:"" help:"List, look at, approve and reject activities."`
	Users    usersGroup     `cmd:"" help:"Create and list users."`
	Quorum   quorumGroup    `cmd:"" help:"Set who approves."`
	Status   statusCommand  `cmd:"" help:"Verify an appliance and show what it is."`
	Manifest manifestGroup  `cmd:"" help:"Write, sign and compare manifests: what an appliance is, and who decides over it."`
	Ceremony ceremonyGroup  `cmd:"" help:"Bring an appliance up: make its keys, give it its root."`
	PKCS11   pkcs11Group    `cmd:"" name:"pkcs11" help:"Look at PKCS#11 tokens."`
	KMS      kmsGroup       `cmd:"" name:"kms" help:"What AWS KMS is told, for a root that needs it."`
	Upgrade  upgradeCommand `cmd:"" help:"Have a running enclave hand its root to a new one, of the same manifest or of its successor."`
}

// Streams are what a verb reads and writes besides files. They are bound to
// the Run methods of all verbs.
type Streams struct {
	Out, Err io.Writer
	// Getenv reads the environment; nil means os.Getenv.
	Getenv func(string) string
}

func (s *Streams) getenv(name string) string {
	if s.Getenv == nil {
		return os.Getenv(name)
	}
	return s.Getenv(name)
}

// A session is one verb at work.
type session struct {
	*Streams
	*client.Client
	json bool
	// targetFile holds the target key of an export that has to wait.
	targetFile string
}

// show prints a result: one JSON document, or words for a person.
func (s *session) show(document any, human func(p *printer)) error {
	if s.json {
		return s.document(document)
	}
	p := &printer{w: s.Out}
	human(p)
	return p.err
}

func (s *session) document(v any) error {
	b, err := strictjson.Marshal(v)
	if err != nil {
		return err
	}
	_, err = s.Out.Write(append(b, '\n'))
	return err
}

func (s *session) note(format string, args ...any) {
	_, _ = fmt.Fprintf(s.Err, format+"\n", args...)
}

// A printer writes for people. Strings that came from elsewhere are shown so
// that they cannot move the terminal's cursor or reorder a line.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	for i, a := range args {
		switch v := a.(type) {
		case string:
			args[i] = safe(v)
		case json.RawMessage:
			args[i] = safe(string(v))
		}
	}
	if _, err := fmt.Fprintf(p.w, format+"\n", args...); err != nil && p.err == nil {
		p.err = err
	}
}

// field is a line with a name.
func (p *printer) field(name string, value any) { p.line("%-18s %v", name+":", value) }

// safe replaces what is not printable: control and formatting characters,
// among them those that turn the direction of writing.
func safe(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// localWarning is shown by every verb that trusts a local root.
const localWarning = "warning: local platform: anybody with this machine's files can forge its attestation; it protects nothing"

// run connects and does the work of a verb.
func (c *Connection) run(ctx context.Context, s *Streams, need need, work func(context.Context, *session) error) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	cl, err := c.connect(s, need)
	if err != nil {
		return explain(err)
	}
	if cl.Assurance() == "local" {
		_, _ = fmt.Fprintln(s.Err, localWarning)
	}
	se := &session{Streams: s, Client: cl, json: c.JSON}
	return explain(se.pending(work(ctx, se)))
}

// pending shows an activity that waits for approvals as a result of its own.
func (s *session) pending(err error) error {
	e, ok := err.(*client.PendingError)
	if !ok || !s.json {
		return err
	}
	if err := s.document(struct {
		summary
		TargetFile string `json:"targetFile,omitempty"`
	}{summaryOf(e.Activity), s.targetFile}); err != nil {
		return err
	}
	return e
}
