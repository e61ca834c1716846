package cli

import (
	"context"
	"strings"

	"github.com/sallyport/sallyport/host/client"
)

type usersGroup struct {
	Create usersCreate `cmd:"" help:"Create a user with an API key."`
	List   usersList   `cmd:"" help:"List users and their API keys."`
}

type usersCreate struct {
	Connection `embed:""`
	Name       string `required:"" help:"Name of the user."`
	Email      string `help:"May be left out."`
	PublicKey  string `required:"" placeholder:"HEX" help:"The user's API public key, as key generate printed it."`
	Curve      string `default:"p256" enum:"p256,secp256k1,ed25519" help:"Curve of the API key: p256, secp256k1 or ed25519."`
	APIKeyName string `name:"api-key-name" default:"default" help:"Name of the API key."`
}

// Run creates a user.
func (c *usersCreate) Run(ctx context.Context, s *Streams) error {
	return c.run(ctx, s, needUser, func(ctx context.Context, s *session) error {
		ids, err := s.CreateUsers(ctx, client.NewUser{UserName: c.Name, UserEmail: c.Email, APIKeys: []client.NewAPIKeyParams{
			{APIKeyName: c.APIKeyName, PublicKey: c.PublicKey, CurveType: "API_KEY_CURVE_" + strings.ToUpper(c.Curve)},
		}})
		if err != nil {
			return err
		}
		return s.show(map[string]any{"userIds": ids}, func(p *printer) {
			p.line("%s  %s", ids[0], c.Name)
		})
	})
}

type usersList struct {
	Connection `embed:""`
}

// Run lists users.
func (c *usersList) Run(ctx context.Context, s *Streams) error {
	return c.run(ctx, s, needUser, func(ctx context.Context, s *session) error {
		users, err := s.ListUsers(ctx)
		if err != nil {
			return err
		}
		return s.show(map[string]any{"users": users}, func(p *printer) {
			for _, u := range users {
				p.line("%s  %s", u.UserID, u.UserName)
				for _, k := range u.APIKeys {
					p.line("  API key  %s  %s  %s", k.APIKeyID, k.APIKeyName, k.Credential.PublicKey)
				}
			}
		})
	})
}

type quorumGroup struct {
	Set quorumSet `cmd:"" help:"Set the users of the root quorum, and how many of them together approve."`
}

type quorumSet struct {
	Connection `embed:""`
	Threshold  int      `required:"" placeholder:"K" help:"How many must approve together."`
	User       []string `required:"" placeholder:"USER" help:"A user's id or name; give one flag for each, or separate by commas."`
}

// Run sets the quorum.
func (c *quorumSet) Run(ctx context.Context, s *Streams) error {
	return c.run(ctx, s, needUser, func(ctx context.Context, s *session) error {
		users, err := s.ListUsers(ctx)
		if err != nil {
			return err
		}
		ids := []string{}
		for _, text := range c.User {
			id, err := findUser(users, text)
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		if err := s.UpdateRootQuorum(ctx, c.Threshold, ids...); err != nil {
			return err
		}
		return s.show(map[string]any{"threshold": c.Threshold, "userIds": ids}, func(p *printer) {
			p.line("the root quorum is %d of %d", c.Threshold, len(ids))
		})
	})
}

// findUser finds a user by id or name. Names need not be unique, so one that
// is not is no answer.
func findUser(users []client.User, text string) (string, error) {
	found := ""
	for _, u := range users {
		switch {
		case u.UserID == text:
			return text, nil
		case u.UserName == text && found != "":
			return "", usage("give the id, see: sallyport users list", "--user: more than one user has the name %q", text)
		case u.UserName == text:
			found = u.UserID
		}
	}
	if found == "" {
		return "", usage("see: sallyport users list", "--user: no user has the id or name %q", text)
	}
	return found, nil
}
