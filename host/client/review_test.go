package client_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	secpecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/sallyport/sallyport/host/client"
)

// pendingActivity is one of a quorum of three with two approvals.
func pendingActivity(t *testing.T) (*world, *client.Activity) {
	t.Helper()
	w := newWorld(t, 3, 3)
	_, err := w.as(0).CreatePrivateKeys(t.Context(), client.NewPrivateKey{PrivateKeyName: "k", Curve: client.KeyCurveP256})
	var pending *client.PendingError
	if !errors.As(err, &pending) {
		t.Fatalf("got %v, want pending", err)
	}
	a, err := w.as(1).Approve(t.Context(), pending.Activity.Fingerprint)
	if err != nil || len(a.Votes) != 2 {
		t.Fatalf("activity is %+v (%v)", a, err)
	}
	return w, a
}

func TestReviewShowsWhatTheSubmitterSigned(t *testing.T) {
	w, a := pendingActivity(t)
	a.Intent = map[string]json.RawMessage{"createPrivateKeysIntentV2": json.RawMessage(`{"lies":true}`)}
	r, err := w.as(2).Review(a)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(r.Parameters), `"privateKeyName":"k"`) || r.Type != "ACTIVITY_TYPE_CREATE_PRIVATE_KEYS_V2" {
		t.Errorf("review is of %s %s", r.Type, r.Parameters)
	}
	if len(r.Votes) != 2 || !r.Votes[0].Submitter || r.Votes[1].Submitter || !r.Votes[1].KeyRegistered {
		t.Errorf("votes are %+v", r.Votes)
	}
}

func TestActivityThatItsUsersDidNotSignIsRefused(t *testing.T) {
	w, honest := pendingActivity(t)
	otherOrg := w.client(client.Config{OrganizationID: "11111111-1111-8111-8111-111111111111", Key: w.keys[0]})
	for _, tt := range []struct {
		name, reason string
		change       func(a *client.Activity)
	}{
		{"no votes", client.ReviewVote, func(a *client.Activity) { a.Votes = nil }},
		{"another body", client.ReviewFingerprint, func(a *client.Activity) {
			a.Votes[0].Message = strings.Replace(a.Votes[0].Message, `"k"`, `"x"`, 1)
		}},
		{"another body and fingerprint", client.ReviewStamp, func(a *client.Activity) {
			a.Votes[0].Message = strings.Replace(a.Votes[0].Message, `"k"`, `"x"`, 1)
			a.Fingerprint = client.Fingerprint([]byte(a.Votes[0].Message))
		}},
		{"another type", client.ReviewBody, func(a *client.Activity) { a.Type = "ACTIVITY_TYPE_CREATE_USERS_V4" }},
		{"two readings", client.ReviewBody, func(a *client.Activity) {
			a.Votes[0].Message = `{"type":"x",` + a.Votes[0].Message[1:]
			a.Fingerprint = client.Fingerprint([]byte(a.Votes[0].Message))
		}},
		{"votes in another order", client.ReviewFingerprint, func(a *client.Activity) { slices.Reverse(a.Votes) }},
		{"another key", client.ReviewStamp, func(a *client.Activity) { a.Votes[1].PublicKey = w.keys[2].PublicHex() }},
		{"another signature", client.ReviewStamp, func(a *client.Activity) { a.Votes[1].Signature = a.Votes[0].Signature }},
		{"unknown scheme", client.ReviewStamp, func(a *client.Activity) { a.Votes[1].Scheme = "SIGNATURE_SCHEME_TK_WEBAUTHN" }},
		{"approval shown as rejection", client.ReviewVote, func(a *client.Activity) { a.Votes[1].Selection = client.SelectionRejected }},
		{"submitter shown as rejecting", client.ReviewVote, func(a *client.Activity) { a.Votes[0].Selection = client.SelectionRejected }},
		{"vote on another activity", client.ReviewVote, func(a *client.Activity) {
			*a = *otherActivity(w)
			a.Votes = append(a.Votes[:1:1], honest.Votes[1])
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := *honest
			a.Votes = votesOn(honest)
			tt.change(&a)
			r, err := w.as(2).Review(&a)
			var e *client.ReviewError
			if !errors.As(err, &e) || e.Reason != tt.reason || r != nil {
				t.Errorf("got %v, want %s", err, tt.reason)
			}
		})
	}
	if _, err := otherOrg.Review(honest); err == nil {
		t.Error("an activity of another organization is reviewed")
	}
}

func votesOn(a *client.Activity) []client.Vote { return slices.Clone(a.Votes) }

func otherActivity(w *world) *client.Activity {
	w.Helper()
	_, err := w.as(0).CreatePrivateKeys(w.Context(), client.NewPrivateKey{PrivateKeyName: "other", Curve: client.KeyCurveP256})
	var pending *client.PendingError
	if !errors.As(err, &pending) {
		w.Fatalf("got %v, want pending", err)
	}
	return pending.Activity
}

// The three schemes by which users stamp, each with a vote of its own.
func TestVotesOfEverySchemeAreVerified(t *testing.T) {
	w := newWorld(t, 1, 1)
	body := `{"type":"T","timestampMs":"1","organizationId":"` + w.org + `","parameters":{}}`
	digest := sha256.Sum256([]byte(body))
	secp, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []client.Vote{
		{Scheme: "SIGNATURE_SCHEME_TK_API_SECP256K1", PublicKey: hex.EncodeToString(secp.PubKey().SerializeCompressed()), Signature: hex.EncodeToString(secpecdsa.Sign(secp, digest[:]).Serialize())},
		{Scheme: "SIGNATURE_SCHEME_TK_API_ED25519", PublicKey: hex.EncodeToString(public), Signature: hex.EncodeToString(ed25519.Sign(private, []byte(body)))},
	} {
		t.Run(v.Scheme, func(t *testing.T) {
			v.Message, v.Selection = body, client.SelectionApproved
			a := &client.Activity{Type: "T", Fingerprint: client.Fingerprint([]byte(body)), Votes: []client.Vote{v}}
			if _, err := w.as(0).Review(a); err != nil {
				t.Error(err)
			}
			for _, broken := range []string{"", "00", v.Signature[2:] + "00"} {
				a.Votes[0].Signature = broken
				if _, err := w.as(0).Review(a); err == nil {
					t.Errorf("signature %.8q is taken", broken)
				}
			}
		})
	}
}
