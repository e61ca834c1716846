package client

import "context"

// User is a user of an organization.
type User struct {
	UserID    string       `json:"userId"`
	UserName  string       `json:"userName"`
	UserEmail string       `json:"userEmail,omitempty"`
	APIKeys   []UserAPIKey `json:"apiKeys"`
	CreatedAt Timestamp    `json:"createdAt"`
	UpdatedAt Timestamp    `json:"updatedAt"`
}

// UserAPIKey is a public key by which a user stamps.
type UserAPIKey struct {
	Credential struct {
		PublicKey string `json:"publicKey"`
		Type      string `json:"type"`
	} `json:"credential"`
	APIKeyID          string    `json:"apiKeyId"`
	APIKeyName        string    `json:"apiKeyName"`
	CreatedAt         Timestamp `json:"createdAt"`
	ExpirationSeconds string    `json:"expirationSeconds,omitempty"`
}

// NewAPIKeyParams registers an API key.
type NewAPIKeyParams struct {
	APIKeyName string `json:"apiKeyName"`
	// PublicKey is lower-case hex: 33 bytes compressed, or 32 bytes of Ed25519.
	PublicKey string `json:"publicKey"`
	// CurveType is CurveP256, CurveSecp256k1 or CurveEd25519.
	CurveType string `json:"curveType"`
	// ExpirationSeconds is a decimal number, or empty for never.
	ExpirationSeconds string `json:"expirationSeconds,omitempty"`
}

// The curve types of API keys that an [APIKey] does not have.
const (
	CurveSecp256k1 = "API_KEY_CURVE_SECP256K1"
	CurveEd25519   = "API_KEY_CURVE_ED25519"
)

// NewUser is a user to create.
type NewUser struct {
	UserName  string
	UserEmail string // may be empty
	APIKeys   []NewAPIKeyParams
}

// newUserJSON has the members that published clients always send.
type newUserJSON struct {
	UserName       string            `json:"userName"`
	UserEmail      string            `json:"userEmail,omitempty"`
	APIKeys        []NewAPIKeyParams `json:"apiKeys"`
	Authenticators []struct{}        `json:"authenticators"`
	OAuthProviders []struct{}        `json:"oauthProviders"`
	UserTags       []struct{}        `json:"userTags"`
}

// CreateUsers creates users and returns their ids, in order.
func (c *Client) CreateUsers(ctx context.Context, users ...NewUser) ([]string, error) {
	list := make([]newUserJSON, 0, len(users))
	for _, u := range users {
		list = append(list, newUserJSON{
			UserName: u.UserName, UserEmail: u.UserEmail, APIKeys: append([]NewAPIKeyParams{}, u.APIKeys...),
			Authenticators: []struct{}{}, OAuthProviders: []struct{}{}, UserTags: []struct{}{},
		})
	}
	var out struct {
		UserIDs []string `json:"userIds"`
	}
	_, err := c.run(ctx, "create_users", "ACTIVITY_TYPE_CREATE_USERS_V4", struct {
		Users []newUserJSON `json:"users"`
	}{list}, "createUsersResult", &out)
	return out.UserIDs, err
}

// ListUsers returns all users.
func (c *Client) ListUsers(ctx context.Context) ([]User, error) {
	var out struct {
		Users []User `json:"users"`
	}
	_, err := c.query(ctx, "list_users", inOrganization{c.organization}, &out)
	return out.Users, err
}

// GetUser returns one user.
func (c *Client) GetUser(ctx context.Context, userID string) (*User, error) {
	var out struct {
		User *User `json:"user"`
	}
	a, err := c.query(ctx, "get_user", struct {
		OrganizationID string `json:"organizationId"`
		UserID         string `json:"userId"`
	}{c.organization, userID}, &out)
	if err != nil {
		return nil, err
	}
	if out.User == nil || out.User.UserID != userID {
		return nil, a.refuse(ReasonContent, nil, "it is about another user than the one asked for")
	}
	return out.User, nil
}

// CreateAPIKeys registers API keys of a user and returns their ids, in order.
func (c *Client) CreateAPIKeys(ctx context.Context, userID string, keys ...NewAPIKeyParams) ([]string, error) {
	var out struct {
		APIKeyIDs []string `json:"apiKeyIds"`
	}
	_, err := c.run(ctx, "create_api_keys", "ACTIVITY_TYPE_CREATE_API_KEYS_V2", struct {
		UserID  string            `json:"userId"`
		APIKeys []NewAPIKeyParams `json:"apiKeys"`
	}{userID, append([]NewAPIKeyParams{}, keys...)}, "createApiKeysResult", &out)
	return out.APIKeyIDs, err
}

// DeleteAPIKeys takes API keys from a user.
func (c *Client) DeleteAPIKeys(ctx context.Context, userID string, apiKeyIDs ...string) error {
	var out struct{}
	_, err := c.run(ctx, "delete_api_keys", "ACTIVITY_TYPE_DELETE_API_KEYS", struct {
		UserID    string   `json:"userId"`
		APIKeyIDs []string `json:"apiKeyIds"`
	}{userID, append([]string{}, apiKeyIDs...)}, "deleteApiKeysResult", &out)
	return err
}

// UpdateRootQuorum sets which users, and how many of them together, approve.
func (c *Client) UpdateRootQuorum(ctx context.Context, threshold int, userIDs ...string) error {
	var out struct{}
	_, err := c.run(ctx, "update_root_quorum", "ACTIVITY_TYPE_UPDATE_ROOT_QUORUM", struct {
		Threshold int      `json:"threshold"`
		UserIDs   []string `json:"userIds"`
	}{threshold, append([]string{}, userIDs...)}, "updateRootQuorumResult", &out)
	return err
}
