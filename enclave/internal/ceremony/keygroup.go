package ceremony

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/channel"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/org"
	"github.com/sallyport/sallyport/enclave/internal/platform"
	"github.com/sallyport/sallyport/enclave/wire"
)

// keyGroup is what the manifest says of one, without the means to reach its
// members: those come with the identity. Nil: it names none.
func keyGroup(p *platform.Platform, m *attestation.Manifest) (*org.KeyGroup, error) {
	if m.KeyGroup == nil {
		return nil, nil
	}
	if p.Network == nil {
		return nil, errors.New("manifest: keyGroup: this platform has no network to reach the other members by")
	}
	self, err := channel.NodeID(m.QuorumPublicKey)
	if err != nil {
		return nil, err
	}
	members := []mpc.NodeID{self}
	for i := range m.Peers {
		n, err := channel.NodeID(m.Peers[i].QuorumPublicKey)
		if err != nil {
			return nil, err
		}
		members = append(members, n)
	}
	return org.NewKeyGroup(self, members, int(m.KeyGroup.Threshold)), nil
}

// equip gives a key group the means to reach its members.
func (t *parties) equip(g *org.KeyGroup, n wire.Network, self mpc.NodeID) {
	g.Caller, g.Runner, g.Check = t.caller, t.rooms, mpc.Sound
	g.Room = func(ctx context.Context, size int) (mpc.Where, error) {
		id, err := mpc.NewRoomID(rand.Reader, size)
		if err != nil {
			return mpc.Where{}, err
		}
		port := &wire.RelayPort{Room: id[:], Party: hex.EncodeToString(self[:wire.RoomSize])}
		return mpc.Where{Room: id}, n.CreateRoom(ctx, port, mpc.RoomTTLMs)
	}
}
