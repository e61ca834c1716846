package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/bundle"
	"github.com/sallyport/sallyport/attestation/strictjson"
)

// report is what was verified. Its JSON is the output of --json.
type report struct {
	Verified   bool            `json:"verified"`
	Subject    string          `json:"subject"` // "bundle" or "document"
	Assurance  string          `json:"assurance"`
	Warnings   []string        `json:"warnings"`
	Checked    []string        `json:"checked"`
	NotChecked []string        `json:"notChecked"`
	Document   *documentFields `json:"document"`
	Fresh      *documentFields `json:"freshDocument,omitempty"`
	Live       bool            `json:"live"`
	Manifest   *manifestFields `json:"manifest,omitempty"`
	Export     *exportFields   `json:"export,omitempty"`
	Written    string          `json:"written,omitempty"` // the file that holds the opened key
}

type documentFields struct {
	ModuleID     string            `json:"moduleId"`
	Time         time.Time         `json:"time"`
	LeafNotAfter time.Time         `json:"certificateNotAfter"`
	PCRs         map[string]string `json:"pcrs"` // by decimal index; registers of zeros are left out
	UserData     strictjson.Hex    `json:"userData"`
	PublicKey    strictjson.Hex    `json:"publicKey"`
	Nonce        strictjson.Hex    `json:"nonce"`
}

type exportFields struct {
	Time            time.Time      `json:"time"`
	OrganizationID  string         `json:"organizationId"`
	PrivateKeyID    string         `json:"privateKeyId"`
	PublicKey       string         `json:"publicKey"`
	TargetPublicKey strictjson.Hex `json:"targetPublicKey"`
	Fingerprint     string         `json:"activityFingerprint"`
	JournalIndex    uint64         `json:"journalIndex,string"`
}

const localBanner = "local platform: this protects nothing. The document is signed by a key on some machine, " +
	"and whoever holds that key can make it say anything"

func newReport(subject, assurance string) *report {
	r := &report{Verified: true, Subject: subject, Assurance: assurance, Warnings: []string{}}
	if assurance != attestation.AssuranceNitro {
		r.Warnings = append(r.Warnings, localBanner)
	}
	return r
}

func (r *report) checked(format string, args ...any) {
	r.Checked = append(r.Checked, fmt.Sprintf(format, args...))
}

func (r *report) notChecked(what string) { r.NotChecked = append(r.NotChecked, what) }

// optional lists a value that the caller could have given.
func (r *report) optional(given bool, value, flag string) {
	if given {
		r.checked("%s is the given one", value)
	} else {
		r.notChecked(value + ": none was given (" + flag + ")")
	}
}

// always lists what no call of this program checks.
func (r *report) always() {
	r.notChecked("PCR3 (the host's role), PCR4 (its instance) and PCR8 (who signed the image): anybody may run a copy of an image")
	r.notChecked("whether a certificate was revoked")
}

func (r *report) addFresh(fresh *attestation.Document, live bool) {
	r.Live = live
	if fresh != nil {
		r.Fresh = describeDocument(fresh)
		r.checked("the fresh attestation is of the same boot and manifest")
	}
	if live {
		r.checked("it was made for the given nonce, just now")
	} else {
		r.notChecked("that the enclave runs now: documents were verified at their own time (--nonce)")
	}
}

func describeDocument(d *attestation.Document) *documentFields {
	f := &documentFields{
		ModuleID: d.ModuleID, Time: d.Timestamp.UTC(), LeafNotAfter: d.LeafNotAfter.UTC(), PCRs: map[string]string{},
		UserData: d.UserData, PublicKey: d.PublicKey, Nonce: d.Nonce,
	}
	for index, value := range d.PCRs {
		if text := strictjson.Hex(value).String(); strings.Trim(text, "0") != "" {
			f.PCRs[fmt.Sprint(index)] = text
		}
	}
	return f
}

func describeExport(v *bundle.Verified) *exportFields {
	s := &v.Statement
	return &exportFields{
		Time: time.UnixMilli(s.TimestampMs).UTC(), OrganizationID: s.OrganizationID, PrivateKeyID: s.PrivateKeyID,
		PublicKey: s.PublicKey, TargetPublicKey: s.TargetPublicKey, Fingerprint: s.ActivityFingerprint, JournalIndex: s.JournalIndex,
	}
}

// failure is a refusal, or a wrong call. Its JSON is the output of --json.
type failure struct {
	Verified bool   `json:"verified"`
	Reason   string `json:"reason"`
	Cause    string `json:"cause,omitempty"` // the reason inside an attestation document
	Message  string `json:"message"`
}

func (f failure) writeJSON(w io.Writer) { _ = writeJSON(w, f) }

func (f failure) writeText(w io.Writer) {
	switch {
	case f.Reason == "usage":
		_, _ = fmt.Fprintf(w, "sallyport-verify: %s\n", f.Message)
	case f.Cause != "":
		_, _ = fmt.Fprintf(w, "REFUSED (%s: %s): %s\n", f.Reason, f.Cause, f.Message)
	default:
		_, _ = fmt.Fprintf(w, "REFUSED (%s): %s\n", f.Reason, f.Message)
	}
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
