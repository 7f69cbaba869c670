package gateway

import (
	"net"
	"net/netip"
	"sync"
)

// connLimits counts the open connections of one listener and bounds them, in all and per source. What is over is
// closed at once: a connection that nobody serves must cost nothing.
type connLimits struct {
	mu             sync.Mutex
	max, perSource int // 0 = no bound
	total          int
	bySource       map[netip.Prefix]int
}

// Reasons for refusing a connection, as the metrics call them.
const (
	refusedTotal  = "total"
	refusedSource = "source"
)

func (l *connLimits) set(limit, perSource int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.max, l.perSource = limit, perSource
}

// admit counts conn in and returns it wrapped, so that its Close counts it out; or says why not.
func (l *connLimits) admit(conn net.Conn, closed func()) (*countedConn, string) {
	source := sourceOf(conn.RemoteAddr())
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.max > 0 && l.total >= l.max {
		return nil, refusedTotal
	}
	if l.perSource > 0 && l.bySource[source] >= l.perSource {
		return nil, refusedSource
	}
	l.total++
	if l.bySource == nil {
		l.bySource = make(map[netip.Prefix]int)
	}
	l.bySource[source]++
	return &countedConn{Conn: conn, release: func() {
		l.release(source)
		closed()
	}}, ""
}

func (l *connLimits) release(source netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.bySource[source]--; l.bySource[source] == 0 {
		delete(l.bySource, source)
	}
}

// sourceOf is who a connection is from, as limits see it: a /64 is one subscriber.
func sourceOf(addr net.Addr) netip.Prefix {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	prefix, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}

// countedConn tells connLimits when it is closed.
type countedConn struct {
	net.Conn
	once    sync.Once
	release func()
}

func (c *countedConn) Close() error {
	defer c.once.Do(c.release)
	return c.Conn.Close()
}

// CloseWrite lets net/http end a refused request so that the peer still reads the answer.
func (c *countedConn) CloseWrite() error {
	if tcp, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return tcp.CloseWrite()
	}
	return nil
}
