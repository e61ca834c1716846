package relay

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/internal/relay/server"
)

func embedded(t *testing.T, token string) *server.Server {
	t.Helper()
	s, err := server.Start(server.Config{Listen: "127.0.0.1:0", Token: token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func newRelay(t *testing.T, c Config) *Relay {
	t.Helper()
	r := New(c)
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func spec(room byte, party string) *wire.RelayPort {
	return &wire.RelayPort{Room: append([]byte{2}, strings.Repeat(string(rune(room)), 15)...), Party: party}
}

func open(t *testing.T, r *Relay, p *wire.RelayPort) uint64 {
	t.Helper()
	n, err := r.OpenPort(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// talk sends from one party to another and expects it to arrive.
func talk(t *testing.T, from *Relay, a uint64, to *Relay, b uint64, name, sender string) {
	t.Helper()
	body := []byte(strings.Repeat("x", 200<<10))
	if err := from.SendPort(t.Context(), a, []wire.RelayMessage{{Party: name, Body: body}, {Party: name, Body: []byte("2")}}); err != nil {
		t.Fatal(err)
	}
	var got []wire.RelayMessage
	for len(got) < 2 {
		more, err := to.ReceivePort(t.Context(), b, 5000)
		if err != nil || len(more) == 0 {
			t.Fatalf("%d messages, %v", len(got), err)
		}
		got = append(got, more...)
	}
	if got[0].Party != sender || len(got[0].Body) != len(body) || string(got[1].Body) != "2" {
		t.Errorf("got another message, of %s", got[0].Party)
	}
}

func TestRoomsCarryMessages(t *testing.T) {
	s := embedded(t, "secret")
	a, b := newRelay(t, Config{Default: s.Addr(), Token: "secret"}), newRelay(t, Config{Allow: []string{s.Addr()}, Token: "secret"})
	if _, err := a.OpenPort(t.Context(), spec('r', "0a")); !errors.Is(err, &wire.Error{Code: wire.Unavailable}) {
		t.Errorf("a room that nobody created: %v", err)
	}
	if err := a.CreateRoom(t.Context(), spec('r', "0a"), 60_000); err != nil {
		t.Fatal(err)
	}
	pa := open(t, a, spec('r', "0a"))
	there := spec('r', "0b")
	there.Relay = s.Addr()
	pb := open(t, b, there)
	talk(t, a, pa, b, pb, "0b", "0a")
	talk(t, b, pb, a, pa, "0a", "0b")
	if got, err := a.ReceivePort(t.Context(), pa, 10); err != nil || len(got) != 0 {
		t.Errorf("%d messages, %v", len(got), err)
	}
	if err := a.ClosePort(t.Context(), pa); err != nil {
		t.Error(err)
	}
	if err := a.SendPort(t.Context(), pa, nil); !errors.Is(err, &wire.Error{Code: wire.NotFound}) {
		t.Errorf("a closed port: %v", err)
	}
	stranger := newRelay(t, Config{Default: s.Addr(), Token: "guess"})
	if _, err := stranger.OpenPort(t.Context(), spec('r', "0c")); !errors.Is(err, &wire.Error{Code: wire.Unavailable}) {
		t.Errorf("without the token: %v", err)
	}
	if _, err := stranger.OpenPort(t.Context(), there); !errors.Is(err, &wire.Error{Code: wire.Unavailable}) {
		t.Errorf("without the token: %v", err)
	}
}

func TestPartySpeaksAndHearsOnlyAsItself(t *testing.T) {
	s := embedded(t, "")
	r := newRelay(t, Config{Default: s.Addr()})
	for _, room := range []byte("rs") {
		if err := r.CreateRoom(t.Context(), spec(room, "0a"), 60_000); err != nil {
			t.Fatal(err)
		}
	}
	victim := open(t, r, spec('r', "0a"))
	thief := open(t, r, spec('r', "0b"))
	elsewhere := open(t, r, spec('s', "0c"))
	for _, n := range []uint64{thief, elsewhere} {
		p, err := r.port(n)
		if err != nil {
			t.Fatal(err)
		}
		room := server.RoomName(spec('r', "0a").Room)
		_ = p.conn.Publish("room."+room+".0a.0d", []byte("in another's name"))
		if sub, err := p.conn.SubscribeSync("room." + room + ".0a.*"); err == nil {
			_ = p.conn.Flush()
			_, err := sub.NextMsg(50 * time.Millisecond)
			if err == nil {
				t.Error("a party hears what is for another")
			}
		}
	}
	if got, err := r.ReceivePort(t.Context(), victim, 100); err != nil || len(got) != 0 {
		t.Errorf("a party speaks as another: %v, %v", got, err)
	}
}

func TestRoomEndsWithItsTime(t *testing.T) {
	s := embedded(t, "")
	r := newRelay(t, Config{Default: s.Addr()})
	if err := r.CreateRoom(t.Context(), spec('r', "0a"), 300); err != nil {
		t.Fatal(err)
	}
	open(t, r, spec('r', "0a"))
	time.Sleep(400 * time.Millisecond)
	if _, err := r.OpenPort(t.Context(), spec('r', "0b")); !errors.Is(err, &wire.Error{Code: wire.Unavailable}) {
		t.Errorf("a room that is over: %v", err)
	}
}

func TestInboxNeedsNoCreation(t *testing.T) {
	s := embedded(t, "")
	r := newRelay(t, Config{Default: s.Addr()})
	owner, sender := spec('i', "0a"), spec('i', "0b")
	owner.Inbox, sender.Inbox = true, true
	po, ps := open(t, r, owner), open(t, r, sender)
	talk(t, r, ps, r, po, "0a", "0b")
}

func TestOnlyAllowedRelaysAreDialled(t *testing.T) {
	r := newRelay(t, Config{Allow: []string{"relay.example:4222"}})
	for address, code := range map[string]wire.Code{
		"":                  wire.Unavailable,
		"127.0.0.1:1":       wire.PermissionDenied,
		"other.example:422": wire.PermissionDenied,
		"no-port":           wire.InvalidArgument,
	} {
		p := spec('r', "0a")
		p.Relay = address
		if _, err := r.OpenPort(t.Context(), p); !errors.Is(err, &wire.Error{Code: code}) {
			t.Errorf("%q: %v", address, err)
		}
	}
	local := newRelay(t, Config{AllowLoopback: true})
	p := spec('r', "0a")
	for _, address := range []string{"127.0.0.1:x@relay.example", "127.0.0.1:0", "127.0.0.1:99999", "127.0.0.1:1/", "localhost:"} {
		p.Relay = address
		if _, err := local.OpenPort(t.Context(), p); !errors.Is(err, &wire.Error{Code: wire.InvalidArgument}) {
			t.Errorf("%q: %v", address, err)
		}
	}
	p.Relay = "127.0.0.1:1"
	if _, err := local.OpenPort(t.Context(), p); !errors.Is(err, &wire.Error{Code: wire.Unavailable}) {
		t.Errorf("nobody listens: %v", err)
	}
}

// An external NATS server knows nothing of rooms and carries them all the same.
func TestExternalServer(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "nats-server")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
		t.Fatalf("building nats-server: %v\n%s", err, out)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	_ = ln.Close()
	_, port, _ := net.SplitHostPort(address)
	cmd := exec.CommandContext(t.Context(), bin, "-a", "127.0.0.1", "-p", port, "--auth", "token")
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for lines := bufio.NewScanner(stderr); lines.Scan() && !strings.Contains(lines.Text(), "Server is ready"); {
		continue
	}
	go func() { _, _ = io.Copy(io.Discard, stderr) }()
	stranger := newRelay(t, Config{Default: address})
	if _, err := stranger.OpenPort(t.Context(), spec('r', "0a")); !errors.Is(err, &wire.Error{Code: wire.Unavailable}) {
		t.Errorf("without the token: %v", err)
	}
	r := newRelay(t, Config{Default: address, Token: "token"})
	if err := r.CreateRoom(t.Context(), spec('r', "0a"), 1000); err != nil {
		t.Fatal(err)
	}
	pa, pb := open(t, r, spec('r', "0a")), open(t, r, spec('r', "0b"))
	talk(t, r, pa, r, pb, "0b", "0a")
}

func TestRuleServers(t *testing.T) {
	answer := func(w http.ResponseWriter, q *http.Request) {
		switch q.URL.Path {
		case "/long":
			_, _ = w.Write(make([]byte, maxAnswer+1))
		case "/moved":
			http.Redirect(w, q, "/", http.StatusFound)
		default:
			body, _ := io.ReadAll(q.Body)
			_, _ = fmt.Fprintf(w, "%s %s", q.Header.Get("Content-Type"), body)
		}
	}
	s := httptest.NewServer(http.HandlerFunc(answer))
	defer s.Close()
	r := newRelay(t, Config{RulesAllowPrivate: true})
	got, err := r.AskRule(t.Context(), &wire.RuleQuestion{URL: s.URL, JWT: []byte("q")})
	if err != nil || got.Status != 200 || string(got.Body) != "application/jwt q" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := r.AskRule(t.Context(), &wire.RuleQuestion{URL: s.URL + "/moved"}); err != nil || got.Status != 302 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := r.AskRule(t.Context(), &wire.RuleQuestion{URL: s.URL + "/long"}); !errors.Is(err, &wire.Error{Code: wire.Unavailable}) {
		t.Errorf("a long answer: %v", err)
	}
	strict := newRelay(t, Config{})
	for _, u := range []string{s.URL, "https://127.0.0.1:1/", "https://10.0.0.1/", "file:///etc/passwd", "https://[::1]:1/"} {
		if _, err := strict.AskRule(t.Context(), &wire.RuleQuestion{URL: u}); !errors.Is(err, &wire.Error{Code: wire.PermissionDenied}) {
			t.Errorf("%s: %v", u, err)
		}
	}
}
