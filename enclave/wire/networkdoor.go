package wire

import (
	"context"
	"fmt"
)

// Limits of the calls of a [Network].
const (
	// MaxRelayBatch bounds the bodies of one SendPort or of its answer: what is
	// beside them still fits a frame.
	MaxRelayBatch = 768 << 10
	// MaxRelayMessages bounds their number.
	MaxRelayMessages = 1024
	// MaxReceiveWait bounds how long the host may hold a ReceivePort, in
	// milliseconds: below the deadlines of a door.
	MaxReceiveWait = 25_000
	// maxRelayAddress bounds "host:port" and maxRuleURL an address; maxRuleBody
	// bounds what a rule server is asked, and what it answers.
	maxRelayAddress = 300
	maxRuleURL      = 2048
	maxRuleBody     = 64 << 10
)

type (
	createRoomParams struct {
		Port  RelayPort `cbor:"1,keyasint"`
		TTLMs uint64    `cbor:"2,keyasint"`
	}
	portNumber struct {
		Number uint64 `cbor:"1,keyasint"`
	}
	sendPortParams struct {
		Number   uint64         `cbor:"1,keyasint"`
		Messages []RelayMessage `cbor:"2,keyasint"`
	}
	receivePortParams struct {
		Number uint64 `cbor:"1,keyasint"`
		WaitMs uint64 `cbor:"2,keyasint"`
	}
	relayMessages struct {
		Messages []RelayMessage `cbor:"1,keyasint"`
	}
)

func messages(list []RelayMessage) (n int) {
	for _, m := range list {
		n += len(m.Party) + len(m.Body) + 16
	}
	return n
}

// valid checks the form of a port.
func (p *RelayPort) valid() error {
	switch {
	case len(p.Room) != RoomSize:
		return Errorf(InvalidArgument, "", "room must have %d bytes", RoomSize)
	case !ValidParty(p.Party):
		return Errorf(InvalidArgument, "", "party must be 1 to %d lower-case hex digits", MaxRelayParty)
	case len(p.Relay) > maxRelayAddress || !graphic(p.Relay):
		return Errorf(InvalidArgument, "", "relay must be host:port")
	}
	return nil
}

// ValidParty says whether a text can be the name of a party in a room.
func ValidParty(s string) bool {
	for i := range len(s) {
		if (s[i] < '0' || s[i] > '9') && (s[i] < 'a' || s[i] > 'f') {
			return false
		}
	}
	return len(s) > 0 && len(s) <= MaxRelayParty
}

func validMessages(list []RelayMessage) error {
	if len(list) > MaxRelayMessages {
		return Errorf(InvalidArgument, "", "at most %d messages at once", MaxRelayMessages)
	}
	total := 0
	for _, m := range list {
		if !ValidParty(m.Party) {
			return Errorf(InvalidArgument, "", "party must be 1 to %d lower-case hex digits", MaxRelayParty)
		}
		if len(m.Body) == 0 || len(m.Body) > MaxRelayMessage {
			return Errorf(InvalidArgument, "", "a message must have 1 to %d bytes", MaxRelayMessage)
		}
		total += len(m.Body)
	}
	if total > MaxRelayBatch {
		return Errorf(InvalidArgument, "", "messages must have at most %d bytes together", MaxRelayBatch)
	}
	return nil
}

func (q *RuleQuestion) valid() error {
	switch {
	case len(q.URL) == 0 || len(q.URL) > maxRuleURL || !graphic(q.URL):
		return Errorf(InvalidArgument, "", "url must have 1 to %d printable ASCII characters", maxRuleURL)
	case len(q.JWT) == 0 || len(q.JWT) > maxRuleBody:
		return Errorf(InvalidArgument, "", "jwt must have 1 to %d bytes", maxRuleBody)
	}
	return nil
}

func (a *RuleAnswer) valid() error {
	if a.Status < 100 || a.Status > 599 || len(a.Body) > maxRuleBody {
		return fmt.Errorf("an answer with status %d and %d bytes", a.Status, len(a.Body))
	}
	return nil
}

func networkHandlers(n Network) map[method]handler {
	return map[method]handler{
		methodCreateRoom: handle(hostCodec, methodCreateRoom, func(ctx context.Context, p *createRoomParams) (*nothing, error) {
			if err := p.Port.valid(); err != nil {
				return nil, err
			}
			return &nothing{}, n.CreateRoom(ctx, &p.Port, p.TTLMs)
		}),
		methodOpenPort: handle(hostCodec, methodOpenPort, func(ctx context.Context, p *RelayPort) (*portNumber, error) {
			if err := p.valid(); err != nil {
				return nil, err
			}
			number, err := n.OpenPort(ctx, p)
			return &portNumber{number}, err
		}),
		methodSendPort: handle(hostCodec, methodSendPort, func(ctx context.Context, p *sendPortParams) (*nothing, error) {
			if err := validMessages(p.Messages); err != nil {
				return nil, err
			}
			return &nothing{}, n.SendPort(ctx, p.Number, p.Messages)
		}),
		methodReceivePort: handle(hostCodec, methodReceivePort, func(ctx context.Context, p *receivePortParams) (*relayMessages, error) {
			got, err := n.ReceivePort(ctx, p.Number, min(p.WaitMs, MaxReceiveWait))
			return &relayMessages{got}, err
		}),
		methodClosePort: handle(hostCodec, methodClosePort, func(ctx context.Context, p *portNumber) (*nothing, error) {
			return &nothing{}, n.ClosePort(ctx, p.Number)
		}),
		methodAskRule: handle(hostCodec, methodAskRule, func(ctx context.Context, q *RuleQuestion) (*RuleAnswer, error) {
			if err := q.valid(); err != nil {
				return nil, err
			}
			return n.AskRule(ctx, q)
		}),
	}
}

var _ Network = (*HostClient)(nil)

// CreateRoom implements [Network].
func (c *HostClient) CreateRoom(ctx context.Context, port *RelayPort, ttlMs uint64) error {
	if err := port.valid(); err != nil {
		return err
	}
	_, err := call[nothing](ctx, c.client, methodCreateRoom, &createRoomParams{*port, ttlMs})
	return err
}

// OpenPort implements [Network].
func (c *HostClient) OpenPort(ctx context.Context, port *RelayPort) (uint64, error) {
	if err := port.valid(); err != nil {
		return 0, err
	}
	got, err := call[portNumber](ctx, c.client, methodOpenPort, port)
	if err != nil {
		return 0, err
	}
	return got.Number, nil
}

// SendPort implements [Network].
func (c *HostClient) SendPort(ctx context.Context, number uint64, list []RelayMessage) error {
	if err := validMessages(list); err != nil {
		return err
	}
	_, err := call[nothing](ctx, c.client, methodSendPort, &sendPortParams{number, list})
	return err
}

// ReceivePort implements [Network].
func (c *HostClient) ReceivePort(ctx context.Context, number, waitMs uint64) ([]RelayMessage, error) {
	got, err := call[relayMessages](ctx, c.client, methodReceivePort, &receivePortParams{number, waitMs})
	if err != nil {
		return nil, err
	}
	if err := validMessages(got.Messages); err != nil {
		return nil, c.noAnswer(methodReceivePort, err)
	}
	return got.Messages, nil
}

// ClosePort implements [Network].
func (c *HostClient) ClosePort(ctx context.Context, number uint64) error {
	_, err := call[nothing](ctx, c.client, methodClosePort, &portNumber{number})
	return err
}

// AskRule implements [Network].
func (c *HostClient) AskRule(ctx context.Context, q *RuleQuestion) (*RuleAnswer, error) {
	if err := q.valid(); err != nil {
		return nil, err
	}
	got, err := call[RuleAnswer](ctx, c.client, methodAskRule, q)
	if err != nil {
		return nil, err
	}
	if err := got.valid(); err != nil {
		return nil, c.noAnswer(methodAskRule, err)
	}
	return got, nil
}
