package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"syscall"
)

// ports dials from one local port after the other. The kernel comes back to a port after seconds when one client makes many connections,
// while the connection tracking of a node remembers for two minutes to which pod it sent what came from there, and sends it to that pod
// again, even when it lost its power. Peers on the internet are many clients.
type ports struct {
	dialer net.Dialer
	next   atomic.Uint32
}

const (
	firstPort = 10_000
	portCount = 1<<16 - firstPort
	portTries = 100 // ports in use that are passed over for one connection
)

func newPorts(dialer net.Dialer) *ports {
	p := &ports{dialer: dialer}
	p.next.Store(rand.Uint32N(portCount))
	return p
}

// DialContext is one of net.Dialer.
func (p *ports) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := p.dialer
	for try := 1; ; try++ {
		dialer.LocalAddr = &net.TCPAddr{Port: int(firstPort + p.next.Add(1)%portCount)}
		conn, err := dialer.DialContext(ctx, network, address)
		if !errors.Is(err, syscall.EADDRINUSE) || try == portTries {
			return conn, err
		}
	}
}
