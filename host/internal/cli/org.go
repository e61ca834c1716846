package cli

import (
	"context"
	"strings"

	"github.com/sallyport/sallyport/host/client"
)

type orgGroup struct {
	Create orgCreate `cmd:"" help:"Found an organization. Its id commits to its first root users, their keys and the quorum."`
}

type orgCreate struct {
	Connection `embed:""`
	Name       string   `required:"" help:"Name of the organization."`
	User       []string `required:"" sep:"none" placeholder:"NAME=KEYFILE" help:"A root user and its key file; give one flag for each. Every key stamps the founding."`
	Quorum     int      `required:"" placeholder:"K" help:"How many root users must approve together."`
	Member     []string `sep:"none" placeholder:"HEX" help:"The quorum key of another member of the appliance's key group; give one flag for each."`
	BodyOut    string   `type:"path" placeholder:"FILE" help:"Keep the founding body, by which anybody can check the id."`
}

// Run founds an organization.
func (o *orgCreate) Run(ctx context.Context, s *Streams) error {
	return o.run(ctx, s, needAppliance, o.work)
}

func (o *orgCreate) work(ctx context.Context, s *session) error {
	users, keys, err := o.roots(s)
	if err != nil {
		return err
	}
	members := make([][]byte, len(o.Member))
	for i, text := range o.Member {
		if members[i], err = client.ParseQuorumPublicKey(text); err != nil {
			return usage("", "--member: %v", err)
		}
	}
	body, err := s.NewFoundingBody(o.Name, users, o.Quorum, members...)
	if err != nil {
		return err
	}
	if o.BodyOut != "" {
		keep, err := reserve(o.BodyOut)
		if err != nil {
			return err
		}
		// Before it is sent: the same body can be sent again.
		if err := keep.write(body); err != nil {
			return err
		}
	}
	reply, err := s.CreateOrganization(ctx, body, keys...)
	if err != nil {
		return err
	}
	return s.show(reply, func(p *printer) {
		p.field("Organization", reply.OrganizationID)
		for _, u := range reply.Users {
			p.line("  %-16s %s", u.UserName, u.UserID)
		}
	})
}

func (o *orgCreate) roots(s *session) (users []client.RootUser, keys []*client.APIKey, err error) {
	for _, text := range o.User {
		name, path, ok := strings.Cut(text, "=")
		if !ok || name == "" || path == "" {
			return nil, nil, usage("", "--user: %q must be NAME=KEYFILE", text)
		}
		key, err := readKeyFile(path, s.Streams)
		if err != nil {
			return nil, nil, err
		}
		keys = append(keys, key)
		users = append(users, client.RootUser{UserName: name, APIKeys: []client.RootAPIKey{
			{APIKeyName: name, PublicKey: key.PublicHex(), CurveType: client.CurveP256},
		}})
	}
	return users, keys, nil
}
