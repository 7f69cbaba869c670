package netguard_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/netguard/catest"
)

// pipes is a listener whose connections are made in memory, so that they can be on a clock of the test's own.
type pipes struct {
	conns chan net.Conn
	ended chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.ended:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.ended); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// powered is the client's end of a connection; without power nothing that is written arrives, and nothing comes.
type powered struct {
	net.Conn
	off    chan struct{}
	closed chan struct{}
	once   sync.Once
}

func (p *powered) Write(b []byte) (int, error) {
	select {
	case <-p.off:
		return len(b), nil
	default:
		return p.Conn.Write(b)
	}
}

func (p *powered) Close() error {
	p.once.Do(func() { close(p.closed) })
	return p.Conn.Close()
}

// onPipes runs a test with a transport of a guard whose connections lead to a server of HTTP/2, all on a clock of their own. dialed has
// each of the connections.
func onPipes(t *testing.T, test func(t *testing.T, tr *http.Transport, dialed chan *powered)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ca := newCA(t) // valid now, by the clock of the test
		cert := issue(t, ca, catest.Leaf{DNS: []string{"cal.test"}})
		ln := &pipes{conns: make(chan net.Conn), ended: make(chan struct{})}
		srv := &http.Server{
			Handler:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }),
			TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, SessionTicketsDisabled: true}, // nothing is buffered: both ends would write
		}
		var serving sync.WaitGroup
		serving.Go(func() { _ = srv.ServeTLS(ln, "", "") })
		g := netguard.New(netguard.Config{Roots: ca.Pool(), PeerCIDRs: loopback()})
		tr := g.Transport(netguard.Peer, netguard.TLS{})
		dialed := make(chan *powered, 10)
		tr.DialTLSContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			here, there := net.Pipe()
			p := &powered{Conn: here, off: make(chan struct{}), closed: make(chan struct{})}
			dialed <- p
			ln.conns <- there
			return g.Handshake(ctx, p, "cal.test", netguard.TLS{}, "h2", "http/1.1")
		}
		defer serving.Wait()
		defer srv.Close()
		defer tr.CloseIdleConnections()
		test(t, tr, dialed)
	})
}

func answered(t *testing.T, tr *http.Transport) {
	t.Helper()
	resp, err := get(t, tr, "https://cal.test/")
	if err != nil || resp.Proto != "HTTP/2.0" {
		t.Fatalf("%v %v", resp, err)
	}
}

// A server that lost its power says nothing of it. The message that waits for its answer is given up in time to be sent elsewhere, and the
// connection with it.
func TestAServerWithoutPowerIsNoticed(t *testing.T) {
	onPipes(t, func(t *testing.T, tr *http.Transport, dialed chan *powered) {
		answered(t, tr)
		close((<-dialed).off)
		begin := time.Now()
		if _, err := get(t, tr, "https://cal.test/"); err == nil {
			t.Fatal("answered without power")
		}
		if took := time.Since(begin); took > 15*time.Second {
			t.Errorf("noticed after %s", took)
		}
		answered(t, tr)
		if len(dialed) != 1 {
			t.Errorf("%d new connections, want one", len(dialed))
		}
	})
}

// A connection that nobody uses ends before servers end it, who may do that while a POST is on its way.
func TestIdleConnectionsEndBeforeServersEndThem(t *testing.T) {
	onPipes(t, func(t *testing.T, tr *http.Transport, dialed chan *powered) {
		answered(t, tr)
		begin, conn := time.Now(), <-dialed
		time.Sleep(29 * time.Second)
		answered(t, tr)
		<-conn.closed
		if kept := time.Since(begin); kept != 29*time.Second+30*time.Second || len(dialed) != 0 {
			t.Errorf("the connection was kept for %s, want 30s after the last answer; %d others", kept, len(dialed))
		}
	})
}
