package mail

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// conn is a client's connection whose reading can be brought to an end from outside: the SMTP library sets a deadline for
// every command, and none is later than the limit.
type conn struct {
	net.Conn
	busy bool // a mail is being taken; guarded by the Server's mutex

	mu    sync.Mutex
	limit time.Time // zero = none
	ended bool      // the limit is final
}

// SetReadDeadline sets t, or the limit where that is earlier.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.limit.IsZero() && (t.IsZero() || t.After(c.limit)) {
		t = c.limit
	}
	return c.Conn.SetReadDeadline(t)
}

// until lets the client be read no longer than until t; zero = for ever.
func (c *conn) until(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.limit = t
		_ = c.Conn.SetReadDeadline(t)
	}
}

// end reads no more than what is here by t. The library then says goodbye by itself.
func (c *conn) end(t time.Time) {
	c.until(t)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
}

// source is where the client is.
func (c *conn) source() netip.Addr {
	if tcp, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
