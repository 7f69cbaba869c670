package sender_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/gateway/sender"
	"github.com/calfed/calfed/gateway/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// now is when every test happens.
var now = time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)

// testKeys are made once: an RSA key costs more than all the tests together.
var testKeys = sync.OnceValue(func() map[string]crypto.Signer {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	_, e, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return map[string]crypto.Signer{"rsa": r, "ed": e}
})

func signingKey(t testing.TB, domain, selector string) snapshot.Key {
	t.Helper()
	private := testKeys()[selector]
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	record, err := dkim.FormatRecord(private.Public(), false)
	if err != nil {
		t.Fatal(err)
	}
	return snapshot.Key{
		Source: "default/" + selector, Domain: domain, Selector: selector, Record: record,
		Private: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	}
}

var testCA = sync.OnceValue(func() *catest.CA {
	ca, err := catest.New()
	if err != nil {
		panic(err)
	}
	return ca
})

// config is the snapshot of a gateway that serves example.org and branch.example, and refuses enemy.example.
func config(t testing.TB) *snapshot.Snapshot {
	t.Helper()
	leaf, err := testCA().Issue(catest.Leaf{DNS: []string{"gw.example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := catest.EncodePEM(leaf)
	if err != nil {
		t.Fatal(err)
	}
	token := make([]byte, 32)
	domain := func(name string, keys ...snapshot.Key) snapshot.Domain {
		return snapshot.Domain{
			Name: name, Source: "default/" + name,
			Signing:    snapshot.Signing{Keys: keys, Lookup: []string{dkim.MethodWellKnown, dkim.MethodDNS}},
			Backend:    snapshot.Backend{Type: snapshot.BackendISchedule, ISchedule: &snapshot.ISchedule{URL: "http://127.0.0.1:8008/ischedule"}},
			Submitters: []snapshot.Submitter{{Name: "calendar", TokenSHA256: token}},
			Policies:   []string{"default/enemy", "default/friend"},
		}
	}
	return &snapshot.Snapshot{
		Format: snapshot.FormatVersion,
		Gateway: snapshot.Gateway{
			Name: "default/edge", Host: "gw.example.org", TLS: snapshot.KeyPair{Certificate: cert, Key: key},
			Capabilities: capabilities(), DefaultAction: snapshot.Deny, Limits: limits(),
		},
		Domains: []snapshot.Domain{
			domain("branch.example", signingKey(t, "branch.example", "rsa")),
			domain("example.org", signingKey(t, "example.org", "ed"), signingKey(t, "example.org", "rsa")),
		},
		Policies: []snapshot.Policy{
			{ID: "default/enemy", Peers: []string{"enemy.example"}, Domains: []string{"example.org", "branch.example"}, Action: snapshot.Deny},
			{ID: "default/friend", Peers: []string{"friend.example"}, Domains: []string{"example.org", "branch.example"}, Action: snapshot.Allow,
				Outbound: snapshot.Outbound{Authorization: `Custom a="x, y", b=z`, Timeout: 5 * time.Second}},
		},
	}
}

func limits() snapshot.Limits {
	return snapshot.Limits{
		MaxConnections: 100, MaxConnsPerSource: 100, RequestsPerSource: 100, KeyLookupsPerSource: 100, KeyLookupsPerDomain: 100,
		KeyLookups: 100, MaxHeaderBytes: 32 << 10, MaxInFlightBytes: 64 << 20,
		HeaderTimeout: 5 * time.Second, BodyTimeout: 5 * time.Second, DeliveryTimeout: 5 * time.Second,
	}
}

// capabilities take everything that a test wants taken.
func capabilities() ischedule.Capabilities {
	return ischedule.Capabilities{
		Serial: 7, Versions: []string{"1.0"},
		Messages: []ischedule.Component{
			{Name: "VEVENT", Methods: []string{"REQUEST", "ADD", "CANCEL", "REPLY", "REFRESH", "COUNTER", "DECLINECOUNTER"}},
			{Name: "VTODO", Methods: []string{"REQUEST", "REPLY", "CANCEL"}},
			{Name: "VFREEBUSY", Methods: []string{"REQUEST"}},
		},
		DataTypes:   []ischedule.DataType{{ContentType: "text/calendar", Version: "2.0"}},
		Attachments: ischedule.Attachments{Inline: true, External: true}, RScales: []string{"GREGORIAN", "HEBREW"},
		MaxContentLength: 1 << 20, MaxInstances: 1000, MaxRecipients: 500, Administrator: "mailto:postmaster@example.org",
		MinDateTime: time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), MaxDateTime: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
	}
}

func active(t testing.TB, s *snapshot.Snapshot) *snapshot.Active {
	t.Helper()
	a, err := snapshot.Activate(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// posted is one request that the finder was asked to post.
type posted struct {
	url    string
	header http.Header
	body   []byte
}

// finder is a discovery without a network: it knows receivers by domain, and answers for them.
type finder struct {
	receivers map[string]*discovery.Receiver
	errors    map[string]error
	answer    func(p posted) (*discovery.Answer, error) // nil = 2.0 for every recipient

	mu      sync.Mutex
	found   []string
	posts   []posted
	outs    map[string]*snapshot.Outbound
	timeout map[string]time.Duration
}

func (f *finder) Find(ctx context.Context, domain string, out *snapshot.Outbound) (*discovery.Receiver, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.found = append(f.found, domain)
	if f.outs == nil {
		f.outs, f.timeout = map[string]*snapshot.Outbound{}, map[string]time.Duration{}
	}
	f.outs[domain] = out
	if deadline, ok := ctx.Deadline(); ok {
		f.timeout[domain] = time.Until(deadline)
	}
	if err := f.errors[domain]; err != nil {
		return nil, err
	}
	if r := f.receivers[domain]; r != nil {
		return r, nil
	}
	return nil, fmt.Errorf("%s: %w", domain, discovery.ErrNoService)
}

func (f *finder) Post(_ context.Context, r *discovery.Receiver, header http.Header, body []byte) (*discovery.Answer, error) {
	p := posted{r.URL, header.Clone(), body}
	f.mu.Lock()
	f.posts = append(f.posts, p)
	f.mu.Unlock()
	if f.answer != nil {
		return f.answer(p)
	}
	response := &ischedule.Response{}
	for _, to := range strings.Split(header.Get("Recipient"), ",") {
		response.Results = append(response.Results, ischedule.RecipientResult{Recipient: to, Status: ischedule.StatusDelivered})
	}
	return &discovery.Answer{Status: http.StatusOK, Body: response.Marshal()}, nil
}

// receiver makes a Receiver with the capabilities as change leaves them.
func receiver(host string, change ...func(*ischedule.Capabilities)) *discovery.Receiver {
	c := capabilities()
	for _, f := range change {
		f(&c)
	}
	return &discovery.Receiver{URL: "https://" + host + "/ischedule", Key: host, Capabilities: &c, Source: "srv"}
}

// newSender is a sender of config with one's own finder.
func newSender(t testing.TB, f *finder, change ...func(*sender.Config)) (*sender.Sender, *snapshot.Active) {
	t.Helper()
	a := active(t, config(t))
	cfg := sender.Config{Active: a, Finder: f, UserAgent: "calfed/test", Now: func() time.Time { return now }}
	for _, c := range change {
		c(&cfg)
	}
	s, err := sender.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s, a
}

// submission is body from the user alice of example.org.
func submission(t testing.TB, a *snapshot.Active, body string, to ...string) *sender.Submission {
	t.Helper()
	domain, ok := a.Domain("example.org")
	if !ok {
		t.Fatal("example.org is not served")
	}
	req := &ischedule.Request{Originator: cua.MustParse("mailto:alice@example.org"), Body: []byte(body)}
	for _, one := range to {
		req.Recipients = append(req.Recipients, cua.MustParse(one))
	}
	return &sender.Submission{Submitter: "calendar", Domain: domain, Request: req}
}

// lines joins content lines as RFC 5545 wants them.
func lines(l ...string) string { return strings.Join(l, "\r\n") + "\r\n" }

// invitation is a REQUEST from alice with these attendees, and further properties of the event.
func invitation(attendees []string, more ...string) string {
	l := []string{"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", "METHOD:REQUEST", "BEGIN:VEVENT", "UID:meeting-1",
		"DTSTAMP:20261122T130000Z", "DTSTART:20261125T140000Z", "DTEND:20261125T150000Z", "SUMMARY:Plan", "SEQUENCE:0",
		"ORGANIZER:mailto:alice@example.org"}
	for _, a := range attendees {
		l = append(l, "ATTENDEE:"+a)
	}
	l = append(l, more...)
	return lines(append(l, "END:VEVENT", "END:VCALENDAR")...)
}

// question is a VFREEBUSY REQUEST from alice about these attendees.
func question(attendees ...string) string {
	l := []string{"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", "METHOD:REQUEST", "BEGIN:VFREEBUSY", "UID:fb-1",
		"DTSTAMP:20261122T130000Z", "DTSTART:20261125T000000Z", "DTEND:20261126T000000Z", "ORGANIZER:mailto:alice@example.org"}
	for _, a := range attendees {
		l = append(l, "ATTENDEE:"+a)
	}
	return lines(append(l, "END:VFREEBUSY", "END:VCALENDAR")...)
}

// busy is the REPLY of an attendee to question.
func busy(attendee string, more ...string) string {
	l := []string{"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//peer//EN", "METHOD:REPLY", "BEGIN:VFREEBUSY", "UID:fb-1",
		"DTSTAMP:20261122T140000Z", "DTSTART:20261125T000000Z", "DTEND:20261126T000000Z", "ORGANIZER:mailto:alice@example.org",
		"ATTENDEE:" + attendee, "FREEBUSY;FBTYPE=BUSY:20261125T090000Z/20261125T100000Z"}
	return lines(append(append(l, more...), "END:VFREEBUSY", "END:VCALENDAR")...)
}

// statuses are the codes of a response by recipient.
func statuses(r *ischedule.Response) map[string]string {
	out := make(map[string]string, len(r.Results))
	for _, one := range r.Results {
		out[one.Recipient] = one.Status.Code
	}
	return out
}

var errUnplugged = errors.New("connection refused")
