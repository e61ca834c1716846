package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/sallyport/sallyport/pkcs11"
)

// A printer writes lines for people.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if _, err := fmt.Fprintln(p.w, safe(fmt.Sprintf(format, args...))); err != nil && p.err == nil {
		p.err = err
	}
}

func (p *printer) field(name, format string, args ...any) {
	p.line("  %-14s %s", name+":", fmt.Sprintf(format, args...))
}

// safe replaces what is not printable: labels come from elsewhere, and could
// move the cursor or turn the direction of writing.
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

func show(w io.Writer, r *pkcs11.Report) error {
	p := &printer{w: w}
	p.line("Module")
	p.field("path", "%s", r.Module.Path)
	p.field("sha256", "%s", r.Module.SHA256)
	p.field("is", "%s, %s, version %s, Cryptoki %s", r.Module.Description, r.Module.Manufacturer, r.Module.Version, r.Module.Cryptoki)
	p.line("Token")
	p.field("label", "%q, serial %s", r.Token.Label, r.Token.Serial)
	p.field("is", "%s, %s, firmware %s", r.Token.Model, r.Token.Manufacturer, r.Token.Firmware)
	p.field("flags", "%s", strings.Join(r.Token.Flags, " "))
	p.field("sessions", "%d at once", r.Token.Sessions)
	p.line("Mechanisms")
	for _, m := range r.Mechanisms {
		p.line("  %-28s %s", m.Name, mechanism(m))
	}
	p.line("Keys")
	if len(r.Keys) == 0 {
		p.line("  none")
	}
	for _, k := range r.Keys {
		p.key(k)
	}
	p.line("Roles, tried with keys that are gone again")
	for _, role := range r.Roles {
		p.line("  %-17s %s", role.Role, verdict(role))
	}
	return p.err
}

func mechanism(m pkcs11.MechanismReport) string {
	needed := "for " + strings.Join(m.Roles, ", ")
	switch {
	case !m.Offered:
		return "not there, " + needed
	case len(m.Missing) > 0:
		return "cannot " + strings.Join(m.Missing, ", ") + ", " + needed
	}
	return fmt.Sprintf("%s, %d to %d, %s", strings.Join(m.Uses, ", "), m.MinKey, m.MaxKey, needed)
}

func (p *printer) key(k pkcs11.KeyReport) {
	state := "good"
	if k.HalfWritten {
		state = "BROKEN: half-written, if it was made here"
	} else if len(k.Problems) > 0 {
		state = "WEAK"
	} else if k.Role == "" {
		state = "not ours"
	}
	p.line("  %q, id %s: %s, %s, %s: %s", k.Label, k.ID, k.Class, k.Kind, roleOf(k), state)
	for _, problem := range k.Problems {
		p.line("    %s", problem)
	}
}

func roleOf(k pkcs11.KeyReport) string {
	if k.Role == "" {
		return "for no role"
	}
	return "as " + k.Role
}

func verdict(r pkcs11.RoleReport) string {
	words := "works, by " + r.By
	if !r.Works {
		words = "DOES NOT WORK: " + r.Problem
	}
	if r.Asked {
		words += " (asked for)"
	}
	return words
}
