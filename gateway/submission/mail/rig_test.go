package mail_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"go.uber.org/goleak"

	"github.com/calfed/calfed/gateway/imip"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/gateway/sender"
	"github.com/calfed/calfed/gateway/smarthost"
	"github.com/calfed/calfed/gateway/snapshot"
	"github.com/calfed/calfed/gateway/submission"
	"github.com/calfed/calfed/gateway/submission/mail"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// rig is a Server for example.org and branch.example whose parts are this test.
type rig struct {
	t       testing.TB
	ca      *catest.CA
	server  *mail.Server
	addr    string
	log     *lines
	relay   *relay
	metrics *mail.Metrics

	mu       sync.Mutex
	handler  *mail.Handler
	held     int // handlers given out and not given back
	snapshot *snapshot.Snapshot
	now      time.Time
	wait     time.Duration // what Password says
	statuses map[string]ischedule.RequestStatus
	refusal  *ischedule.Error
	asked    []string // what Outbound and Inbound were asked: "outbound anna@… → bob@…, …"
	before   func()   // called by both first
	dns      map[string][]string
	dnsErr   error
}

// lines is what was logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// relay is a smarthost that says what it is told to.
type relay struct {
	mu   sync.Mutex
	got  []relayed
	says []error // one each time, then nil
}

type relayed struct {
	smarthost.Envelope
	mail string
}

func (r *relay) Send(_ context.Context, e *smarthost.Envelope, text []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.says) > 0 {
		err := r.says[0]
		if r.says = r.says[1:]; err != nil {
			return err
		}
	}
	r.got = append(r.got, relayed{*e, string(text)})
	return nil
}

func (r *relay) sent() []relayed {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]relayed(nil), r.got...)
}

func (r *relay) say(errs ...error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.says = errs
}

// Password: "both" may send for both domains, "one" for example.org.
func (r *rig) Password(_ netip.Addr, username, password string) ([]submission.Acting, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wait > 0 {
		return nil, r.wait
	}
	var acting []submission.Acting
	for i := range r.snapshot.Domains {
		if password == "secret" && (username == "both" || username == "one" && r.snapshot.Domains[i].Name == "example.org") {
			acting = append(acting, submission.Acting{Name: username, Domain: &r.snapshot.Domains[i]})
		}
	}
	return acting, 0
}

func (r *rig) answer(how string, req *ischedule.Request) (*ischedule.Response, *ischedule.Error) {
	r.mu.Lock()
	before := r.before
	r.mu.Unlock()
	if before != nil {
		before()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var to []string
	response := &ischedule.Response{}
	for _, a := range req.Recipients {
		to = append(to, a.Key())
		status, ok := r.statuses[a.Local()]
		if !ok {
			status = ischedule.StatusDelivered
		}
		response.Results = append(response.Results, ischedule.RecipientResult{Recipient: a.String(), Status: status, Description: "said the peer"})
	}
	r.asked = append(r.asked, how+" "+req.Originator.Key()+" → "+strings.Join(to, ", "))
	if r.refusal != nil {
		return nil, r.refusal
	}
	return response, nil
}

// Send is the Outbound.
func (r *rig) Send(_ context.Context, sub *sender.Submission) (*ischedule.Response, *ischedule.Error) {
	if !sub.NoFallback {
		r.t.Error("the sender would write mail of its own")
	}
	return r.answer("outbound", sub.Request)
}

// Mail is the Inbound.
func (r *rig) Mail(_ context.Context, req *ischedule.Request) (*ischedule.Response, *ischedule.Error) {
	return r.answer("inbound", req)
}

func (r *rig) asks() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.asked...)
}

func (r *rig) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

func newConfig(t testing.TB, ca *catest.CA) *snapshot.Snapshot {
	t.Helper()
	leaf, err := ca.Issue(catest.Leaf{DNS: []string{"gw.example.org"}})
	check(t, err)
	cert, key, err := catest.EncodePEM(leaf)
	check(t, err)
	domain := func(name string) snapshot.Domain {
		return snapshot.Domain{Name: name, Source: "default/" + name, Backend: snapshot.Backend{
			Type: snapshot.BackendISchedule, ISchedule: &snapshot.ISchedule{URL: "http://127.0.0.1:8008/ischedule"}}}
	}
	return &snapshot.Snapshot{
		Format: snapshot.FormatVersion,
		Gateway: snapshot.Gateway{
			Name: "default/edge", Host: "gw.example.org", TLS: snapshot.KeyPair{Certificate: cert, Key: key}, DefaultAction: snapshot.Deny,
			Capabilities: ischedule.Capabilities{
				Serial: 42, Versions: []string{"1.0"}, Messages: []ischedule.Component{{Name: "VEVENT", Methods: []string{"REQUEST"}}},
				DataTypes: []ischedule.DataType{{ContentType: "text/calendar", Version: "2.0"}}, RScales: []string{"GREGORIAN"},
				MaxContentLength: 100_000, MaxRecipients: 10, MaxInstances: 100, Administrator: "mailto:postmaster@example.org",
				MinDateTime: time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), MaxDateTime: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
			},
			Limits: snapshot.Limits{
				MaxConnections: 100, MaxConnsPerSource: 100, RequestsPerSource: 100, KeyLookupsPerSource: 100, KeyLookupsPerDomain: 100,
				KeyLookups: 100, MaxHeaderBytes: 32 << 10, MaxInFlightBytes: 1 << 20,
				HeaderTimeout: 5 * time.Second, BodyTimeout: 5 * time.Second, DeliveryTimeout: 5 * time.Second,
			},
			Submission: snapshot.Submission{SMTP: &snapshot.SMTPSubmission{MaxMessageBytes: 300_000, MaxRecipients: 5, AuthservID: "mx.example.org"}},
		},
		Domains: []snapshot.Domain{domain("branch.example"), domain("example.org")},
	}
}

// apply makes a Handler for the rig's snapshot, as a change of configuration does.
func (r *rig) apply(change ...func(*mail.Config)) {
	r.t.Helper()
	active, err := snapshot.Activate(r.snapshot)
	check(r.t, err)
	cfg := mail.Config{
		Active: active, Auth: r, Outbound: r, Inbound: r, Relay: r.relay, Metrics: r.metrics,
		Verifier: &imip.Verifier{AuthservID: "mx.example.org", LookupTXT: func(_ context.Context, name string) ([]string, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.dns[name], r.dnsErr
		}},
		Now: func() time.Time {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.now
		},
		Log: slog.New(slog.NewTextHandler(r.log, nil)),
	}
	for _, c := range change {
		c(&cfg)
	}
	h, err := mail.New(cfg)
	check(r.t, err)
	r.set(func() { r.handler = h })
}

func (r *rig) source() (*mail.Handler, func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held++
	return r.handler, func() { r.set(func() { r.held-- }) }
}

// newRig serves on loopback; change may alter the configuration.
func newRig(t testing.TB, change ...func(*snapshot.Snapshot)) *rig {
	t.Helper()
	return newRigBehind(t, func(ln net.Listener) net.Listener { return ln }, change...)
}

// newRigBehind has a listener of another kind.
func newRigBehind(t testing.TB, wrap func(net.Listener) net.Listener, change ...func(*snapshot.Snapshot)) *rig {
	t.Helper()
	ca, err := catest.New()
	check(t, err)
	r := &rig{t: t, ca: ca, relay: &relay{}, metrics: mail.NewMetrics(nil), log: &lines{}, now: time.Now(), snapshot: newConfig(t, ca),
		statuses: make(map[string]ischedule.RequestStatus)}
	for _, c := range change {
		c(r.snapshot)
	}
	r.apply()
	certificate, err := tls.X509KeyPair(r.snapshot.Gateway.TLS.Certificate, r.snapshot.Gateway.TLS.Key)
	check(t, err)
	r.server = mail.NewServer(mail.ServerConfig{
		Source: r.source, TLS: func() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{certificate}} },
		Log: slog.New(slog.NewTextHandler(r.log, nil)),
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	r.serve(wrap(ln))
	return r
}

func (r *rig) serve(ln net.Listener) {
	r.addr = ln.Addr().String()
	ended := make(chan error, 1)
	go func() { ended <- r.server.Serve(ln) }()
	r.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := r.server.Shutdown(ctx); err != nil && !r.t.Failed() {
			r.t.Errorf("Shutdown: %v", err)
		}
		if err := <-ended; err != nil {
			r.t.Errorf("Serve: %v", err)
		}
		if r.held != 0 {
			r.t.Errorf("%d handlers were not given back", r.held)
		}
	})
}

// secure is a client that has said STARTTLS.
func (r *rig) secure() *smtp.Client {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	check(r.t, err)
	r.t.Cleanup(func() { _ = conn.Close() })
	c, err := smtp.NewClientStartTLS(conn, &tls.Config{ServerName: "gw.example.org", RootCAs: r.ca.Pool()})
	check(r.t, err)
	return c
}

// client has authenticated, too.
func (r *rig) client(username string) *smtp.Client {
	r.t.Helper()
	c := r.secure()
	check(r.t, c.Auth(sasl.NewPlainClient("", username, "secret")))
	return c
}

// send is one mail of username over a connection of its own; the error is what the server said.
func (r *rig) send(username, from string, to []string, text string) error {
	r.t.Helper()
	c := r.client(username)
	defer func() { _ = c.Close() }()
	return transact(c, from, to, text)
}

func transact(c *smtp.Client, from string, to []string, text string) error {
	if err := c.Mail(from, nil); err != nil {
		return err
	}
	for _, address := range to {
		if err := c.Rcpt(address, nil); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	return w.Close()
}

// code is the SMTP code in err, 250 for nil.
func code(err error) int {
	if err == nil {
		return 250
	}
	var said *smtp.SMTPError
	if errors.As(err, &said) {
		return said.Code
	}
	return 0
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// hold makes every delivery wait: entered tells of each, leave lets them all go.
func (r *rig) hold() (entered <-chan struct{}, leave func()) {
	in, out := make(chan struct{}, 100), make(chan struct{})
	r.set(func() {
		r.before = func() { in <- struct{}{}; <-out }
	})
	leave = sync.OnceFunc(func() { close(out) })
	r.t.Cleanup(leave)
	return in, leave
}
