package node

import (
	"context"
	"encoding/hex"
	"net"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

func createRoom(s *Service, ctx context.Context, c *call) (any, error) {
	var in struct {
		Size  int    `json:"room_size" strict:"required"`
		Relay string `json:"relay_address"`
	}
	if err := c.read(&in); err != nil {
		return nil, err
	}
	if in.Size < 1 || in.Size > mpc.MaxParties {
		return nil, bad("room_size: must be 1 to %d", mpc.MaxParties)
	}
	if err := checkRelay(in.Relay); err != nil {
		return nil, err
	}
	room, err := mpc.NewRoomID(s.Rand, in.Size)
	if err != nil {
		return nil, err
	}
	if s.Network == nil {
		return nil, refuse(typeRoom, "this node has no relay")
	}
	port := &wire.RelayPort{Relay: in.Relay, Room: room[:], Party: hex.EncodeToString(s.Self[:16])}
	if err := s.Network.CreateRoom(ctx, port, mpc.RoomTTLMs); err != nil {
		e := refuse(typeRoom, "the relay did not make the room: %v", relayError(err))
		e.Cause = string(mpc.CauseRelay)
		return nil, e
	}
	return map[string]string{"room_uuid": uid(room).String()}, nil
}

// relayError is what may be told of a relay's error.
func relayError(err error) string {
	if e, ok := err.(*wire.Error); ok {
		return e.Message
	}
	return "it did not answer"
}

// where reads the room of an operation, which must be for least to most parties.
func where(room, relay string, least, most int) (mpc.Where, error) {
	id, ok := parseID(room)
	if !ok || id != id.stamped() {
		return mpc.Where{}, bad("room_uuid: must be what /create-room returned")
	}
	if n := int(id[0]); n < least || n > most {
		if least == most {
			return mpc.Where{}, bad("room_uuid: the room is for %d parties and this operation has %d", n, least)
		}
		return mpc.Where{}, bad("room_uuid: the room is for %d parties and this operation has %d to %d", n, least, most)
	}
	return mpc.Where{Room: mpc.RoomID(id), Relay: relay}, checkRelay(relay)
}

// checkRelay judges the form of "host:port". Whether it may be dialled is for
// the host, by its operator's list.
func checkRelay(address string) error {
	if address == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	n, perr := strconv.Atoi(port)
	if err != nil || perr != nil || host == "" || n < 1 || n > 65535 || strconv.Itoa(n) != port || len(address) > 255 ||
		strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return bad("relay_address: must be host:port")
	}
	return nil
}
