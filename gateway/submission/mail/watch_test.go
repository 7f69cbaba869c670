package mail_test

import (
	"net"
	"time"
)

// watchedListener tells which read deadlines its connections get, and what they have read.
type watchedListener struct {
	net.Listener
	deadlines chan time.Time
	read      chan string
}

type watchedConn struct {
	net.Conn
	l *watchedListener
}

func (l *watchedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &watchedConn{c, l}, nil
}

func (c *watchedConn) SetReadDeadline(t time.Time) error {
	select {
	case c.l.deadlines <- t:
	default:
	}
	return c.Conn.SetReadDeadline(t)
}

func (c *watchedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	select {
	case c.l.read <- string(b[:n]):
	default:
	}
	return n, err
}
