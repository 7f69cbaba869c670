package mail

import (
	"io"
	"net"
	"sync"
)

// phase is a connection in clear, or secured by STARTTLS, as the SMTP library sees it, and the net.Listener that gives the
// library just this one. It stands between the two for what the library does not let one choose:
//
//   - CHUNKING is always offered, but a chunk that the connection's end has cut short is taken for whole.
//   - After STARTTLS, TLS would begin below, where the first of these can no longer be kept back. So the phase ends, and
//     the next one begins with TLS, without a second greeting (RFC 3207 §4.2).
type phase struct {
	net.Conn
	secure    bool
	greeted   bool
	upgrading bool // STARTTLS was said and answered; used by the library's goroutine until it has ended

	accepted bool
	once     sync.Once
	closed   chan struct{}
}

// What the library writes, one line at a time.
const (
	lineChunking = "250-CHUNKING\r\n"
	lineReady    = "220 2.0.0 Ready to start TLS\r\n"
)

func newPhase(c net.Conn) *phase { return &phase{Conn: c, closed: make(chan struct{})} }

// Write passes on one line of the library, unless it is to be kept back.
func (p *phase) Write(line []byte) (int, error) {
	greeting := !p.greeted
	p.greeted = true
	if p.upgrading || greeting && p.secure || string(line) == lineChunking {
		return len(line), nil
	}
	n, err := p.Conn.Write(line)
	p.upgrading = string(line) == lineReady
	return n, err
}

// Read gives nothing more once STARTTLS was said.
func (p *phase) Read(b []byte) (int, error) {
	if p.upgrading {
		return 0, io.EOF
	}
	return p.Conn.Read(b)
}

// Close ends the phase, and the connection unless it goes on with TLS.
func (p *phase) Close() error {
	defer p.once.Do(func() { close(p.closed) })
	if p.upgrading {
		return nil
	}
	return p.Conn.Close()
}

// Accept gives the library this connection, and waits for its end after that.
func (p *phase) Accept() (net.Conn, error) {
	if !p.accepted {
		p.accepted = true
		return p, nil
	}
	<-p.closed
	return nil, net.ErrClosed
}

// Addr is that of the listener.
func (p *phase) Addr() net.Addr { return p.LocalAddr() }
