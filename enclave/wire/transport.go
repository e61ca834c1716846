package wire

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"

	"github.com/mdlayher/vsock"
)

// transport is one address, ready to be listened on or dialled.
type transport struct {
	listen func() (net.Listener, error)
	dial   func(context.Context) (net.Conn, error)
}

// Listen opens an address for [ServeEnclave] or [ServeHost].
//
// "unix:PATH" makes a socket file that only this user can connect to. A socket
// file that nobody listens on any more is replaced.
//
// "vsock:CID:PORT" listens on all of this machine's context identifiers, since
// an enclave cannot rely on the one that it is told. CID names the only peer
// whose connections are taken, 3 for the parent of a Nitro enclave; "any" takes
// everybody's. Whoever runs the machine can have any CID: this keeps strangers
// out and authenticates nobody.
func Listen(address string) (net.Listener, error) {
	t, err := choose(address, kernelVsock{})
	if err != nil {
		return nil, err
	}
	ln, err := t.listen()
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", address, err)
	}
	return ln, nil
}

// Dial connects to an address that [Listen] describes; the CID is the peer's.
func Dial(ctx context.Context, address string) (net.Conn, error) {
	t, err := choose(address, kernelVsock{})
	if err != nil {
		return nil, err
	}
	conn, err := t.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("dialling %s: %w", address, err)
	}
	return conn, nil
}

// choose is the one place that knows which transports there are.
func choose(address string, v vsockets) (transport, error) {
	network, rest, _ := strings.Cut(address, ":")
	switch network {
	case "unix":
		return unixTransport(rest)
	case "vsock":
		return vsockTransport(rest, v)
	}
	return transport{}, errors.New("address must be unix:PATH or vsock:CID:PORT")
}

// vsockets are the two calls into the kernel's AF_VSOCK, which few machines
// can make: tests have their own.
type vsockets interface {
	listen(cid, port uint32) (net.Listener, error)
	dial(ctx context.Context, cid, port uint32) (net.Conn, error)
}

type kernelVsock struct{}

func (kernelVsock) listen(cid, port uint32) (net.Listener, error) {
	ln, err := vsock.ListenContextID(cid, port, nil)
	if err != nil {
		return nil, err // not ln: a nil *vsock.Listener is not a nil net.Listener
	}
	return ln, nil
}

func (kernelVsock) dial(ctx context.Context, cid, port uint32) (net.Conn, error) {
	conn, err := vsock.DialContext(ctx, cid, port, nil)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// cidAny is VMADDR_CID_ANY, and as a port VMADDR_PORT_ANY.
const cidAny = math.MaxUint32

func vsockTransport(rest string, v vsockets) (transport, error) {
	peer, number, _ := strings.Cut(rest, ":")
	cid, err := parseVsock(peer)
	if peer == "any" {
		cid, err = cidAny, nil
	}
	if err != nil {
		return transport{}, errors.New(`vsock CID must be a number or "any"`)
	}
	port, err := parseVsock(number)
	if err != nil || port == 0 {
		return transport{}, errors.New("vsock port must be 1 to 4294967294")
	}
	return transport{
		listen: func() (net.Listener, error) {
			ln, err := v.listen(cidAny, port)
			if err != nil {
				return nil, err
			}
			return &peerListener{Listener: ln, peer: cid}, nil
		},
		dial: func(ctx context.Context) (net.Conn, error) {
			if cid == cidAny {
				return nil, errors.New(`vsock CID "any" cannot be dialled`)
			}
			return v.dial(ctx, cid, port)
		},
	}, nil
}

// parseVsock reads a CID or a port in its only spelling.
func parseVsock(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == cidAny || strconv.FormatUint(n, 10) != s {
		return 0, errors.New("not a vsock number")
	}
	return uint32(n), nil
}

// peerListener takes connections of one CID only.
type peerListener struct {
	net.Listener
	peer uint32
}

func (l *peerListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from, ok := conn.RemoteAddr().(*vsock.Addr)
		if l.peer == cidAny || (ok && from.ContextID == l.peer) {
			return conn, nil
		}
		_ = conn.Close()
	}
}
