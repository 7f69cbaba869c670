package gateway_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway"
	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/gateway/snapshot"
)

const submitToken = "let-me-in"

// site is a gateway for local.example whose peer, peer.example, is this test.
type site struct {
	*gateway.Gateway
	t       testing.TB
	ca      *catest.CA
	backend *calendar
	snap    *snapshot.Snapshot
	peerKey ed25519.PrivateKey
	stop    context.CancelFunc
	ended   chan error // the result of Run

	messages atomic.Int64

	mu         sync.Mutex
	transports []*http.Transport
}

// calendar is a back end that does what the test says.
type calendar struct {
	deliver func(ctx context.Context, d *backend.Delivery) error // nil = at once
	count   atomic.Int64
}

func (c *calendar) Deliver(ctx context.Context, d *backend.Delivery) ([]backend.Result, error) {
	c.count.Add(1)
	if c.deliver != nil {
		if err := c.deliver(ctx, d); err != nil {
			return nil, err
		}
	}
	var out []backend.Result
	for _, r := range d.Recipients {
		out = append(out, backend.Result{Recipient: r, Status: ischedule.StatusDelivered})
	}
	return out, nil
}

func (c *calendar) Close() { panic("a back end of Options.Memory is the caller's") }

// newSite makes a gateway that is not running; edit may change its options and its snapshot.
func newSite(t testing.TB, edit func(*gateway.Options, *snapshot.Snapshot)) *site {
	t.Helper()
	ca, err := catest.New()
	check(t, err)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	check(t, err)
	record, err := dkim.FormatRecord(public, false)
	check(t, err)
	s := &site{t: t, ca: ca, backend: &calendar{}, peerKey: private, ended: make(chan error, 1)}
	own, err := dkim.GenerateKey("ed25519")
	check(t, err)
	ownPEM, err := dkim.MarshalPrivateKey(own)
	check(t, err)
	ownRecord, err := dkim.FormatRecord(own.Public(), false)
	check(t, err)
	token := sha256.Sum256([]byte(submitToken))
	s.snap = &snapshot.Snapshot{
		Format: snapshot.FormatVersion,
		Gateway: snapshot.Gateway{
			Name: "default/edge", Host: "localhost", TLS: s.certificate(), DefaultAction: snapshot.Deny,
			Capabilities: ischedule.Capabilities{
				Serial: 7, Versions: []string{ischedule.Version}, MaxContentLength: 1 << 20, MaxInstances: 1000, MaxRecipients: 100,
				Messages: []ischedule.Component{
					{Name: "VEVENT", Methods: []string{"REQUEST", "ADD", "REPLY", "CANCEL", "REFRESH", "COUNTER", "DECLINECOUNTER"}},
					{Name: "VFREEBUSY", Methods: []string{"REQUEST"}},
				},
				DataTypes:     []ischedule.DataType{{ContentType: "text/calendar", Version: "2.0"}},
				Attachments:   ischedule.Attachments{External: true},
				MinDateTime:   time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC),
				MaxDateTime:   time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
				Administrator: "mailto:postmaster@local.example",
			},
			Egress: snapshot.Egress{PeerCIDRs: loopback, BackendCIDRs: loopback, CABundle: ca.PEM()},
			Limits: snapshot.Limits{
				MaxConnections: 200, MaxConnsPerSource: 200, RequestsPerSource: 10000, KeyLookupsPerSource: 10, KeyLookupsPerDomain: 10,
				KeyLookups: 100, MaxHeaderBytes: 32 << 10, MaxInFlightBytes: 8 << 20,
				HeaderTimeout: 10 * time.Second, BodyTimeout: 10 * time.Second, DeliveryTimeout: 10 * time.Second,
			},
		},
		Domains: []snapshot.Domain{{
			Name: "local.example", Source: "default/local",
			Signing:    snapshot.Signing{Keys: []snapshot.Key{{Source: "default/key", Domain: "local.example", Selector: "cal", Private: ownPEM, Record: ownRecord}}},
			Backend:    snapshot.Backend{Type: snapshot.BackendMemory},
			Submitters: []snapshot.Submitter{{Name: "calendar", TokenSHA256: token[:]}},
			Policies:   []string{"default/peer"},
		}},
		Policies: []snapshot.Policy{{
			ID: "default/peer", Peers: []string{"peer.example"}, Action: snapshot.Allow,
			Inbound: snapshot.Inbound{PinnedKeys: []snapshot.PinnedKey{{Domain: "peer.example", Selector: "sel", Record: record}}},
		}},
	}
	opt := gateway.Options{
		PublicAddr: "127.0.0.1:0", SubmitAddr: "127.0.0.1:0", SMTPAddr: "127.0.0.1:0", AdminAddr: "127.0.0.1:0",
		Memory:       map[string]backend.Backend{"local.example": s.backend},
		DrainTimeout: 10 * time.Second, Version: "test",
	}
	if edit != nil {
		edit(&opt, s.snap)
	}
	s.Gateway = gateway.New(opt)
	return s
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// certificate is a new one for localhost.
func (s *site) certificate() snapshot.KeyPair {
	s.t.Helper()
	leaf, err := s.ca.Issue(catest.Leaf{DNS: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	check(s.t, err)
	cert, key, err := catest.EncodePEM(leaf)
	check(s.t, err)
	return snapshot.KeyPair{Certificate: cert, Key: key}
}

// run starts the gateway; the end of the test stops it.
func (s *site) run() *site {
	s.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() { s.ended <- s.Run(ctx) }()
	select {
	case <-s.Started():
	case err := <-s.ended:
		s.t.Fatalf("Run: %v", err)
	}
	s.t.Cleanup(func() {
		stop()
		err := <-s.ended
		s.ended <- err // for another look
		if err != nil && !s.t.Failed() {
			s.t.Errorf("Run: %v", err)
		}
	})
	return s
}

// serve is newSite, Apply and run.
func serve(t *testing.T, edit func(*gateway.Options, *snapshot.Snapshot)) *site {
	t.Helper()
	s := newSite(t, edit)
	check(t, s.Apply(s.snap))
	return s.run()
}

// hangUp closes the idle connections of all clients.
func (s *site) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, tr := range s.transports {
		tr.CloseIdleConnections()
	}
}

func (s *site) publicURL(path string) string { return "https://" + s.Addrs().Public.String() + path }
func (s *site) submitURL(scheme string) string {
	return scheme + "://" + s.Addrs().Submit.String() + "/"
}

// client trusts the test's CA; protocol is "h1", "h2".
func (s *site) client(protocol string) *http.Client {
	p := new(http.Protocols)
	p.SetHTTP1(protocol == "h1")
	p.SetHTTP2(protocol == "h2")
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.ca.Pool()}, Protocols: p}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.transports = append(s.transports, tr); len(s.transports) == 1 {
		s.t.Cleanup(s.hangUp)
	}
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// invitation is a message from peer.example to anna@local.example, signed.
func (s *site) invitation() *http.Request {
	s.t.Helper()
	n := s.messages.Add(1)
	body := fmt.Appendf(nil, invitation, "mailto:boss@peer.example", n)
	req, err := http.NewRequest(http.MethodPost, s.publicURL(ischedule.WellKnownPath), bytes.NewReader(body))
	check(s.t, err)
	req.Header = http.Header{
		ischedule.HeaderVersion:    {ischedule.Version},
		ischedule.HeaderMessageID:  {fmt.Sprintf("message-%d", n)},
		ischedule.HeaderOriginator: {"mailto:boss@peer.example"},
		ischedule.HeaderRecipient:  {"mailto:anna@local.example"},
		"Content-Type":             {"text/calendar; charset=utf-8; component=VEVENT; method=REQUEST"},
	}
	signer := dkim.Signer{Domain: "peer.example", Selector: "sel", Key: s.peerKey}
	signature, err := signer.Sign(req.Header, body, time.Now())
	check(s.t, err)
	req.Header.Set(ischedule.HeaderDKIMSignature, signature)
	return req
}

const invitation = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\n" +
	"ORGANIZER:%[1]s\r\nUID:meeting-%[2]d@example\r\nDTSTAMP:20261122T120000Z\r\nDTSTART:20261201T100000Z\r\nDTEND:20261201T110000Z\r\n" +
	"SUMMARY:Meeting\r\nSEQUENCE:0\r\nATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:anna@local.example\r\n" +
	"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:bert@local.example\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

func do(client *http.Client, req *http.Request) answer {
	resp, err := client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return answer{status: resp.StatusCode, header: resp.Header, body: string(body), err: err}
}

func get(t testing.TB, client *http.Client, url string) answer {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	check(t, err)
	a := do(client, req)
	check(t, a.err)
	return a
}

// ready asks /readyz.
func (s *site) ready() (status int, body map[string]any) {
	s.t.Helper()
	a := get(s.t, http.DefaultClient, "http://"+s.Addrs().Admin.String()+"/readyz")
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		s.t.Fatalf("/readyz says %q: %v", a.body, err)
	}
	return a.status, body
}

// metric reads one sample of /metrics; name as it stands there, labels included.
func (s *site) metric(name string) string {
	s.t.Helper()
	a := get(s.t, http.DefaultClient, "http://"+s.Addrs().Admin.String()+"/metrics")
	for line := range strings.Lines(a.body) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// eventually waits for cond, at most ten seconds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); !cond(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refusedOrClosed says whether err is that of a connection nobody served.
func refusedOrClosed(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
