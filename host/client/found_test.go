package client

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func founding() *FoundingBody {
	return &FoundingBody{
		Type:             FoundingType,
		OrganizationName: "R&D <one>",
		RootUsers: []RootUser{{
			UserName: "root-1",
			APIKeys:  []RootAPIKey{{APIKeyName: "first", PublicKey: onePublic, CurveType: CurveP256}},
		}},
		RootQuorumThreshold: 1,
		QuorumPublicKeys:    []string{"04aa"},
		Salt:                strings.Repeat("00", 32),
	}
}

func TestFoundingBodyHasItsExactBytes(t *testing.T) {
	got, err := founding().Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"type":"SALLYPORT_ORGANIZATION_V1","organizationName":"R&D <one>",` +
		`"rootUsers":[{"userName":"root-1","apiKeys":[{"apiKeyName":"first","publicKey":"` + onePublic +
		`","curveType":"API_KEY_CURVE_P256"}]}],"rootQuorumThreshold":1,"quorumPublicKeys":["04aa"],"salt":"` +
		strings.Repeat("00", 32) + `"}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestOrganizationIDIsAVersion8UUIDOfTheBody(t *testing.T) {
	body := []byte(`{"a":1}`)
	sum := sha256.Sum256(append([]byte("sallyport organization id v1"), body...))
	want := []byte(hex.EncodeToString(sum[:16]))
	got := OrganizationID(body)
	if len(got) != 36 || got[14] != '8' || !strings.ContainsRune("89ab", rune(got[19])) {
		t.Fatalf("%s is not a UUIDv8", got)
	}
	plain := []byte(strings.ReplaceAll(got, "-", ""))
	plain[12], want[12] = 0, 0 // version
	plain[16], want[16] = 0, 0 // variant
	if string(plain) != string(want) {
		t.Errorf("got %s, want the hash %s around version and variant", got, want)
	}
	// Fixed once and for all: another value would orphan every organization.
	if golden := "e244a661-a5bf-8725-b28f-ab8f1c467daa"; got != golden {
		t.Errorf("got %s, want %s", got, golden)
	}
	if OrganizationID([]byte(`{"a":1} `)) == got {
		t.Error("another body has the same id")
	}
}

func TestFoundingRequestCarriesTheStampedBytes(t *testing.T) {
	k, err := NewAPIKey()
	if err != nil {
		t.Fatal(err)
	}
	body, err := founding().Encode()
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewFoundingRequest(body, k, k)
	if err != nil {
		t.Fatal(err)
	}
	var r FoundingRequest
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if r.FoundingBody != string(body) || len(r.Stamps) != 2 {
		t.Errorf("request is %s", b)
	}
}

func TestReplyThatDoesNotFitTheFoundingBodyIsRefused(t *testing.T) {
	body, err := founding().Encode()
	if err != nil {
		t.Fatal(err)
	}
	good := func() *FoundingReply {
		return &FoundingReply{
			OrganizationID:  OrganizationID(body),
			Users:           []FoundedUser{{UserID: "u", UserName: "root-1"}},
			QuorumPublicKey: "04aa",
		}
	}
	if err := good().Check(body); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, want string
		change     func(*FoundingReply)
	}{
		{"other id", "organizationId", func(r *FoundingReply) { r.OrganizationID = "x" }},
		{"one user more", "users: 2", func(r *FoundingReply) { r.Users = append(r.Users, r.Users[0]) }},
		{"other user", "users[0]", func(r *FoundingReply) { r.Users[0].UserName = "mallory" }},
		{"no user id", "users[0]", func(r *FoundingReply) { r.Users[0].UserID = "" }},
		{"other quorum key", "quorumPublicKey", func(r *FoundingReply) { r.QuorumPublicKey = "04bb" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := good()
			tt.change(r)
			if err := r.Check(body); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}
