package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway"
	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/snapshot"
)

// baseline measures what a test may not leave behind.
type baseline struct {
	heap       uint64
	goroutines int
}

func measure() baseline {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return baseline{heap: m.HeapInuse, goroutines: runtime.NumGoroutine()}
}

// grew says by how many bytes the heap has grown.
func (b baseline) grew() int64 { return int64(measure().heap) - int64(b.heap) }

// settled waits until goroutines and heap are back.
func (b baseline) settled(t *testing.T, s *site) {
	t.Helper()
	s.hangUp()
	eventually(t, "all connections are closed", func() bool {
		return s.metric(`calfed_http_connections{listener="public"}`) == "0" && s.metric(`calfed_http_connections{listener="submit"}`) == "0"
	})
	http.DefaultClient.CloseIdleConnections()
	eventually(t, "goroutines are back", func() bool { return runtime.NumGoroutine() <= b.goroutines+4 })
	const slack = 8 << 20
	if grew := b.grew(); grew > slack {
		t.Errorf("the heap has grown by %d KiB for good", grew>>10)
	}
}

// hurried is a site with short deadlines.
func hurried(t *testing.T, edit func(*snapshot.Limits)) *site {
	return serve(t, func(_ *gateway.Options, n *snapshot.Snapshot) {
		n.Gateway.Limits.HeaderTimeout = time.Second
		n.Gateway.Limits.BodyTimeout = 300 * time.Millisecond
		if edit != nil {
			edit(&n.Gateway.Limits)
		}
	})
}

// tlsConn opens a connection to the public listener.
func (s *site) tlsConn(protocol string) (*tls.Conn, error) {
	conn, err := tls.Dial("tcp", s.Addrs().Public.String(), &tls.Config{RootCAs: s.ca.Pool(), NextProtos: []string{protocol}})
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Now().Add(20 * time.Second))
}

// untilClosed reads conn until the server ends it, and returns what it said.
func untilClosed(conn net.Conn) ([]byte, error) {
	defer func() { _ = conn.Close() }()
	said, err := io.ReadAll(conn)
	if isTimeout(err) {
		return said, err
	}
	return said, nil // however it ended
}

// crowd runs n clients at once and returns their errors.
func crowd(n int, client func(i int) error) error {
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { errs[i] = client(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func TestSlowHeadersAreCutOff(t *testing.T) {
	s := hurried(t, nil)
	before := measure()
	for name, client := range map[string]func() error{
		"no byte at all": func() error {
			conn, err := net.Dial("tcp", s.Addrs().Public.String())
			if err != nil {
				return err
			}
			check(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
			_, err = untilClosed(conn)
			return err
		},
		"half a TLS record": func() error {
			conn, err := net.Dial("tcp", s.Addrs().Public.String())
			if err != nil {
				return err
			}
			check(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
			_, _ = conn.Write([]byte{22, 3, 1, 2})
			_, err = untilClosed(conn)
			return err
		},
		"half a header": func() error {
			conn, err := s.tlsConn("http/1.1")
			if refusedOrClosed(err) {
				return nil // a handshake this slow is cut off as well
			}
			if err != nil {
				return err
			}
			_, _ = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nOriginator: mail", ischedule.WellKnownPath)
			_, err = untilClosed(conn)
			return err
		},
		"no byte to the submit port": func() error {
			conn, err := net.Dial("tcp", s.Addrs().Submit.String())
			if err != nil {
				return err
			}
			check(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
			_, err = untilClosed(conn)
			return err
		},
	} {
		if err := crowd(40, func(int) error { return client() }); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	before.settled(t, s)
}

func TestSilentClientKeepsNobodyFromTheSubmitPort(t *testing.T) {
	s := serve(t, nil)
	for range 20 {
		conn, err := net.Dial("tcp", s.Addrs().Submit.String())
		check(t, err)
		defer func() { _ = conn.Close() }()
	}
	for _, scheme := range []string{"http", "https"} {
		if a := get(t, s.client("h1"), s.submitURL(scheme)); a.status != http.StatusOK {
			t.Errorf("%s: %+v", scheme, a)
		}
	}
}

func TestSlowBodiesAreCutOff(t *testing.T) {
	s := hurried(t, nil)
	before := measure()
	req := s.invitation()
	err := crowd(40, func(i int) error {
		protocol := []string{"h1", "h2"}[i%2]
		slow, w := io.Pipe()
		defer func() { _ = w.Close() }()
		r := req.Clone(t.Context())
		r.Body, r.GetBody, r.ContentLength = slow, nil, 1000
		go func() { _, _ = w.Write([]byte("BEGIN:VCALENDAR\r\n")) }() // and no more
		a := do(s.client(protocol), r)
		if a.err == nil && a.status < 400 {
			return fmt.Errorf("%s: %+v", protocol, a)
		}
		return nil
	})
	check(t, err)
	before.settled(t, s)
	if s.backend.count.Load() != 0 {
		t.Error("half a message was delivered")
	}
}

// A client that waits for "100 Continue", as Cyrus does, is not kept waiting for a refusal.
//
// Proves: IS-RECV-1
func TestRefusalDoesNotWaitForABodyNobodyAskedFor(t *testing.T) {
	s := serve(t, func(_ *gateway.Options, n *snapshot.Snapshot) {
		n.Gateway.Limits.BodyTimeout = time.Minute // beyond the client's patience
	})
	for name, at := range map[string]struct{ addr, header string }{
		"public": {s.Addrs().Public.String(), "Originator: mailto:eve@unknown.example\r\n"},
		"submit": {s.Addrs().Submit.String(), ""},
	} {
		conn, err := tls.Dial("tcp", at.addr, &tls.Config{RootCAs: s.ca.Pool(), NextProtos: []string{"http/1.1"}})
		check(t, err)
		check(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
		_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n", ischedule.WellKnownPath, at.header)
		check(t, err)
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, "HTTP/1.1 4") {
			t.Errorf("%s: %q, %v; want a refusal at once", name, line, err)
		}
		_ = conn.Close()
	}
}

// The time of a body is given once: a handler that gave up on one does not make net/http wait as long again.
func TestCutOffBodyIsAnsweredAtOnce(t *testing.T) {
	const patience = 3 * time.Second
	s := hurried(t, func(l *snapshot.Limits) { l.BodyTimeout = patience })
	conn, err := s.tlsConn("http/1.1")
	check(t, err)
	req := s.invitation()
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n", ischedule.WellKnownPath)
	check(t, err)
	check(t, req.Header.Write(conn))
	_, err = io.WriteString(conn, "\r\nBEGIN:VCALENDAR\r\n") // and no more
	check(t, err)
	sent := time.Now()
	said, err := untilClosed(conn)
	if took := time.Since(sent); err != nil || !bytes.HasPrefix(said, []byte("HTTP/1.1 408")) || took > patience*7/4 {
		t.Errorf("%q, %v after %v; want 408 after %v", said, err, took, patience)
	}
}

func TestHeaderFloodIsCutOff(t *testing.T) {
	s := hurried(t, nil)
	before := measure()
	check(t, crowd(20, func(int) error {
		conn, err := s.tlsConn("http/1.1")
		if refusedOrClosed(err) {
			return nil // a handshake this slow is cut off as well
		}
		if err != nil {
			return err
		}
		out := bufio.NewWriter(conn)
		_, _ = fmt.Fprintf(out, "POST %s HTTP/1.1\r\nHost: localhost\r\n", ischedule.WellKnownPath)
		for i := 0; i < 100_000; i++ {
			if _, err := fmt.Fprintf(out, "Recipient: mailto:user-%d@local.example\r\n", i); err != nil {
				break
			}
		}
		said, err := untilClosed(conn)
		if err == nil && len(said) > 0 && !bytes.Contains(said, []byte("431")) {
			return fmt.Errorf("answered %q", said)
		}
		return err
	}))
	// HTTP/2: one header list that is too long
	req := s.invitation()
	req.Header.Set("X-Padding", strings.Repeat("x", 64<<10))
	if a := do(s.client("h2"), req); a.err == nil && a.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("h2: %+v", a)
	}
	before.settled(t, s)
}

func TestLargeBodiesAreRefusedInBoundedMemory(t *testing.T) {
	s := hurried(t, func(l *snapshot.Limits) { l.BodyTimeout = 10 * time.Second })
	before := measure()
	req := s.invitation()
	var peak int64
	check(t, crowd(24, func(i int) error {
		protocol := []string{"h1", "h2"}[i%2]
		r := req.Clone(t.Context())
		r.Body, r.GetBody = io.NopCloser(io.LimitReader(endless{}, 64<<20)), nil
		r.ContentLength = []int64{64 << 20, -1}[i/2%2] // said, or found out
		a := do(s.client(protocol), r)
		if a.err == nil && a.status != http.StatusRequestEntityTooLarge && a.status != http.StatusServiceUnavailable {
			return fmt.Errorf("%s: %+v", protocol, a)
		}
		if i == 0 {
			peak = before.grew()
		}
		return nil
	}))
	t.Logf("24 bodies of 64 MiB under way: the heap grew by %d KiB", peak>>10)
	// bodies may hold MaxInFlightBytes; the rest is connections, ours and theirs
	if limit := s.snap.Gateway.Limits.MaxInFlightBytes + 32<<20; peak > limit {
		t.Errorf("the heap grew by %d KiB, at most %d were expected", peak>>10, limit>>10)
	}
	before.settled(t, s)
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestThousandsOfConnectionsAreBounded(t *testing.T) {
	const most, tried = 100, 3000
	s := hurried(t, func(l *snapshot.Limits) {
		l.MaxConnections, l.MaxConnsPerSource = most, most
	})
	before := measure()
	held := make(chan net.Conn, tried)
	check(t, crowd(8, func(int) error {
		for range tried / 8 {
			conn, err := net.Dial("tcp", s.Addrs().Public.String())
			if err != nil {
				if errors.Is(err, os.ErrDeadlineExceeded) {
					return err
				}
				continue // reset already
			}
			held <- conn
		}
		return nil
	}))
	grew := before.grew()
	t.Logf("%d connections tried, %d held: the heap grew by %d KiB", tried, most, grew>>10)
	if grew > 32<<20 {
		t.Errorf("the heap grew by %d KiB", grew>>10)
	}
	close(held)
	for conn := range held {
		check(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
		_, err := untilClosed(conn)
		check(t, err)
	}
	if s.metric(`calfed_http_connections_refused_total{bound="total",listener="public"}`) == "0" {
		t.Error("no connection was counted as refused")
	}
	before.settled(t, s)
	if a := do(s.client("h1"), s.invitation()); a.status != http.StatusOK {
		t.Errorf("afterwards: %+v", a)
	}
}

func TestConnectionsPerSourceAreBounded(t *testing.T) {
	s := serve(t, func(_ *gateway.Options, n *snapshot.Snapshot) { n.Gateway.Limits.MaxConnsPerSource = 2 })
	for range 2 {
		conn, err := s.tlsConn("http/1.1")
		check(t, err)
		defer func() { _ = conn.Close() }()
	}
	if conn, err := s.tlsConn("http/1.1"); err == nil {
		_ = conn.Close()
		t.Error("a third connection from one address")
	}
	// another source has its own share
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
	conn, err := tls.DialWithDialer(&dialer, "tcp", s.Addrs().Public.String(), &tls.Config{RootCAs: s.ca.Pool()})
	if err != nil {
		t.Fatalf("another source: %v", err)
	}
	_ = conn.Close()
	if got := s.metric(`calfed_http_connections_refused_total{bound="source",listener="public"}`); got != "1" {
		t.Errorf("refused: %q", got)
	}
}

func TestPanickingBackEndCostsOneAnswer(t *testing.T) {
	s := serve(t, nil)
	s.backend.deliver = func(context.Context, *backend.Delivery) error { panic("a bug") }
	if a := do(s.client("h1"), s.invitation()); a.status < 500 {
		t.Errorf("%+v", a)
	}
	s.backend.deliver = nil
	if a := do(s.client("h1"), s.invitation()); a.status != http.StatusOK {
		t.Errorf("afterwards: %+v", a)
	}
}
