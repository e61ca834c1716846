package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
)

// write prints the report, all at once, so that a failing output cannot show
// half of it.
func (r *report) write(w io.Writer, asJSON bool) error {
	var b bytes.Buffer
	if asJSON {
		if err := writeJSON(&b, r); err != nil {
			return err
		}
	} else {
		r.text(&b)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (r *report) text(b *bytes.Buffer) {
	fmt.Fprintf(b, "VERIFIED %s, assurance %s\n", r.Subject, strings.ToUpper(r.Assurance))
	for _, text := range r.Warnings {
		fmt.Fprintf(b, "  WARNING: %s\n", text)
	}
	if r.Export != nil {
		r.Export.text(b)
	}
	if r.Manifest != nil {
		r.Manifest.text(b)
	}
	r.Document.text(b, "attestation document")
	if r.Fresh != nil {
		r.Fresh.text(b, "fresh attestation document")
	}
	list(b, "checked", r.Checked)
	list(b, "NOT checked", r.NotChecked)
	if r.Written != "" {
		fmt.Fprintf(b, "\nthe opened key is in %q, readable by you alone\n", r.Written)
	}
}

func list(b *bytes.Buffer, title string, lines []string) {
	fmt.Fprintf(b, "\n%s\n", title)
	for _, line := range lines {
		fmt.Fprintf(b, "  - %s\n", line)
	}
}

func line(b *bytes.Buffer, name, format string, args ...any) {
	fmt.Fprintf(b, "  %-14s %s\n", name, fmt.Sprintf(format, args...))
}

func (e *exportFields) text(b *bytes.Buffer) {
	b.WriteString("\nexport\n")
	line(b, "time", "%s", stamp(e.Time))
	line(b, "organization", "%s", e.OrganizationID)
	line(b, "key id", "%s", e.PrivateKeyID)
	line(b, "public key", "%s", e.PublicKey)
	line(b, "target key", "%s", e.TargetPublicKey)
	line(b, "activity", "%s", e.Fingerprint)
	line(b, "journal entry", "%d", e.JournalIndex)
}

func (d *documentFields) text(b *bytes.Buffer, title string) {
	fmt.Fprintf(b, "\n%s\n", title)
	line(b, "module", "%s", d.ModuleID)
	line(b, "time", "%s", stamp(d.Time))
	line(b, "certificate", "until %s", stamp(d.LeafNotAfter))
	for index := range 32 {
		if value, ok := d.PCRs[fmt.Sprint(index)]; ok {
			line(b, fmt.Sprintf("PCR%d", index), "%s", value)
		}
	}
	for _, f := range []struct {
		name  string
		value interface{ String() string }
	}{{"user data", d.UserData}, {"public key", d.PublicKey}, {"nonce", d.Nonce}} {
		if text := f.value.String(); text != "" {
			line(b, f.name, "%s", text)
		}
	}
}

func stamp(t time.Time) string { return t.Format("2006-01-02 15:04:05.000 UTC") }
