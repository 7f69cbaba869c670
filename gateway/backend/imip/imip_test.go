package imip_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/mail"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/authres"
	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/calfed/calfed/gateway/backend"
	backendimip "github.com/calfed/calfed/gateway/backend/imip"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/imip"
	"github.com/calfed/calfed/gateway/itip"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/smarthost"
	"github.com/calfed/calfed/gateway/smarthost/smtptest"
	"github.com/calfed/calfed/gateway/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// delivery is a message of boss@sender.example to these users.
func delivery(t testing.TB, component, method string, to ...string) *backend.Delivery {
	t.Helper()
	lines := []string{"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", "METHOD:" + method, "BEGIN:" + component, "UID:u1",
		"DTSTAMP:20261122T130000Z", "DTSTART:20261125T140000Z", "DTEND:20261125T150000Z", "ORGANIZER;CN=Boss:mailto:boss@sender.example"}
	if component != "VFREEBUSY" {
		lines = append(lines, "SUMMARY:Plan", "SEQUENCE:0")
	}
	d := &backend.Delivery{MessageID: "id-1", Originator: cua.MustParse("mailto:boss@sender.example"), SignedBy: "sender.example"}
	for _, a := range to {
		d.Recipients = append(d.Recipients, cua.MustParse(a))
		lines = append(lines, "ATTENDEE:"+cua.MustParse(a).URI())
	}
	d.Body = []byte(strings.Join(append(lines, "END:"+component, "END:VCALENDAR"), "\r\n") + "\r\n")
	m, err := itip.Inspect(d.Body, itip.Limits{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	d.Message = m
	return d
}

// post notes envelopes, and answers by recipient.
type post struct {
	says map[string]error

	mu        sync.Mutex
	envelopes []*smarthost.Envelope
	mails     []string
}

func (p *post) Send(_ context.Context, e *smarthost.Envelope, text []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.envelopes, p.mails = append(p.envelopes, e), append(p.mails, string(text))
	return p.says[e.To[0]]
}

func (p *post) Reach(context.Context) error { return p.says[""] }

func newBackend(t testing.TB, sender backendimip.Sender, change ...func(*backendimip.Config)) *backendimip.Backend {
	t.Helper()
	cfg := backendimip.Config{Sender: sender, Host: "gw.example.org", Proven: true, Now: func() time.Time { return time.Unix(1795000000, 0) }}
	for _, c := range change {
		c(&cfg)
	}
	b, err := backendimip.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// codes are the statuses by recipient.
func codes(results []backend.Result) map[string]string {
	out := map[string]string{}
	for _, r := range results {
		out[r.Recipient.String()] = r.Status.Code
	}
	return out
}

// Every recipient gets a mail of its own, from the Originator, with the calendar object as it came.
//
// Proves: IS-BACK-1, IS-RECV-11, IS-STAT-1
func TestDeliver(t *testing.T) {
	server, err := smtptest.New(smtptest.Config{Refuse: map[string]*smtp.SMTPError{
		"nobody@gw.example": {Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	guard := netguard.New(netguard.Config{BackendCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	client, err := smarthost.New(snapshot.SMTPServer{Host: "127.0.0.1", Port: server.Port(), TLS: snapshot.SMTPPlain}, guard, "gw.example.org")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	d := delivery(t, "VEVENT", "REQUEST", "mailto:bob@gw.example", "mailto:nobody@gw.example", "mailto:zo%C3%AB@gw.example")
	results, err := newBackend(t, client).Deliver(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"mailto:bob@gw.example": "1.1", "mailto:nobody@gw.example": "3.7", "mailto:zo%C3%AB@gw.example": "1.1"}
	if diff := cmp.Diff(want, codes(results)); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	got := map[string]bool{}
	for _, m := range server.Mails() {
		got[strings.Join(m.To, " ")] = m.Options.UTF8
		if m.From != "boss@sender.example" {
			t.Errorf("MAIL FROM:<%s>", m.From)
		}
		read, err := imip.Parse([]byte(m.Body), itip.Limits{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(read.Body, d.Body) {
			t.Errorf("the calendar object changed on its way:\n%s", read.Body)
		}
	}
	if diff := cmp.Diff(map[string]bool{"bob@gw.example": false, "zoë@gw.example": true}, got); diff != "" {
		t.Errorf("mails, and whether SMTPUTF8 was needed (-want +got):\n%s", diff)
	}
}

// Statuses say what became of each recipient's mail.
//
// Proves: IS-STAT-1, IS-SEND-7
func TestStatuses(t *testing.T) {
	const bob, eve = "mailto:bob@gw.example", "mailto:eve@gw.example"
	refused := func(code int, enhanced, recipient string) error {
		return &smarthost.Error{Code: code, Enhanced: enhanced, Recipient: recipient, Text: "<bob@gw.example>: no", Temporary: code < 500}
	}
	for _, tt := range []struct {
		name   string
		failed error // of bob's mail
		want   string
	}{
		{"taken", nil, "1.1"},
		{"unknown, by the enhanced code", refused(550, "5.1.1", "bob@gw.example"), "3.7"},
		{"unknown, by the reply code", refused(550, "", "bob@gw.example"), "3.7"},
		{"unwanted, by the enhanced code", refused(550, "5.7.1", "bob@gw.example"), "5.3"},
		{"the sender is unwanted", refused(550, "5.1.8", "bob@gw.example"), "5.3"},
		{"full for good", refused(552, "", "bob@gw.example"), "5.3"},
		{"the mail is refused", refused(554, "", ""), "5.3"},
		{"the mail is refused like a recipient", refused(550, "5.1.1", ""), "5.3"},
		{"greylisted", refused(450, "4.2.0", "bob@gw.example"), "5.1"},
		{"no connection", &smarthost.Error{Temporary: true, Text: "mail server x: connection refused"}, "5.1"},
		{"who knows", errors.New("odd"), "5.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			b := newBackend(t, &post{says: map[string]error{"bob@gw.example": tt.failed}}, func(c *backendimip.Config) {
				c.Log = slog.New(slog.NewTextHandler(&log, nil))
			})
			results, err := b.Deliver(t.Context(), delivery(t, "VEVENT", "REQUEST", bob, eve))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string]string{bob: tt.want, eve: "1.1"}, codes(results)); diff != "" {
				t.Errorf("statuses (-want +got):\n%s", diff)
			}
			if strings.Contains(results[0].Description+log.String(), "@") {
				t.Errorf("the server's words are shown: %q, log %s", results[0].Description, &log)
			}
			if tt.failed != nil && log.Len() == 0 {
				t.Error("nothing was logged")
			}
			_, err = b.Deliver(t.Context(), delivery(t, "VEVENT", "REQUEST", bob))
			if got := errors.Is(err, backend.ErrUnavailable); got != (tt.want == "5.1") {
				t.Errorf("alone: err = %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "@") {
				t.Errorf("the server's words are shown: %v", err)
			}
		})
	}
}

// What mail cannot do is told without a mail.
//
// Proves: IS-STAT-1
func TestNotByMail(t *testing.T) {
	const bob = "mailto:bob@gw.example"
	for _, tt := range []struct {
		name string
		d    func() *backend.Delivery
		want map[string]string
	}{
		{"a free/busy question", func() *backend.Delivery { return delivery(t, "VFREEBUSY", "REQUEST", bob) }, map[string]string{bob: "3.14"}},
		{"an Originator without mail", func() *backend.Delivery {
			d := delivery(t, "VEVENT", "REQUEST", bob)
			d.Originator = cua.MustParse("https://sender.example/boss")
			return d
		}, map[string]string{bob: "5.3"}},
		{"a recipient without mail", func() *backend.Delivery {
			return delivery(t, "VEVENT", "REQUEST", "https://gw.example/room")
		}, map[string]string{"https://gw.example/room": "3.7"}},
		{"a message that cannot be read", func() *backend.Delivery {
			d := delivery(t, "VEVENT", "REQUEST", bob)
			d.Body = []byte("nonsense")
			return d
		}, map[string]string{bob: "3.14"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &post{}
			results, err := newBackend(t, p).Deliver(t.Context(), tt.d())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, codes(results)); diff != "" {
				t.Errorf("statuses (-want +got):\n%s", diff)
			}
			if len(p.mails) > 0 {
				t.Errorf("sent %q", p.mails)
			}
		})
	}
}

// Authentication-Results says what was proven, and nothing where nothing was.
//
// Proves: IS-BACK-1
func TestAuthenticationResults(t *testing.T) {
	for _, tt := range []struct {
		name     string
		proven   bool
		signedBy string
		want     *authres.DKIMResult
	}{
		{"signed by the domain", true, "sender.example", &authres.DKIMResult{Value: authres.ResultPass, Reason: "iSchedule", Domain: "sender.example"}},
		{"from a neighbour on this gateway", true, "", nil},
		{"the Originator is ours", false, "sender.example", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &post{}
			b := newBackend(t, p, func(c *backendimip.Config) { c.Proven = tt.proven })
			d := delivery(t, "VEVENT", "REQUEST", "mailto:bob@gw.example")
			d.SignedBy = tt.signedBy
			if _, err := b.Deliver(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			read, err := mail.ReadMessage(strings.NewReader(p.mails[0]))
			if err != nil {
				t.Fatal(err)
			}
			field := read.Header.Get("Authentication-Results")
			if said := field != ""; said != (tt.want != nil) {
				t.Fatalf("mail:\n%s", p.mails[0])
			}
			if tt.want == nil {
				return
			}
			host, results, err := authres.Parse(field)
			if err != nil || host != "gw.example.org" {
				t.Fatalf("%q of %q: %v", field, host, err)
			}
			if diff := cmp.Diff([]authres.Result{tt.want}, results); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Mail leaves signed where the Originator is ours, and not at all when it cannot be signed.
//
// Proves: IS-SEND-7
func TestSigned(t *testing.T) {
	p := &post{}
	fails := false
	b := newBackend(t, p, func(c *backendimip.Config) {
		c.Proven = false
		c.Sign = func(text []byte) ([]byte, error) {
			if fails {
				return nil, errors.New("no key")
			}
			return append([]byte("DKIM-Signature: x\r\n"), text...), nil
		}
	})
	d := delivery(t, "VEVENT", "REQUEST", "mailto:bob@peer.example")
	if _, err := b.Deliver(t.Context(), d); err != nil || !strings.HasPrefix(p.mails[0], "DKIM-Signature: x\r\n") {
		t.Errorf("err = %v, mail:\n%s", err, p.mails)
	}
	fails = true
	if _, err := b.Deliver(t.Context(), d); !errors.Is(err, backend.ErrUnavailable) || len(p.mails) != 1 {
		t.Errorf("err = %v, %d mails", err, len(p.mails))
	}
}

// A mail that mentions addresses in UTF-8 says that it needs a server that takes them.
//
// Proves: IS-BACK-1
func TestSMTPUTF8(t *testing.T) {
	p := &post{}
	b := newBackend(t, p)
	for _, to := range []string{"mailto:bob@gw.example", "mailto:zo%C3%AB@gw.example"} {
		if _, err := b.Deliver(t.Context(), delivery(t, "VEVENT", "REQUEST", to)); err != nil {
			t.Fatal(err)
		}
	}
	want := []*smarthost.Envelope{
		{From: "boss@sender.example", To: []string{"bob@gw.example"}}, {From: "boss@sender.example", To: []string{"zoë@gw.example"}, UTF8: true},
	}
	if diff := cmp.Diff(want, p.envelopes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// heard notes owners, and how many mails had left by then.
type heard struct {
	post   *post
	owners []string
	late   bool
}

func (h *heard) Wrote(owner cua.Address, _ []byte) {
	h.post.mu.Lock()
	defer h.post.mu.Unlock()
	h.owners = append(h.owners, owner.String())
	h.late = h.late || len(h.post.mails) > 0
}

// A mail that a calendar system will apply is known for its echoes before it leaves.
//
// Proves: IS-SUB-3
func TestEchoes(t *testing.T) {
	p := &post{}
	h := &heard{post: p}
	b := newBackend(t, p, func(c *backendimip.Config) { c.Echoes = h })
	to := []string{"mailto:bob@gw.example", "mailto:eve@gw.example"}
	if _, err := b.Deliver(t.Context(), delivery(t, "VEVENT", "CANCEL", to...)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(to, h.owners); diff != "" || h.late {
		t.Errorf("late %v, noted (-want +got):\n%s", h.late, diff)
	}
}

// A deadline ends deliveries.
func TestDeadline(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := newBackend(t, waits{cancel})
	_, err := b.Deliver(ctx, delivery(t, "VEVENT", "REQUEST", "mailto:bob@gw.example", "mailto:eve@gw.example"))
	if !errors.Is(err, backend.ErrUnavailable) {
		t.Errorf("err = %v", err)
	}
}

// waits is a mail server that never answers.
type waits struct{ cancel func() }

func (waits) Reach(context.Context) error { return nil }

func (w waits) Send(ctx context.Context, _ *smarthost.Envelope, _ []byte) error {
	w.cancel()
	<-ctx.Done()
	return &smarthost.Error{Temporary: true, Text: "mail server x: no answer", Err: ctx.Err()}
}

// What cannot work is refused when it is made.
func TestNewRefuses(t *testing.T) {
	for name, cfg := range map[string]backendimip.Config{"no sender": {Host: "gw.example.org"}, "no host": {Sender: &post{}}} {
		if _, err := backendimip.New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Whether the mail server is there can be asked without a mail.
//
// Proves: IS-BACK-3
func TestReach(t *testing.T) {
	p := &post{says: map[string]error{}}
	b := newBackend(t, p)
	if c := b.Reach(context.Background()); !c.OK || len(p.envelopes) != 0 {
		t.Errorf("%+v, %d mails", c, len(p.envelopes))
	}
	p.says[""] = &smarthost.Error{Text: "mail server mail.example:587: AUTH: 535 no"}
	if c := b.Reach(context.Background()); c.OK || !strings.Contains(c.Seen, "535 no") || !strings.Contains(c.Cause, "credentialsRef") {
		t.Errorf("%+v", c)
	}
}
