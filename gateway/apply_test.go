package gateway_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/snapshot"
)

func TestRequestsFinishOnTheSnapshotTheyBeganOn(t *testing.T) {
	// a calendar server behind HTTP: the end of its connections shows when the old parts are closed
	entered, leave := make(chan struct{}), make(chan struct{})
	goOn := sync.OnceFunc(func() { close(leave) })
	var open atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/old" && req.Method == http.MethodPost {
			entered <- struct{}{}
			<-leave
		}
		answer := ischedule.Response{Results: []ischedule.RecipientResult{{Recipient: "mailto:anna@local.example", Status: ischedule.StatusDelivered}}}
		w.Header().Set("Content-Type", "application/xml; charset=utf-8")
		_, _ = w.Write(answer.Marshal())
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		}
	}
	server.Start()
	defer server.Close()
	defer goOn()

	s := serve(t, func(_ *gateway.Options, n *snapshot.Snapshot) { n.Domains[0].Backend = iscBackend(server.URL + "/old") })
	first := make(chan answer, 1)
	go func() { first <- do(s.client("h1"), s.invitation()) }()
	<-entered

	next := *s.snap
	next.Gateway.TLS = s.certificate()
	next.Gateway.Capabilities.Serial = 8
	next.Domains = []snapshot.Domain{s.snap.Domains[0]}
	next.Domains[0].Backend = iscBackend(server.URL + "/new")
	check(t, s.Apply(&next))

	// new connections get the new certificate, new requests the new back end, while the first is still under way
	a := do(s.client("h1"), s.invitation())
	if a.status != http.StatusOK || a.header.Get(ischedule.HeaderCapabilities) != "8" {
		t.Errorf("after the change: %+v", a)
	}
	conn, err := tls.Dial("tcp", s.Addrs().Public.String(), &tls.Config{RootCAs: s.ca.Pool()})
	check(t, err)
	if !conn.ConnectionState().PeerCertificates[0].Equal(parse(t, next.Gateway.TLS.Certificate)) {
		t.Error("the old certificate is still served")
	}
	check(t, conn.Close())

	goOn()
	if a := <-first; a.status != http.StatusOK || a.header.Get(ischedule.HeaderCapabilities) != "7" {
		t.Errorf("the request that began before: %+v", a)
	}
	eventually(t, "the old back end's connection is closed when its last request has ended", func() bool { return open.Load() == 1 })
}

func parse(t *testing.T, chain []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(chain)
	cert, err := x509.ParseCertificate(block.Bytes)
	check(t, err)
	return cert
}

func TestReplayMemoryOutlivesTheSnapshot(t *testing.T) {
	s := serve(t, nil)
	client := s.client("h1")
	req := s.invitation()
	again := req.Clone(t.Context())
	again.Body, _ = req.GetBody()
	if a := do(client, req); a.status != http.StatusOK {
		t.Fatalf("first: %+v", a)
	}
	next := *s.snap
	next.Gateway.Capabilities.Serial++
	check(t, s.Apply(&next))
	if a := do(client, again); a.status != http.StatusOK || s.backend.count.Load() != 1 {
		t.Errorf("the same message after a change of configuration: %+v, delivered %d times", a, s.backend.count.Load())
	}
}

func TestSessionTicketsFollowTheSnapshot(t *testing.T) {
	for name, off := range map[string]bool{"tickets": false, "no tickets": true} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(_ *gateway.Options, n *snapshot.Snapshot) { n.Gateway.NoTickets = off })
			cfg := &tls.Config{RootCAs: s.ca.Pool(), ServerName: "localhost", ClientSessionCache: tls.NewLRUClientSessionCache(1)}
			resumed := false
			for range 2 {
				tr := &http.Transport{TLSClientConfig: cfg}
				resp, err := (&http.Client{Transport: tr}).Get(s.publicURL("/"))
				check(t, err)
				resumed = resp.TLS.DidResume
				_ = resp.Body.Close()
				tr.CloseIdleConnections()
			}
			if resumed == off {
				t.Errorf("second connection resumed: %v", resumed)
			}
		})
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	s := serve(t, nil)
	for _, addr := range []net.Addr{s.Addrs().Public, s.Addrs().Submit} {
		conn, err := tls.Dial("tcp", addr.String(), &tls.Config{RootCAs: s.ca.Pool(), MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
		if err == nil {
			_ = conn.Close()
			t.Errorf("%s took TLS 1.1", addr)
		}
	}
}

func TestChangedBoundsTakeEffectWithoutLosingRequests(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s := serve(t, nil)
	s.backend.deliver = blockOn(entered, leave)
	first := make(chan answer, 1)
	go func() { first <- do(s.client("h1"), s.invitation()) }()
	<-entered

	next := *s.snap
	next.Gateway.Limits.HeaderTimeout = 50 * time.Millisecond
	next.Gateway.Limits.MaxConnections = 2 // the one under way, and one more
	check(t, s.Apply(&next))

	slow, err := net.Dial("tcp", s.Addrs().Public.String())
	check(t, err)
	check(t, slow.SetReadDeadline(time.Now().Add(10*time.Second)))
	if _, err := slow.Read(make([]byte, 1)); !refusedOrClosed(err) || isTimeout(err) {
		t.Errorf("a silent connection under the new bound: %v", err)
	}
	check(t, slow.Close())
	close(leave)
	if a := <-first; a.status != http.StatusOK {
		t.Errorf("the request under way: %+v", a)
	}
}

// Proves: IS-DISC-10
func TestNothingIsSentToAddressesThatAreNeverToBeUsed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was connected to") }))
	defer server.Close()
	s := serve(t, func(o *gateway.Options, n *snapshot.Snapshot) {
		o.NeverAddrs = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
		n.Domains[0].Backend = iscBackend(server.URL + "/ischedule")
	})
	if a := do(s.client("h1"), s.invitation()); a.status == http.StatusOK && strings.Contains(a.body, "2.0") {
		t.Errorf("%+v", a)
	}
}

// Failed authentications are counted over every change of configuration: they come faster than a token is guessed.
//
// Proves: IS-SUB-1
func TestGuessesAreCountedOverChanges(t *testing.T) {
	s := serve(t, nil)
	submit := func(token string) int {
		req, err := http.NewRequest(http.MethodPost, s.submitURL("http"), strings.NewReader(""))
		check(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		a := do(s.client("h1"), req)
		check(t, a.err)
		return a.status
	}
	for i := range 10 {
		if status := submit("guess-" + strings.Repeat("x", i)); status != http.StatusUnauthorized {
			t.Fatalf("guess %d: %d", i, status)
		}
	}
	next := *s.snap
	next.Gateway.Capabilities.Serial = 8
	check(t, s.Apply(&next))
	if status := submit(submitToken); status != http.StatusTooManyRequests {
		t.Errorf("%d after the change", status)
	}
}
