package client

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
)

// NewFoundingBody makes the founding body of an organization on the appliance
// of this client; members are the quorum keys of the other members of its key
// group, if it is in one. Keep its bytes: the organization's id is their hash, and
// they prove who its first root users were.
func (c *Client) NewFoundingBody(name string, users []RootUser, quorum int, members ...[]byte) ([]byte, error) {
	salt := make([]byte, 32)
	_, _ = rand.Read(salt) // never fails since Go 1.24
	f := &FoundingBody{
		Type: FoundingType, OrganizationName: name, RootUsers: users, RootQuorumThreshold: quorum,
		QuorumPublicKeys: []string{hex.EncodeToString(c.quorum)}, Salt: hex.EncodeToString(salt),
	}
	for _, m := range members {
		f.QuorumPublicKeys = append(f.QuorumPublicKeys, hex.EncodeToString(m))
	}
	return f.Encode()
}

// CreateOrganization founds the organization of a founding body, which every
// key in it must stamp. Doing it again with the same body gives the same
// organization. The id that comes back is checked against the body.
func (c *Client) CreateOrganization(ctx context.Context, body []byte, keys ...*APIKey) (*FoundingReply, error) {
	b, err := NewFoundingRequest(body, keys...)
	if err != nil {
		return nil, err
	}
	var out FoundingReply
	a, err := c.call(ctx, &request{method: http.MethodPost, path: "/sallyport/v1/organizations", body: b}, &out)
	if err != nil {
		return nil, err
	}
	if err := out.Check(body); err != nil {
		return nil, a.refuse(ReasonContent, err, "%v", err)
	}
	if out.QuorumPublicKey != hex.EncodeToString(c.quorum) {
		return nil, a.refuse(ReasonContent, nil, "quorumPublicKey: is not the pinned quorum key")
	}
	return &out, nil
}

// Identity is who the client's API key belongs to.
type Identity struct {
	OrganizationID   string `json:"organizationId"`
	OrganizationName string `json:"organizationName"`
	UserID           string `json:"userId"`
	UserName         string `json:"username"`
}

// inOrganization is the body of a query that has no other members.
type inOrganization struct {
	OrganizationID string `json:"organizationId"`
}

// Whoami asks the appliance whose key this is.
func (c *Client) Whoami(ctx context.Context) (*Identity, error) {
	out := new(Identity)
	_, err := c.query(ctx, "whoami", inOrganization{c.organization}, out)
	if err != nil {
		return nil, err
	}
	return out, nil
}
