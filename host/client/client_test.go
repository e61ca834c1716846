package client_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	secpecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/sallyport/sallyport/attestation/bundle"
	"github.com/sallyport/sallyport/host/client"
)

func TestOrganizationIsFoundedAndAnswers(t *testing.T) {
	w := newWorld(t, 2, 1)
	if w.org != client.OrganizationID(w.body) {
		t.Errorf("organization %s is not that of its founding body", w.org)
	}
	who, err := w.as(1).Whoami(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := client.Identity{OrganizationID: w.org, OrganizationName: "R&D", UserID: w.users[1].UserID, UserName: "root-2"}
	if *who != want {
		t.Errorf("got %+v, want %+v", *who, want)
	}
}

func TestKeysAreMadeListedAndSignWith(t *testing.T) {
	w := newWorld(t, 1, 1)
	c := w.as(0)
	id := w.newPrivateKey(c, client.KeyCurveSecp256k1, "ADDRESS_FORMAT_ETHEREUM")
	key, err := c.GetPrivateKey(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	all, err := c.ListPrivateKeys(t.Context())
	if err != nil || len(all) != 1 || all[0].PublicKey != key.PublicKey {
		t.Fatalf("list is %+v (%v)", all, err)
	}
	for _, with := range []string{id, key.Addresses[0].Address} {
		sig, err := c.SignRawPayload(t.Context(), client.SignRawPayloadParams{
			SignWith: with, Payload: "hello & <good> day", Encoding: client.EncodingText, HashFunction: client.HashSHA256,
		})
		if err != nil {
			t.Fatal(err)
		}
		var r, s secp256k1.ModNScalar
		r.SetByteSlice(unhex(t, sig.R))
		s.SetByteSlice(unhex(t, sig.S))
		public, err := secp256k1.ParsePubKey(unhex(t, key.PublicKey))
		digest := sha256.Sum256([]byte("hello & <good> day"))
		if err != nil || !secpecdsa.NewSignature(&r, &s).Verify(digest[:], public) {
			t.Errorf("the signature made with %s does not verify (%v)", with, err)
		}
	}
}

func TestExportOpensToTheKeyOfEveryCurve(t *testing.T) {
	w := newWorld(t, 1, 1)
	c := w.as(0)
	for _, curve := range []string{client.KeyCurveSecp256k1, client.KeyCurveP256, client.KeyCurveEd25519} {
		t.Run(curve, func(t *testing.T) {
			id := w.newPrivateKey(c, curve)
			e, err := c.ExportPrivateKey(t.Context(), id, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(e.Secret) != 32 || e.Key.PrivateKeyID != id || !e.Verified.Live || e.Verified.Assurance != "local" {
				t.Errorf("export is %+v", e)
			}
			if curve == client.KeyCurveEd25519 {
				public := ed25519.NewKeyFromSeed(e.Secret).Public().(ed25519.PublicKey)
				if hex.EncodeToString(public) != e.Key.PublicKey {
					t.Error("the secret is not that of the public key")
				}
			}
			if _, err := bundle.Parse(e.Bundle); err != nil {
				t.Errorf("the bundle does not parse: %v", err)
			}
		})
	}
}

func TestExportThatWaitedIsCollectedWithItsTargetKey(t *testing.T) {
	w := newWorld(t, 2, 2)
	first, second := w.as(0), w.as(1)
	id := pendingKey(w, first, second)
	_, err := first.ExportPrivateKey(t.Context(), id, nil)
	var pending *client.PendingError
	if !errors.As(err, &pending) || pending.Target == nil {
		t.Fatalf("got %v, want a pending export with its target key", err)
	}
	activity := pending.Activity.ID
	if _, err := first.CollectExport(t.Context(), activity, pending.Target); !errors.As(err, &pending) {
		t.Fatalf("collecting before the approval: got %v, want pending", err)
	}
	r, err := second.ReviewActivity(t.Context(), activity)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := second.Approve(t.Context(), r.Fingerprint); err != nil || a.Status != client.StatusCompleted {
		t.Fatalf("approval gave %+v (%v)", a, err)
	}
	e, err := first.CollectExport(t.Context(), activity, pending.Target)
	if err != nil {
		t.Fatal(err)
	}
	if e.Key.PrivateKeyID != id || e.Verified.Statement.ActivityFingerprint != r.Fingerprint {
		t.Errorf("export is %+v", e)
	}
	other, err := client.NewTargetKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.CollectExport(t.Context(), activity, other); err == nil || !strings.Contains(err.Error(), "target key") {
		t.Errorf("another target key: got %v", err)
	}

	// The bundle of an earlier boot opens too: the reply's proof is fresh.
	w.enclave.Restart(t)
	if e, err = first.CollectExport(t.Context(), activity, pending.Target); err != nil || e.Verified.Live {
		t.Errorf("after a restart: %v", err)
	}
}

// pendingKey makes a key in an organization whose quorum is two.
func pendingKey(w *world, first, second *client.Client) string {
	w.Helper()
	_, err := first.CreatePrivateKeys(w.Context(), client.NewPrivateKey{PrivateKeyName: "k", Curve: client.KeyCurveP256})
	var pending *client.PendingError
	if !errors.As(err, &pending) {
		w.Fatalf("got %v, want pending", err)
	}
	if _, err := second.Approve(w.Context(), pending.Activity.Fingerprint); err != nil {
		w.Fatal(err)
	}
	keys, err := first.ListPrivateKeys(w.Context())
	if err != nil || len(keys) != 1 {
		w.Fatalf("keys are %v (%v)", keys, err)
	}
	return keys[0].PrivateKeyID
}

func TestRejectedActivityIsAnAPIError(t *testing.T) {
	w := newWorld(t, 2, 2)
	_, err := w.as(0).CreatePrivateKeys(t.Context(), client.NewPrivateKey{PrivateKeyName: "k", Curve: client.KeyCurveP256})
	var pending *client.PendingError
	if !errors.As(err, &pending) {
		t.Fatalf("got %v, want pending", err)
	}
	a, err := w.as(1).Reject(t.Context(), pending.Activity.Fingerprint)
	if err != nil || a.Status != client.StatusRejected {
		t.Fatalf("got %+v (%v)", a, err)
	}
	if list, err := w.as(0).ListActivities(t.Context(), client.ActivityFilter{Statuses: []string{client.StatusRejected}, Limit: 5}); err != nil || len(list) != 1 {
		t.Errorf("list is %v (%v)", list, err)
	}
}

func TestUsersKeysAndQuorumChange(t *testing.T) {
	w := newWorld(t, 1, 1)
	c := w.as(0)
	key, more := newKey(t), newKey(t)
	ids, err := c.CreateUsers(t.Context(), client.NewUser{UserName: "ann", APIKeys: []client.NewAPIKeyParams{
		{APIKeyName: "a", PublicKey: key.PublicHex(), CurveType: client.CurveP256},
	}})
	if err != nil {
		t.Fatal(err)
	}
	keyIDs, err := c.CreateAPIKeys(t.Context(), ids[0], client.NewAPIKeyParams{APIKeyName: "b", PublicKey: more.PublicHex(), CurveType: client.CurveP256})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.UpdateRootQuorum(t.Context(), 1, w.users[0].UserID, ids[0]); err != nil {
		t.Fatal(err)
	}
	if err := c.DeleteAPIKeys(t.Context(), ids[0], keyIDs...); err != nil {
		t.Fatal(err)
	}
	u, err := c.GetUser(t.Context(), ids[0])
	if err != nil || u.UserName != "ann" || len(u.APIKeys) != 1 || u.APIKeys[0].Credential.PublicKey != key.PublicHex() {
		t.Errorf("user is %+v (%v)", u, err)
	}
	if all, err := c.ListUsers(t.Context()); err != nil || len(all) != 2 {
		t.Errorf("users are %v (%v)", all, err)
	}
	// Now she belongs to the quorum and makes a key of her own.
	w.newPrivateKey(w.client(client.Config{OrganizationID: w.org, Key: key}), client.KeyCurveEd25519)
}

func TestProvenRefusalIsAnAPIError(t *testing.T) {
	w := newWorld(t, 1, 1)
	stranger := w.client(client.Config{OrganizationID: w.org, Key: newKey(t)})
	_, err := stranger.Whoami(t.Context())
	var api *client.APIError
	if !errors.As(err, &api) || api.HTTPStatus != http.StatusUnauthorized || api.Code != 16 || api.Reason() != "PUBLIC_KEY_NOT_FOUND" {
		t.Errorf("got %+v", err)
	}
}

func TestStatusIsProven(t *testing.T) {
	w := newWorld(t, 1, 1)
	st, err := w.client(client.Config{}).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if st.Phase != "Ready" || st.Assurance != "local" || st.JournalSize == 0 || len(st.Warnings) == 0 || st.Manifest.Name != "enclavetest" {
		t.Errorf("status is %+v", st)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
