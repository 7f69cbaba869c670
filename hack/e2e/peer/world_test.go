package main

import (
	"context"
	"crypto/sha256"
	"io"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway"
	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/gateway/snapshot"
	"github.com/calfed/calfed/hack/e2e/peer/tally"
)

const submitToken = "let-me-in"

// world is an organisation, example.org, whose calendar server counts.
type world struct {
	t        testing.TB
	dir      string // files for the peer
	ca       *catest.CA
	calendar string // URL
	tally    tally.Tally
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	var err error
	w.ca, err = catest.New()
	check(t, err)
	w.file("ca.pem", w.ca.PEM())
	server := httptest.NewServer(&w.tally)
	t.Cleanup(server.Close)
	w.calendar = server.URL
	return w
}

// file writes a file and returns its path.
func (w *world) file(name string, data []byte) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	check(w.t, os.WriteFile(path, data, 0o600))
	return path
}

// key makes a key file, and the record of its public half.
func (w *world) key(algorithm string) (path, record string, private []byte) {
	w.t.Helper()
	key, err := dkim.GenerateKey(algorithm)
	check(w.t, err)
	private, err = dkim.MarshalPrivateKey(key)
	check(w.t, err)
	record, err = dkim.FormatRecord(key.Public(), false)
	check(w.t, err)
	return w.file("key.pem", private), record, private
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// snapshot is the configuration of a gateway for domain that takes messages of peer, signed with the key of record.
func (w *world) snapshot(domain, peer, record string) *snapshot.Snapshot {
	w.t.Helper()
	leaf, err := w.ca.Issue(catest.Leaf{DNS: []string{"gw.example.org"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	check(w.t, err)
	certificate, key, err := catest.EncodePEM(leaf)
	check(w.t, err)
	token := sha256.Sum256([]byte(submitToken))
	return &snapshot.Snapshot{
		Format: snapshot.FormatVersion,
		Gateway: snapshot.Gateway{
			Name: "default/gw", Host: "gw.example.org", TLS: snapshot.KeyPair{Certificate: certificate, Key: key}, DefaultAction: snapshot.Deny,
			Capabilities: ischedule.Capabilities{
				Serial: 1, Versions: []string{ischedule.Version}, MaxContentLength: 1 << 20, MaxInstances: 1000, MaxRecipients: 100,
				Messages:    []ischedule.Component{{Name: "VEVENT", Methods: []string{"REQUEST"}}},
				DataTypes:   []ischedule.DataType{{ContentType: "text/calendar", Version: "2.0"}},
				MinDateTime: time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), MaxDateTime: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
				Administrator: "mailto:postmaster@example.org",
			},
			Egress: snapshot.Egress{PeerCIDRs: loopback, BackendCIDRs: loopback, CABundle: w.ca.PEM()},
			Limits: snapshot.Limits{
				MaxConnections: 1000, MaxConnsPerSource: 1000, RequestsPerSource: 1e6,
				KeyLookupsPerSource: 1e6, KeyLookupsPerDomain: 1e6, KeyLookups: 1e6,
				MaxHeaderBytes: 64 << 10, MaxInFlightBytes: 64 << 20,
				HeaderTimeout: 10 * time.Second, BodyTimeout: 10 * time.Second, DeliveryTimeout: 10 * time.Second,
			},
		},
		Domains: []snapshot.Domain{{
			Name: domain, Source: "default/domain", Policies: []string{"default/peer"},
			Backend:    snapshot.Backend{Type: snapshot.BackendISchedule, ISchedule: &snapshot.ISchedule{URL: w.calendar}},
			Submitters: []snapshot.Submitter{{Name: "calendar", TokenSHA256: token[:]}},
		}},
		Policies: []snapshot.Policy{{
			ID: "default/peer", Peers: []string{peer}, Action: snapshot.Allow,
			Inbound: snapshot.Inbound{PinnedKeys: []snapshot.PinnedKey{{Selector: "load", Record: record}}},
		}},
	}
}

// run starts a gateway; stop drains it.
func (w *world) run(s *snapshot.Snapshot) (addrs gateway.Addrs, stop func()) {
	w.t.Helper()
	g := gateway.New(gateway.Options{
		PublicAddr: "127.0.0.1:0", SubmitAddr: "127.0.0.1:0", DrainDelay: 500 * time.Millisecond, DrainTimeout: 10 * time.Second,
	})
	check(w.t, g.Apply(s))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	select {
	case <-g.Started():
	case err := <-ended:
		w.t.Fatalf("Run: %v", err)
	}
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	})
	w.t.Cleanup(stop)
	return g.Addrs(), stop
}

// send starts a peer that signs with the key and posts to address.
func (w *world) send(address net.Addr, key string, args ...string) *process {
	w.t.Helper()
	return start(w.t, append([]string{
		"send", "--url", "https://gw.example.org" + ischedule.WellKnownPath, "--address", address.String(), "--ca", w.dir + "/ca.pem",
		"--key", key, "--selector", "load", "--domain", "sender.example",
		"--originator", "mailto:carol@sender.example", "--recipient", "mailto:alice@example.org",
	}, args...)...)
}

// service is an address behind which there is one gateway or another, as behind a Service.
type service struct {
	net.Listener
	mu       sync.Mutex
	endpoint string // "" = connections are reset
	open     map[net.Conn]bool
	accepted int
	running  sync.WaitGroup
}

func (w *world) service(endpoint net.Addr) *service {
	w.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(w.t, err)
	s := &service{Listener: listener, endpoint: endpoint.String(), open: map[net.Conn]bool{}}
	s.running.Go(s.accept)
	w.t.Cleanup(func() {
		_ = listener.Close()
		s.cut()
		s.running.Wait()
	})
	return s
}

func (s *service) accept() {
	for {
		conn, err := s.Accept()
		if err != nil {
			return
		}
		s.running.Go(func() { s.join(conn) })
	}
}

// join carries what is said on a connection to the endpoint of the moment.
func (s *service) join(conn net.Conn) {
	defer conn.Close()
	s.mu.Lock()
	endpoint := s.endpoint
	s.open[conn] = true
	s.accepted++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.open, conn)
		s.mu.Unlock()
	}()
	if endpoint == "" {
		reset(conn)
		return
	}
	there, err := net.Dial("tcp", endpoint)
	if err != nil {
		reset(conn)
		return
	}
	defer there.Close()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(conn, there)
		_ = conn.Close()
	})
	_, _ = io.Copy(there, conn)
	_ = there.Close()
	back.Wait()
}

// route leads new connections elsewhere.
func (s *service) route(endpoint net.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endpoint = endpoint.String()
}

// cut resets all connections, and those that come: the machine behind is gone.
func (s *service) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endpoint = ""
	for conn := range s.open {
		reset(conn)
	}
}

func reset(conn net.Conn) {
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}
