package dev

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/sallyport/sallyport/host/client"
)

// founder is what credentials needs of the API.
type founder interface {
	found(ctx context.Context, body []byte, keys []*client.APIKey) (*client.FoundingReply, error)
}

// credentials returns those of this folder: founds the organization when
// there is none, finishes what a crash interrupted, or continues. There is one
// founder and one quorum key for each node; running is the first one's.
func (a *appliance) credentials(ctx context.Context, apis []founder, quorumKeys []string, running Credentials) (*Credentials, error) {
	k := a.kept
	if k != nil && k.founded {
		if k.QuorumPublicKey != running.QuorumPublicKey {
			return nil, fmt.Errorf("--data: %s names the quorum key %.16s..., the enclave has %.16s...: the folder's parts do not belong together",
				a.folder.path(readyFile), k.QuorumPublicKey, running.QuorumPublicKey)
		}
	} else {
		var err error
		if k, err = a.found(ctx, apis, quorumKeys); err != nil {
			return nil, err
		}
	}
	running.OrganizationID, running.Users = k.OrganizationID, k.Users
	for i := range running.Nodes {
		running.Nodes[i].OrganizationID = k.OrganizationID
	}
	k.Credentials = running
	if err := a.folder.save(readyFile, k); err != nil {
		return nil, err
	}
	return &running, a.folder.remove(pendingFile)
}

// found makes the keys durable, then the organization. A pending file of an
// earlier start is used again, since its organization may exist; unless it was
// made for a quorum key that never became durable, and then it does not.
func (a *appliance) found(ctx context.Context, apis []founder, quorumKeys []string) (*kept, error) {
	k := a.kept
	if k == nil || !slices.Equal(k.quorumKeys, quorumKeys) {
		var err error
		if k, err = newKept(a.shape, quorumKeys, k); err != nil {
			return nil, err
		}
		if err := a.folder.save(pendingFile, k); err != nil {
			return nil, err
		}
	}
	keys, err := k.keys()
	if err != nil {
		return nil, err
	}
	var reply *client.FoundingReply
	for _, api := range slices.Backward(apis) { // the first one's reply is shown
		if reply, err = api.found(ctx, []byte(k.FoundingBody), keys); err != nil {
			return nil, err
		}
	}
	done := *k
	done.OrganizationID = reply.OrganizationID
	done.Users = slices.Clone(k.Users)
	for i := range done.Users {
		done.Users[i].UserID = reply.Users[i].UserID
	}
	return &done, nil
}

// newKept makes users and a founding body. Keys of an earlier attempt are kept.
func newKept(s shape, quorumKeys []string, earlier *kept) (*kept, error) {
	k := &kept{Root: s.Root, Threshold: s.Threshold, shape: s, quorumKeys: quorumKeys}
	k.QuorumPublicKey = quorumKeys[0]
	if earlier != nil {
		k.Users = earlier.Users
	}
	for i := len(k.Users); i < s.RootUsers; i++ {
		u, err := newUser(i)
		if err != nil {
			return nil, err
		}
		k.Users = append(k.Users, u)
	}
	salt := make([]byte, 32)
	_, _ = rand.Read(salt) // never fails since Go 1.24
	body := client.FoundingBody{
		Type:                client.FoundingType,
		OrganizationName:    "sallyport dev",
		RootQuorumThreshold: s.Quorum,
		QuorumPublicKeys:    quorumKeys,
		Salt:                hex.EncodeToString(salt),
	}
	for _, u := range k.Users {
		body.RootUsers = append(body.RootUsers, client.RootUser{
			UserName: u.UserName,
			APIKeys:  []client.RootAPIKey{{APIKeyName: u.UserName + " key", PublicKey: u.APIPublicKey, CurveType: client.CurveP256}},
		})
	}
	b, err := body.Encode()
	if err != nil {
		return nil, err
	}
	k.FoundingBody = string(b)
	return k, nil
}

func newUser(i int) (User, error) {
	key, err := client.NewAPIKey()
	if err != nil {
		return User{}, err
	}
	private, err := key.PrivateHex()
	if err != nil {
		return User{}, err
	}
	return User{UserName: fmt.Sprintf("root-%d", i+1), APIPublicKey: key.PublicHex(), APIPrivateKey: private}, nil
}
