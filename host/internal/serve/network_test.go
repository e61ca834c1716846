package serve

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/enclave/wire"
)

// file writes a file and returns its path.
func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// converse has two parties of one enclave speak in a room of the default relay.
func converse(t *testing.T, door string) {
	t.Helper()
	enclave := wire.NewHostClient(door)
	defer func() { _ = enclave.Close() }()
	room := []byte("\x02room of 2 party")
	spec := func(party string) *wire.RelayPort { return &wire.RelayPort{Room: room, Party: party} }
	if err := enclave.CreateRoom(t.Context(), spec("0a"), 60_000); err != nil {
		t.Fatal(err)
	}
	a, err := enclave.OpenPort(t.Context(), spec("0a"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := enclave.OpenPort(t.Context(), spec("0b"))
	if err == nil {
		err = enclave.SendPort(t.Context(), a, []wire.RelayMessage{{Party: "0b", Body: []byte("sealed")}})
	}
	if err != nil {
		t.Fatal(err)
	}
	got, err := enclave.ReceivePort(t.Context(), b, 5000)
	if err != nil || len(got) != 1 || got[0].Party != "0a" || string(got[0].Body) != "sealed" {
		t.Errorf("received %d messages, %v", len(got), err)
	}
	elsewhere := spec("0a")
	elsewhere.Relay = "192.0.2.1:4222"
	if err := enclave.CreateRoom(t.Context(), elsewhere, 1); !errors.Is(err, &wire.Error{Code: wire.PermissionDenied}) {
		t.Errorf("a relay that is not allowed: %v", err)
	}
	if _, err := enclave.AskRule(t.Context(), &wire.RuleQuestion{URL: "https://127.0.0.1:1/", JWT: []byte("q")}); !errors.Is(err, &wire.Error{Code: wire.PermissionDenied}) {
		t.Errorf("a rule server that is not allowed: %v", err)
	}
}

func readReady(t *testing.T, path string) (r Ready) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if b, err := os.ReadFile(path); err == nil {
			if err := json.Unmarshal(b, &r); err != nil {
				t.Fatalf("the ready file is %q", b)
			}
			return r
		}
	}
	t.Fatal("no ready file")
	return r
}

func TestServeWithARelayOfItsOwn(t *testing.T) {
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			c := command(t)
			c.RelayListen, c.RelayTokenFile = "127.0.0.1:0", file(t, "token\n")
			if secure {
				var holder Command
				certify(t, &holder)
				c.RelayTLSCert, c.RelayTLSKey, c.RelayCA = holder.TLSCert, holder.TLSKey, holder.TLSCert
			}
			_, stop := runUntilReady(t, c)
			if r := readReady(t, c.ReadyFile); !strings.HasPrefix(r.RelayAddress, "127.0.0.1:") {
				t.Errorf("the ready file tells of the relay %q", r.RelayAddress)
			}
			converse(t, c.Door)
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRelayOnItsOwn(t *testing.T) {
	relay := &Relay{Listen: "127.0.0.1:0", TokenFile: file(t, "token"), ReadyFile: filepath.Join(t.TempDir(), "ready")}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- relay.Run(ctx) }()
	c := command(t)
	c.Relay, c.RelayTokenFile = readReady(t, relay.ReadyFile).RelayAddress, relay.TokenFile
	_, stop := runUntilReady(t, c)
	if r := readReady(t, c.ReadyFile); r.RelayAddress != "" {
		t.Error("the host says that the relay is its own")
	}
	converse(t, c.Door)
	if err := stop(); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(relay.ReadyFile); err == nil {
		t.Error("the ready file outlived the relay")
	}
}

func TestNetworkNamesTheFlagThatIsWrong(t *testing.T) {
	for _, tt := range []struct {
		want   string
		change func(*Network)
	}{
		{"--relay-token-file: open /none", func(n *Network) { n.RelayTokenFile = "/none" }},
		{"--relay-token-file: its first line is empty", func(n *Network) { n.RelayTokenFile = file(t, "\ntoken") }},
		{"--relay-ca: open /none", func(n *Network) { n.RelayCA = "/none" }},
		{"--relay-ca: holds no certificate", func(n *Network) { n.RelayCA = file(t, "x") }},
		{"--relay-listen: ", func(n *Network) { n.RelayListen = "nowhere" }},
		{"--relay-listen: ", func(n *Network) { n.RelayListen = "127.0.0.1:99999" }},
		{"--relay-tls-cert, --relay-tls-key: ", func(n *Network) {
			n.RelayListen, n.RelayTLSCert, n.RelayTLSKey = "127.0.0.1:0", "/none", "/none"
		}},
	} {
		c := command(t)
		tt.change(&c.Network)
		if err := c.Run(t.Context()); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}
