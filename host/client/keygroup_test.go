package client_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/client"
	"github.com/sallyport/sallyport/host/internal/turnkey"
)

// A keyGroup is enclaves that hold one organization together, each behind a host.
type keyGroup struct {
	*testing.T
	enclaves []*enclavetest.Enclave
	servers  []*httptest.Server
	users    []*client.APIKey
	org      string
}

// newKeyGroup founds an organization of two root users, both of which approve, at
// the first of three enclaves.
func newKeyGroup(t *testing.T) *keyGroup {
	g := &keyGroup{T: t, enclaves: enclavetest.NewNodes(t, 3, enclavetest.NewRelay(), nil, enclavetest.Options{KeyGroup: 2})}
	for range g.enclaves {
		g.servers = append(g.servers, nil)
	}
	var quorums [][]byte
	for i, e := range g.enclaves {
		g.serve(i)
		quorums = append(quorums, quorumKey(t, e))
	}
	var roots []client.RootUser
	for _, name := range []string{"alice", "bob"} {
		k, err := client.NewAPIKey()
		if err != nil {
			t.Fatal(err)
		}
		g.users = append(g.users, k)
		roots = append(roots, client.RootUser{UserName: name, APIKeys: []client.RootAPIKey{{APIKeyName: name, PublicKey: k.PublicHex(), CurveType: client.CurveP256}}})
	}
	founder := g.as(0, nil)
	body, err := founder.NewFoundingBody("together", roots, 2, quorums[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := founder.CreateOrganization(t.Context(), body, g.users...)
	if err != nil {
		t.Fatal(err)
	}
	g.org = reply.OrganizationID
	return g
}

func quorumKey(t *testing.T, e *enclavetest.Enclave) []byte {
	m, err := attestation.ParseManifest(e.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	return m.QuorumPublicKey
}

// serve puts a host before an enclave, as it is now.
func (g *keyGroup) serve(node int) {
	g.servers[node] = httptest.NewServer(turnkey.New(g.enclaves[node].Enclave, turnkey.Config{}))
	g.Cleanup(g.servers[node].Close)
}

// as is a user's client at a node.
func (g *keyGroup) as(node int, key *client.APIKey) *client.Client {
	g.Helper()
	c, err := client.New(client.Config{
		BaseURL: g.servers[node].URL, Trust: g.enclaves[node].Trust, QuorumPublicKey: quorumKey(g.T, g.enclaves[node]), OrganizationID: g.org, Key: key,
	})
	if err != nil {
		g.Fatal(err)
	}
	return c
}

// pending wants a second approval to be asked for, and returns the activity.
func (g *keyGroup) pending(err error) *client.PendingError {
	g.Helper()
	p, ok := errors.AsType[*client.PendingError](err)
	if !ok {
		g.Fatalf("got %v, want a request for approval", err)
	}
	return p
}

// approve votes for an activity at a node, and waits for its end.
func (g *keyGroup) approve(node int, p *client.PendingError) *client.Activity {
	g.Helper()
	c := g.as(node, g.users[1])
	a, err := c.Approve(g.Context(), p.Activity.Fingerprint)
	for ; err == nil && a.Status == "ACTIVITY_STATUS_PENDING"; time.Sleep(50 * time.Millisecond) {
		a, err = c.GetActivity(g.Context(), p.Activity.ID)
	}
	if err == nil {
		err = a.Err()
	}
	if err != nil {
		g.Fatal(err)
	}
	return a
}

// key makes a key: asked for at the first node and approved at the second.
func (g *keyGroup) key(curve string) client.PrivateKey {
	g.Helper()
	_, err := g.as(0, g.users[0]).CreatePrivateKeys(g.Context(), client.NewPrivateKey{PrivateKeyName: "a " + curve, Curve: curve})
	g.approve(1, g.pending(err))
	return learn(g, func() (*client.PrivateKey, error) {
		list, err := g.as(2, g.users[0]).ListPrivateKeys(g.Context())
		for i := range list {
			if list[i].Curve == curve {
				return &list[i], err
			}
		}
		return nil, err
	})
}

// learn waits until a member shows what the others know already: a query is answered
// from what it has learned so far.
func learn[T any](g *keyGroup, look func() (*T, error)) T {
	g.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		v, err := look()
		if err != nil {
			g.Fatal(err)
		}
		if v != nil {
			return *v
		}
		if time.Now().After(end) {
			g.Fatal("a member does not learn what the others know")
		}
	}
}

// sign signs a text: asked for at one node and approved at another.
func (g *keyGroup) sign(key client.PrivateKey, asked, approved int, text string) {
	g.Helper()
	hash := client.HashSHA256
	if key.Curve == client.KeyCurveEd25519 {
		hash = client.HashNotApplicable
	}
	params := client.SignRawPayloadParams{SignWith: key.PrivateKeyID, Payload: text, Encoding: client.EncodingText, HashFunction: hash}
	_, err := g.as(asked, g.users[0]).SignRawPayload(g.Context(), params)
	a := g.approve(approved, g.pending(err))
	var sig client.Signature
	if err := json.Unmarshal(a.Result["signRawPayloadResult"], &sig); err != nil {
		g.Fatal(err)
	}
	if err := verifies(key, sig, text); err != nil {
		g.Errorf("asked at %d, approved at %d: %v", asked, approved, err)
	}
}

// verifies uses libraries that had no part in the signature.
func verifies(key client.PrivateKey, sig client.Signature, text string) error {
	public, _ := hex.DecodeString(key.PublicKey)
	r, _ := hex.DecodeString(sig.R)
	s, _ := hex.DecodeString(sig.S)
	if key.Curve == client.KeyCurveEd25519 {
		if !ed25519.Verify(public, []byte(text), append(r, s...)) {
			return errors.New("the signature does not verify")
		}
		return nil
	}
	p, err := secp256k1.ParsePubKey(public)
	if err != nil {
		return err
	}
	var rr, ss secp256k1.ModNScalar
	rr.SetByteSlice(r)
	ss.SetByteSlice(s)
	digest := sha256.Sum256([]byte(text))
	if !ecdsa.NewSignature(&rr, &ss).Verify(digest[:], p) {
		return errors.New("the signature does not verify")
	}
	return nil
}

func TestAKeyGroupIsOneOrganization(t *testing.T) {
	g := newKeyGroup(t)
	for node := range g.enclaves {
		if me, err := g.as(node, g.users[1]).Whoami(t.Context()); err != nil || me.UserName != "bob" || me.OrganizationID != g.org {
			t.Fatalf("node %d: %v, %v", node, me, err)
		}
	}
	key := g.key(client.KeyCurveSecp256k1)
	for asked := range 3 {
		g.sign(key, asked, (asked+1)%3, "at each node")
	}

	// One that dies is not missed.
	g.enclaves[2].Stop()
	g.sign(key, 0, 1, "without the third")
	g.sign(key, 1, 0, "without the third, again")

	target, err := client.NewTargetKey()
	if err != nil {
		t.Fatal(err)
	}
	exporter := g.as(0, g.users[0])
	_, err = exporter.ExportPrivateKey(t.Context(), key.PrivateKeyID, target)
	p := g.pending(err)
	a := g.approve(0, p)
	out, err := exporter.CollectExport(t.Context(), a.ID, target)
	if err != nil {
		t.Fatal(err)
	}
	if got := secp256k1.PrivKeyFromBytes(out.Secret).PubKey().SerializeCompressed(); hex.EncodeToString(got) != key.PublicKey {
		t.Error("another key was exported")
	}

	// The third comes back, catches up and takes part.
	if status := g.enclaves[2].Restart(t); status.Phase != wire.PhaseReady {
		t.Fatalf("the third enclave is %s: %s", status.Phase, status.Reason)
	}
	g.serve(2)
	g.sign(key, 2, 1, "with the third, which was away")
	learn(g, func() (*client.Activity, error) {
		seen, err := g.as(2, g.users[0]).GetActivity(t.Context(), a.ID)
		if err != nil || seen.Status != "ACTIVITY_STATUS_COMPLETED" {
			return nil, err
		}
		return seen, nil
	})
}
