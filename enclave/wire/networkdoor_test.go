package wire

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
)

// A recordingNetwork is a host with a network that answers what a test says.
type recordingNetwork struct {
	Host
	port RelayPort
	sent []RelayMessage
	got  []RelayMessage
	rule RuleAnswer
}

func (n *recordingNetwork) CreateRoom(_ context.Context, p *RelayPort, _ uint64) error {
	n.port = *p
	return nil
}

func (n *recordingNetwork) OpenPort(_ context.Context, p *RelayPort) (uint64, error) {
	n.port = *p
	return 300, nil
}

func (n *recordingNetwork) SendPort(_ context.Context, number uint64, list []RelayMessage) error {
	if number != 300 {
		return Errorf(NotFound, "", "no such port")
	}
	n.sent = list
	return nil
}

func (n *recordingNetwork) ReceivePort(context.Context, uint64, uint64) ([]RelayMessage, error) {
	return n.got, nil
}

func (n *recordingNetwork) ClosePort(context.Context, uint64) error { return nil }

func (n *recordingNetwork) AskRule(context.Context, *RuleQuestion) (*RuleAnswer, error) {
	return &n.rule, nil
}

// reach serves a host and returns its client.
func reach(t *testing.T, h Host) *HostClient {
	t.Helper()
	address := "unix:" + filepath.Join(t.TempDir(), "d")
	ln, err := Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = ServeHost(ctx, ln, h, slog.New(slog.DiscardHandler))
	}()
	c := NewHostClient(address)
	t.Cleanup(func() {
		_ = c.Close()
		stop()
		<-done
	})
	return c
}

func TestNetworkCrossesTheDoor(t *testing.T) {
	n := &recordingNetwork{got: []RelayMessage{{"0a", []byte("in")}}, rule: RuleAnswer{Status: 200, Body: []byte("yes")}}
	c := reach(t, n)
	port := &RelayPort{Relay: "relay:4222", Room: make([]byte, RoomSize), Party: "0b", Inbox: true}
	if err := c.CreateRoom(t.Context(), port, 1000); err != nil || n.port.Relay != port.Relay || !n.port.Inbox {
		t.Errorf("%v, %+v", err, n.port)
	}
	number, err := c.OpenPort(t.Context(), port)
	if err != nil || number != 300 {
		t.Fatalf("port %d, %v", number, err)
	}
	if err := c.SendPort(t.Context(), number, []RelayMessage{{"0c", []byte("out")}}); err != nil || string(n.sent[0].Body) != "out" {
		t.Errorf("%v, %+v", err, n.sent)
	}
	if err := c.SendPort(t.Context(), 1, nil); !errors.Is(err, &Error{Code: NotFound}) {
		t.Errorf("got %v", err)
	}
	got, err := c.ReceivePort(t.Context(), number, 1)
	if err != nil || len(got) != 1 || string(got[0].Body) != "in" {
		t.Errorf("%v, %+v", err, got)
	}
	if err := c.ClosePort(t.Context(), number); err != nil {
		t.Error(err)
	}
	if a, err := c.AskRule(t.Context(), &RuleQuestion{URL: "https://rules", JWT: []byte("q")}); err != nil || string(a.Body) != "yes" {
		t.Errorf("%v, %+v", err, a)
	}
}

func TestNetworkRefusesBadForms(t *testing.T) {
	n := &recordingNetwork{}
	c := reach(t, n)
	for _, port := range []*RelayPort{
		{Room: make([]byte, 15), Party: "0b"},
		{Room: make([]byte, RoomSize), Party: ""},
		{Room: make([]byte, RoomSize), Party: "0B"},
		{Room: make([]byte, RoomSize), Party: strings.Repeat("a", MaxRelayParty+1)},
		{Room: make([]byte, RoomSize), Party: "a.>"},
		{Room: make([]byte, RoomSize), Party: "0b", Relay: "a b"},
	} {
		if _, err := c.OpenPort(t.Context(), port); !errors.Is(err, &Error{Code: InvalidArgument}) {
			t.Errorf("%+v: %v", port, err)
		}
	}
	for _, list := range [][]RelayMessage{
		{{"0c", nil}},
		{{"*", []byte("x")}},
		{{"0c", make([]byte, MaxRelayMessage+1)}},
		{{"0c", make([]byte, MaxRelayMessage)}, {"0c", make([]byte, MaxRelayMessage)}, {"0c", make([]byte, MaxRelayMessage)}, {"0c", []byte("x")}},
	} {
		if err := c.SendPort(t.Context(), 300, list); !errors.Is(err, &Error{Code: InvalidArgument}) {
			t.Errorf("%d messages: %v", len(list), err)
		}
		n.got = list
		if _, err := c.ReceivePort(t.Context(), 300, 1); !errors.Is(err, &Error{Code: Unavailable}) {
			t.Errorf("answer of %d messages: %v", len(list), err)
		}
	}
	n.rule.Body = bytes.Repeat([]byte{1}, maxRuleBody+1)
	if _, err := c.AskRule(t.Context(), &RuleQuestion{URL: "https://rules"}); !errors.Is(err, &Error{Code: Unavailable}) {
		t.Errorf("long answer: %v", err)
	}
}

func TestHostWithoutANetworkHasNoSuchMethods(t *testing.T) {
	c := reach(t, struct{ Host }{})
	if _, err := c.OpenPort(t.Context(), &RelayPort{Room: make([]byte, RoomSize), Party: "0b"}); !errors.Is(err, &Error{Code: Unimplemented}) {
		t.Errorf("got %v", err)
	}
}
