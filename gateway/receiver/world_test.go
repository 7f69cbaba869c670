package receiver_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/backend/memory"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/keys"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/receiver"
	"github.com/calfed/calfed/gateway/resolver"
	"github.com/calfed/calfed/gateway/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is the time of every test that does not say otherwise.
var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// fakeDNS answers TXT from a map, one record a line, counts, and fails where told.
type fakeDNS struct {
	mu    sync.Mutex
	txt   map[string]string
	fail  error
	asked []string
	hold  chan struct{} // TXT answers come when it is closed; nil = at once
}

func (d *fakeDNS) LookupSRV(_ context.Context, name string) ([]resolver.SRV, resolver.Answer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, "SRV "+name)
	return nil, resolver.Answer{TTL: time.Hour}, d.fail
}

func (d *fakeDNS) LookupTXT(_ context.Context, name string) ([][]string, resolver.Answer, error) {
	if d.hold != nil {
		<-d.hold
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, "TXT "+name)
	if d.fail != nil {
		return nil, resolver.Answer{}, d.fail
	}
	if v, ok := d.txt[name]; ok {
		var rrs [][]string
		for rr := range strings.SplitSeq(v, "\n") {
			rrs = append(rrs, []string{rr})
		}
		return rrs, resolver.Answer{TTL: time.Hour}, nil
	}
	return nil, resolver.Answer{TTL: time.Minute}, nil
}

func (d *fakeDNS) queries() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.asked...)
}

// Forget implements keys.DNS: there is no cache here.
func (d *fakeDNS) Forget(string) {}

// spy is a back end that notes what it gets, and answers or fails as told. By default it hands on to a store.
type spy struct {
	store *memory.Store

	mu     sync.Mutex
	got    []*backend.Delivery
	answer func(context.Context, *backend.Delivery) ([]backend.Result, error)
}

func (s *spy) Deliver(ctx context.Context, d *backend.Delivery) ([]backend.Result, error) {
	s.mu.Lock()
	s.got = append(s.got, d)
	answer := s.answer
	s.mu.Unlock()
	if answer != nil {
		return answer(ctx, d)
	}
	return s.store.Deliver(ctx, d)
}

func (s *spy) Close() {}

func (s *spy) deliveries() []*backend.Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*backend.Delivery(nil), s.got...)
}

// always answers every recipient with one status.
func always(status ischedule.RequestStatus) func(context.Context, *backend.Delivery) ([]backend.Result, error) {
	return func(_ context.Context, d *backend.Delivery) ([]backend.Result, error) {
		var out []backend.Result
		for _, a := range d.Recipients {
			out = append(out, backend.Result{Recipient: a, Status: status})
		}
		return out, nil
	}
}

// world is a gateway for gw.example (guest, guest2) and two.example (amy), and the peers sender.example (allowed everywhere),
// example.org (pinned: Cyrus's key) and denied.example.
type world struct {
	t        testing.TB
	snap     *snapshot.Snapshot
	active   *snapshot.Active
	now      time.Time
	dns      *fakeDNS
	gw, two  *spy
	shared   *receiver.Shared
	registry *prometheus.Registry
	log      *bytes.Buffer
	keys     *keys.Lookup
	respond  receiver.Respond
	receiver *receiver.Receiver
}

// newWorld makes a world, changed by edit before it is compiled.
func newWorld(t testing.TB, edit ...func(*world)) *world {
	t.Helper()
	w := &world{t: t, now: start, snap: testSnapshot(t), registry: prometheus.NewRegistry(), log: &bytes.Buffer{}}
	clock := w.clock
	w.dns = &fakeDNS{txt: map[string]string{
		"rsa._domainkey.sender.example":     record(t, "sender.rsa.pem"),
		"rsa1024._domainkey.sender.example": record(t, "sender.rsa1024.pem"),
		"ed._domainkey.sender.example":      record(t, "sender.ed25519.pem"),
		"ed._domainkey.denied.example":      record(t, "other.ed25519.pem"),
		"ed._domainkey.stranger.example":    record(t, "other.ed25519.pem"),
		"ed._domainkey.hosting.example":     record(t, "other.ed25519.pem"),
		"revoked._domainkey.sender.example": "v=DKIM1; p=",
	}}
	w.gw = &spy{store: memory.New(clock, cua.MustParse("mailto:guest@gw.example"), cua.MustParse("mailto:guest2@gw.example"))}
	w.two = &spy{store: memory.New(clock, cua.MustParse("mailto:amy@two.example"))}
	w.shared = &receiver.Shared{Metrics: receiver.NewMetrics(w.registry)}
	for _, e := range edit {
		e(w)
	}
	w.keys = keys.New(keys.Config{DNS: w.dns, Guard: netguard.New(netguard.Config{}), Now: clock})
	t.Cleanup(w.keys.Close)
	w.compile()
	return w
}

func (w *world) clock() time.Time { return w.now }

// compile makes the receiver for the snapshot as it is now.
func (w *world) compile() {
	w.t.Helper()
	var err error
	if w.active, err = snapshot.Activate(w.snap); err != nil {
		w.t.Fatal(err)
	}
	w.renew()
}

// renew makes another receiver for the same snapshot.
func (w *world) renew() {
	w.receiver = receiver.New(receiver.Config{
		Active: w.active, Keys: w.keys, Shared: w.shared, Now: w.clock, Respond: w.respond,
		Backends: map[string]backend.Backend{"gw.example": w.gw, "narrow.example": w.gw, "two.example": w.two},
		Log:      slog.New(slog.NewTextHandler(w.log, nil)),
	})
}

// policy is the policy of that name.
func (w *world) policy(name string) *snapshot.Policy {
	for i := range w.snap.Policies {
		if w.snap.Policies[i].ID == "test/"+name {
			return &w.snap.Policies[i]
		}
	}
	panic("no policy " + name)
}

// senderPolicy edits what applies to messages of sender.example.
func senderPolicy(edit func(*snapshot.Inbound)) func(*world) {
	return func(w *world) { edit(&w.policy("sender").Inbound) }
}

// do serves one request.
func (w *world) do(req *http.Request) *http.Response {
	rec := httptest.NewRecorder()
	w.receiver.ServeHTTP(rec, req)
	return rec.Result()
}

func testSnapshot(t testing.TB) *snapshot.Snapshot {
	t.Helper()
	domains := []snapshot.Domain{
		{Name: "gw.example", Backend: snapshot.Backend{Type: snapshot.BackendMemory}, Policies: []string{"test/sender", "test/org", "test/denied"}},
		{Name: "narrow.example", Backend: snapshot.Backend{Type: snapshot.BackendMemory}, Policies: []string{"test/sender", "test/denied"},
			Accepts: []snapshot.Messages{{Component: "VEVENT", Methods: []string{"REQUEST"}}}},
		{Name: "two.example", Backend: snapshot.Backend{Type: snapshot.BackendMemory}, Policies: []string{"test/denied", "test/denied-two", "test/sender"}},
	}
	for i := range domains {
		domains[i].Source = "test/" + domains[i].Name
		domains[i].Signing = snapshot.Signing{Keys: []snapshot.Key{{
			Source: "test/key", Domain: domains[i].Name, Selector: "cal", Private: testdata(t, "other.ed25519.pem"), Record: record(t, "other.ed25519.pem"),
		}}}
	}
	return &snapshot.Snapshot{
		Format: snapshot.FormatVersion,
		Gateway: snapshot.Gateway{
			Name: "test/edge", Host: "gw.example", TLS: certificate(t), DefaultAction: snapshot.Deny,
			Capabilities: ischedule.Capabilities{
				Serial: 7, Versions: []string{"1.0"},
				Messages: []ischedule.Component{
					{Name: "VEVENT", Methods: []string{"REQUEST", "REPLY", "ADD", "CANCEL", "REFRESH", "COUNTER", "DECLINECOUNTER"}},
					{Name: "VFREEBUSY", Methods: []string{"REQUEST"}},
				},
				DataTypes:        []ischedule.DataType{{ContentType: "text/calendar", Version: "2.0"}},
				Attachments:      ischedule.Attachments{External: true},
				RScales:          []string{"GREGORIAN"},
				MaxContentLength: 16 << 10,
				MinDateTime:      time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
				MaxDateTime:      time.Date(2038, 1, 1, 0, 0, 0, 0, time.UTC),
				MaxInstances:     50, MaxRecipients: 5,
				Administrator: "mailto:postmaster@gw.example",
			},
			Limits: snapshot.Limits{
				MaxConnections: 1000, MaxConnsPerSource: 100, RequestsPerSource: 1e6, KeyLookupsPerSource: 1e6, KeyLookupsPerDomain: 1e6,
				KeyLookups: 1e6, MaxHeaderBytes: 64 << 10, MaxInFlightBytes: 64 << 20,
				HeaderTimeout: 10 * time.Second, BodyTimeout: 30 * time.Second, DeliveryTimeout: 30 * time.Second,
			},
		},
		Domains: domains,
		Policies: []snapshot.Policy{
			{ID: "test/denied", Peers: []string{"denied.example"}, Action: snapshot.Deny},
			{ID: "test/denied-two", Peers: []string{"elsewhere.example"}, Action: snapshot.Deny},
			{ID: "test/org", Peers: []string{"example.org"}, Action: snapshot.Allow, Inbound: snapshot.Inbound{
				PinnedKeys: []snapshot.PinnedKey{{Selector: "cyrus", Record: publicRecord(t, "cyrus-example.org.pub.pem")}},
			}},
			{ID: "test/sender", Peers: []string{"sender.example", "elsewhere.example"}, Action: snapshot.Allow},
		},
	}
}

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func privateKey(t testing.TB, name string) crypto.Signer {
	t.Helper()
	k, err := dkim.ParsePrivateKey(testdata(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// record is the DKIM record of a private key in testdata.
func record(t testing.TB, name string) string {
	t.Helper()
	r, err := dkim.FormatRecord(privateKey(t, name).Public(), false)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// publicRecord is the DKIM record of a public key in testdata.
func publicRecord(t testing.TB, name string) string {
	t.Helper()
	block, _ := pem.Decode(testdata(t, name))
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	r, err := dkim.FormatRecord(key, false)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// certificate is one nobody connects to: a snapshot has to have it.
var certificate = func() func(testing.TB) snapshot.KeyPair {
	var once sync.Once
	var pair snapshot.KeyPair
	return func(t testing.TB) snapshot.KeyPair {
		once.Do(func() {
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"gw.example"}, NotAfter: time.Now().Add(time.Hour)}
			der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
			if err != nil {
				t.Fatal(err)
			}
			pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
			if err != nil {
				t.Fatal(err)
			}
			pair.Certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
			pair.Key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
		})
		return pair
	}
}()

// mail is a message under construction: what a sender signs, and what can then be done to it.
type mail struct {
	header   http.Header
	body     string
	signers  []dkim.Signer
	signedAt time.Time
	after    func(http.Header) // changes after signing
	remote   string
}

// invitation is a REQUEST from boss@sender.example to these recipients, who are its ATTENDEEs.
func invitation(t testing.TB, id string, recipients ...string) *mail {
	t.Helper()
	if len(recipients) == 0 {
		recipients = []string{"mailto:guest@gw.example"}
	}
	return message(t, id, "VEVENT", "REQUEST", "mailto:boss@sender.example", recipients, event("REQUEST", "uid-"+id, recipients...))
}

// event is an iTIP message of boss@sender.example about one event.
func event(method, uid string, attendees ...string) string {
	var b strings.Builder
	b.WriteString("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//test//test//EN\nMETHOD:" + method + "\nBEGIN:VEVENT\nUID:" + uid +
		"\nDTSTAMP:20261122T110000Z\nDTSTART:20261125T140000Z\nDTEND:20261125T150000Z\nSEQUENCE:1\nSUMMARY:Secret plans\nORGANIZER:mailto:boss@sender.example\n")
	for _, a := range attendees {
		if !strings.Contains(a, ":") {
			a = "mailto:" + a
		}
		b.WriteString("ATTENDEE;PARTSTAT=NEEDS-ACTION:" + a + "\n")
	}
	b.WriteString("END:VEVENT\nEND:VCALENDAR\n")
	return crlf(b.String())
}

// question asks for free/busy from one day to another.
func question(t testing.TB, id, from, to string, recipients ...string) *mail {
	t.Helper()
	var b strings.Builder
	b.WriteString("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//test//test//EN\nMETHOD:REQUEST\nBEGIN:VFREEBUSY\nUID:uid-" + id +
		"\nDTSTAMP:20261122T110000Z\nDTSTART:" + from + "\nDTEND:" + to + "\nORGANIZER:mailto:boss@sender.example\n")
	for _, a := range recipients {
		b.WriteString("ATTENDEE:" + a + "\n")
	}
	b.WriteString("END:VFREEBUSY\nEND:VCALENDAR\n")
	return message(t, id, "VFREEBUSY", "REQUEST", "mailto:boss@sender.example", recipients, crlf(b.String()))
}

func message(t testing.TB, id, component, method, originator string, recipients []string, body string) *mail {
	t.Helper()
	h := http.Header{}
	h.Set("iSchedule-Version", "1.0")
	h.Set("iSchedule-Message-ID", id)
	h.Set("Content-Type", fmt.Sprintf("text/calendar; charset=utf-8; component=%s; method=%s", component, method))
	h.Set("Originator", originator)
	h.Set("Recipient", strings.Join(recipients, ","))
	h.Set("User-Agent", "test")
	return &mail{header: h, body: body, signedAt: start, remote: "192.0.2.1:1234",
		signers: []dkim.Signer{{Domain: "sender.example", Selector: "ed", Key: privateKey(t, "sender.ed25519.pem")}}}
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// sign sets another signer.
func (m *mail) sign(t testing.TB, domain, selector, key string) *mail {
	m.signers = []dkim.Signer{{Domain: domain, Selector: selector, Key: privateKey(t, key)}}
	return m
}

// set changes a field before signing.
func (m *mail) set(name string, values ...string) *mail {
	m.header[http.CanonicalHeaderKey(name)] = values
	return m
}

// then changes the header after signing.
func (m *mail) then(after func(http.Header)) *mail {
	m.after = after
	return m
}

// request is the signed request.
func (m *mail) request(t testing.TB) *http.Request {
	t.Helper()
	h := m.header.Clone()
	for i := range m.signers {
		value, err := m.signers[i].Sign(m.header, []byte(m.body), m.signedAt)
		if err != nil {
			t.Fatal(err)
		}
		h.Add("DKIM-Signature", value)
	}
	if m.after != nil {
		m.after(h)
	}
	req := httptest.NewRequest(http.MethodPost, ischedule.WellKnownPath, strings.NewReader(m.body))
	req.Header, req.RemoteAddr = h, m.remote
	return req
}

// outcome is what the peer reads: "200 guest@gw.example 2.0", or "403 verification-failed".
func outcome(resp *http.Response) string {
	var b bytes.Buffer
	_, _ = b.ReadFrom(resp.Body)
	out := fmt.Sprint(resp.StatusCode)
	if r, err := ischedule.ReadResponse(b.Bytes()); err == nil {
		for _, res := range r.Results {
			out += " " + res.Recipient + " " + res.Status.Code
		}
		return out
	}
	if e, ok := ischedule.ReadError(resp.StatusCode, b.Bytes()); ok {
		if e.Name != "" {
			out += " " + string(e.Name)
		}
		return out
	}
	return out + " unreadable"
}

// send sends a message and returns its outcome.
func (w *world) send(m *mail) string {
	w.t.Helper()
	return outcome(w.do(m.request(w.t)))
}

// reason is the reason code of the last request, from the log.
func (w *world) reason() string {
	lines := strings.Split(strings.TrimSpace(w.log.String()), "\n")
	for field := range strings.SplitSeq(lines[len(lines)-1], " ") {
		if r, ok := strings.CutPrefix(field, "reason="); ok {
			return r
		}
	}
	return ""
}

// untouched fails the test when a key was looked up or a back end was asked.
func (w *world) untouched() {
	w.t.Helper()
	if q := w.dns.queries(); len(q) > 0 {
		w.t.Errorf("DNS was asked: %v", q)
	}
	w.undelivered()
}

func (w *world) undelivered() {
	w.t.Helper()
	if len(w.gw.deliveries())+len(w.two.deliveries()) > 0 {
		w.t.Error("a back end was asked")
	}
}

var errDNSDown = fmt.Errorf("%w: test", resolver.ErrTemporary)
