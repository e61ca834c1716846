package wire

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A recordingNetwork is a host with a network that answers what a test says.
type recordingNetwork struct {
	Host
	port RelayPort
	sent []RelayMessage
	got  []RelayMessage
	wait uint64
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

func (n *recordingNetwork) ReceivePort(_ context.Context, _, wait uint64) ([]RelayMessage, error) {
	n.wait = wait
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

// Each side checks: the raw calls pass the client's own checks by.
func TestNetworkRefusesBadForms(t *testing.T) {
	n := &recordingNetwork{}
	c := reach(t, n)
	invalid := func(what any, errs ...error) {
		t.Helper()
		for side, err := range errs {
			if !errors.Is(err, &Error{Code: InvalidArgument}) {
				t.Errorf("%.80v, check %d: %v", what, side, err)
			}
		}
	}
	for _, port := range badPorts() {
		_, opened := c.OpenPort(t.Context(), port)
		_, raw := call[portNumber](t.Context(), c.client, methodOpenPort, port)
		_, created := call[nothing](t.Context(), c.client, methodCreateRoom, &createRoomParams{*port, 1})
		invalid(port, opened, raw, created, c.CreateRoom(t.Context(), port, 1))
	}
	for _, list := range badMessages() {
		_, raw := call[nothing](t.Context(), c.client, methodSendPort, &sendPortParams{300, list})
		invalid(len(list), raw, c.SendPort(t.Context(), 300, list))
		n.got = list
		if _, err := c.ReceivePort(t.Context(), 300, 1); !errors.Is(err, &Error{Code: Unavailable}) {
			t.Errorf("answer of %d messages: %v", len(list), err)
		}
	}
	for _, q := range []*RuleQuestion{
		{JWT: []byte("q")},
		{URL: "https://a b", JWT: []byte("q")},
		{URL: "https://" + strings.Repeat("a", maxRuleURL), JWT: []byte("q")},
		{URL: "https://rules"},
		{URL: "https://rules", JWT: make([]byte, maxRuleBody+1)},
	} {
		_, asked := c.AskRule(t.Context(), q)
		_, raw := call[RuleAnswer](t.Context(), c.client, methodAskRule, q)
		invalid(q.URL, asked, raw)
	}
}

func badPorts() []*RelayPort {
	return []*RelayPort{
		{Room: make([]byte, 15), Party: "0b"},
		{Room: make([]byte, 17), Party: "0b"},
		{Room: make([]byte, RoomSize), Party: ""},
		{Room: make([]byte, RoomSize), Party: "0B"},
		{Room: make([]byte, RoomSize), Party: strings.Repeat("a", MaxRelayParty+1)},
		{Room: make([]byte, RoomSize), Party: "a.>"},
		{Room: make([]byte, RoomSize), Party: "0b", Relay: "a b"},
		{Room: make([]byte, RoomSize), Party: "0b", Relay: strings.Repeat("a", maxRelayAddress+1)},
	}
}

func badMessages() [][]RelayMessage {
	large := RelayMessage{"0c", make([]byte, MaxRelayMessage)}
	return [][]RelayMessage{
		{{"0c", nil}},
		{{"*", []byte("x")}},
		{{"0c", make([]byte, MaxRelayMessage+1)}},
		{large, large, large, {"0c", []byte("x")}},
		slices.Repeat([]RelayMessage{{"0c", []byte("x")}}, MaxRelayMessages+1),
	}
}

func TestLargestMessagesCross(t *testing.T) {
	party := strings.Repeat("a", MaxRelayParty)
	large := slices.Repeat([]RelayMessage{{party, make([]byte, MaxRelayMessage)}}, MaxRelayBatch/MaxRelayMessage)
	many := slices.Repeat([]RelayMessage{{party, make([]byte, MaxRelayBatch/MaxRelayMessages)}}, MaxRelayMessages)
	n := &recordingNetwork{}
	c := reach(t, n)
	for _, list := range [][]RelayMessage{large, many} {
		if err := c.SendPort(t.Context(), 300, list); err != nil || len(n.sent) != len(list) {
			t.Errorf("%d messages to the relay: %v", len(list), err)
		}
		n.got = list
		if got, err := c.ReceivePort(t.Context(), 300, 1); err != nil || len(got) != len(list) {
			t.Errorf("%d messages from the relay: %v", len(list), err)
		}
	}
}

func TestHostWaitsNoLongerThanItMay(t *testing.T) {
	n := &recordingNetwork{}
	c := reach(t, n)
	for asked, want := range map[uint64]uint64{0: 0, 5000: 5000, MaxReceiveWait + 1: MaxReceiveWait, 1 << 63: MaxReceiveWait} {
		if _, err := c.ReceivePort(t.Context(), 300, asked); err != nil || n.wait != want {
			t.Errorf("asked for %d, waits %d, %v", asked, n.wait, err)
		}
	}
}

func TestRuleAnswersMustHaveTheirForm(t *testing.T) {
	n := &recordingNetwork{}
	c := reach(t, n)
	for _, a := range []RuleAnswer{{}, {Status: -1}, {Status: 600}, {Status: 200, Body: make([]byte, maxRuleBody+1)}} {
		n.rule = a
		if _, err := c.AskRule(t.Context(), &RuleQuestion{URL: "https://rules", JWT: []byte("q")}); !errors.Is(err, &Error{Code: Unavailable}) {
			t.Errorf("status %d, %d bytes: %v", a.Status, len(a.Body), err)
		}
	}
}

func TestHostWithoutANetworkHasNoSuchMethods(t *testing.T) {
	c := reach(t, struct{ Host }{})
	if _, err := c.OpenPort(t.Context(), &RelayPort{Room: make([]byte, RoomSize), Party: "0b"}); !errors.Is(err, &Error{Code: Unimplemented}) {
		t.Errorf("got %v", err)
	}
}

// A manifestHost has a manifest, or none.
type manifestHost struct {
	memoryHost
	manifest []byte
}

func (h *manifestHost) BootManifest(context.Context) ([]byte, error) {
	if h.manifest == nil {
		return nil, Errorf(NotFound, "", "none")
	}
	return h.manifest, nil
}

func TestBootManifestCrossesTheDoor(t *testing.T) {
	for _, size := range []int{1, maxManifest} {
		got, err := reach(t, &manifestHost{manifest: make([]byte, size)}).BootManifest(t.Context())
		if err != nil || len(got) != size {
			t.Errorf("%d of %d bytes, %v", len(got), size, err)
		}
	}
	for name, c := range map[string]struct {
		host Host
		want Code
	}{
		"none":         {&manifestHost{}, NotFound},
		"too long":     {&manifestHost{manifest: make([]byte, maxManifest+1)}, FailedPrecondition},
		"not a source": {&memoryHost{}, Unimplemented},
	} {
		if _, err := reach(t, c.host).BootManifest(t.Context()); !errors.Is(err, &Error{Code: c.want}) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
