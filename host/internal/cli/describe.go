package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/attestation/strictjson"
	"github.com/sallyport/sallyport/host/client"
)

// describe says in a sentence what the submitter's bytes ask for. Names of
// keys are the appliance's, and everything else is the submitter's.
func (s *session) describe(ctx context.Context, r *client.Review) string {
	var p struct {
		PrivateKeyID    string           `json:"privateKeyId"`
		TargetPublicKey string           `json:"targetPublicKey"`
		SignWith        string           `json:"signWith"`
		Payload         string           `json:"payload"`
		Payloads        []string         `json:"payloads"`
		Encoding        string           `json:"encoding"`
		HashFunction    string           `json:"hashFunction"`
		PrivateKeys     []strictjson.Raw `json:"privateKeys"`
		Users           []strictjson.Raw `json:"users"`
		UserID          string           `json:"userId"`
		APIKeys         []strictjson.Raw `json:"apiKeys"`
		APIKeyIDs       []string         `json:"apiKeyIds"`
		Threshold       int              `json:"threshold"`
		UserIDs         []string         `json:"userIds"`
		Fingerprint     string           `json:"fingerprint"`
	}
	if strictjson.DecodeRequest(r.Parameters, &p) != nil {
		return typeName(r.Type)
	}
	switch r.Type {
	case "ACTIVITY_TYPE_EXPORT_PRIVATE_KEY":
		return fmt.Sprintf("EXPORT private key %s, sealed to the target key %s", s.nameKey(ctx, p.PrivateKeyID), p.TargetPublicKey)
	case "ACTIVITY_TYPE_SIGN_RAW_PAYLOAD", "ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2":
		return fmt.Sprintf("sign %q (%s, %s) with %s", p.Payload, p.Encoding, p.HashFunction, s.nameKey(ctx, p.SignWith+p.PrivateKeyID))
	case "ACTIVITY_TYPE_SIGN_RAW_PAYLOADS":
		return fmt.Sprintf("sign %d payloads (%s, %s) with %s", len(p.Payloads), p.Encoding, p.HashFunction, s.nameKey(ctx, p.SignWith))
	case "ACTIVITY_TYPE_CREATE_PRIVATE_KEYS_V2":
		return fmt.Sprintf("create %d private keys", len(p.PrivateKeys))
	case "ACTIVITY_TYPE_CREATE_USERS_V2", "ACTIVITY_TYPE_CREATE_USERS_V3", "ACTIVITY_TYPE_CREATE_USERS_V4":
		return fmt.Sprintf("create %d users", len(p.Users))
	case "ACTIVITY_TYPE_CREATE_API_KEYS_V2":
		return fmt.Sprintf("give user %s %d more API keys", p.UserID, len(p.APIKeys))
	case "ACTIVITY_TYPE_DELETE_API_KEYS":
		return fmt.Sprintf("take %d API keys from user %s", len(p.APIKeyIDs), p.UserID)
	case "ACTIVITY_TYPE_UPDATE_ROOT_QUORUM":
		return fmt.Sprintf("set the ROOT QUORUM to %d of the users %s", p.Threshold, strings.Join(p.UserIDs, ", "))
	}
	return typeName(r.Type)
}

// nameKey adds a key's name and public key to its id, when it can.
func (s *session) nameKey(ctx context.Context, id string) string {
	if !isID(id) {
		return id
	}
	k, err := s.GetPrivateKey(ctx, id)
	if err != nil {
		return id
	}
	return fmt.Sprintf("%q (%s, %s, %s)", k.PrivateKeyName, id, curveName(k.Curve), k.PublicKey)
}

// review prints an activity. What it asks for is printed from the bytes that
// the submitter signed.
func (p *printer) review(r *client.Review, says string) {
	a := r.Activity
	p.field("Activity", a.ID)
	p.field("Status", statusName(a.Status))
	p.field("Type", typeName(r.Type))
	p.field("Fingerprint", r.Fingerprint)
	p.field("Created", a.CreatedAt.Time().Format(time.RFC3339))
	p.field("Asks to", says)
	p.line("%s", "The submitter signed:")
	p.block(r.Parameters)
	p.line("%s", "Votes, signatures verified:")
	for _, v := range r.Votes {
		what := "approved"
		if v.Selection == client.SelectionRejected {
			what = "rejected"
		}
		if v.Submitter {
			what = "submitted"
		}
		if !v.KeyRegistered {
			what += " (with a key since taken away)"
		}
		p.line("  %s  %s %s, key %s", v.CreatedAt.Time().Format(time.RFC3339), v.User.UserName, what, v.PublicKey)
	}
	p.result(r)
	if a.Failure != nil && string(a.Failure) != "null" {
		p.field("Failure", a.Failure)
	}
}

// result prints what came of an activity. A bundle is nothing to look at.
func (p *printer) result(r *client.Review) {
	a := r.Activity
	switch {
	case a.Status != client.StatusCompleted || len(a.Result) == 0:
	case r.Type == "ACTIVITY_TYPE_EXPORT_PRIVATE_KEY":
		p.field("Result", "a bundle for the holder of the target key: sallyport export --activity "+a.ID+" --target FILE")
	default:
		p.line("%s", "Result:")
		if b, err := strictjson.Marshal(a.Result); err == nil {
			p.block(b)
		}
	}
}

// block prints JSON over several lines.
func (p *printer) block(raw []byte) {
	var b bytes.Buffer
	if json.Indent(&b, raw, "  ", "  ") != nil {
		return
	}
	for line := range strings.SplitSeq(b.String(), "\n") {
		p.line("  %s", strings.TrimPrefix(line, "  "))
	}
}
