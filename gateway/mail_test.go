package gateway_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/calfed/calfed/gateway"
	"github.com/calfed/calfed/gateway/backend/caldav/caldavtest"
	"github.com/calfed/calfed/gateway/imip"
	"github.com/calfed/calfed/gateway/itip"
	"github.com/calfed/calfed/gateway/smarthost/smtptest"
	"github.com/calfed/calfed/gateway/snapshot"
)

// takesMail lets the snapshot's first domain submit mail as "mailer", and gives the gateway a smarthost.
func takesMail(t *testing.T, s *snapshot.Snapshot) *smtptest.Server {
	t.Helper()
	smarthost, err := smtptest.New(smtptest.Config{})
	check(t, err)
	t.Cleanup(smarthost.Close)
	s.Gateway.Submission = snapshot.Submission{
		SMTP:      &snapshot.SMTPSubmission{MaxMessageBytes: 1 << 20, MaxRecipients: 10, AuthservID: "mx.local.example"},
		Smarthost: &snapshot.SMTPServer{Host: "127.0.0.1", Port: smarthost.Port(), TLS: snapshot.SMTPPlain},
	}
	password := sha256.Sum256([]byte("secret"))
	s.Domains[0].Submitters = append(s.Domains[0].Submitters, snapshot.Submitter{
		Name: "mail", Basic: &snapshot.Basic{Username: "mailer", PasswordSHA256: password[:]},
	})
	return smarthost
}

// mailer is a client of the smtp listener, over TLS.
func (s *site) mailer(password string) (*smtp.Client, error) {
	conn, err := net.Dial("tcp", s.Addrs().SMTP.String())
	if err != nil {
		return nil, err
	}
	c, err := smtp.NewClientStartTLS(conn, &tls.Config{ServerName: "localhost", RootCAs: s.ca.Pool()})
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return c, c.Auth(sasl.NewPlainClient("", "mailer", password))
}

// post sends one mail.
func (s *site) post(from string, to []string, text string) error {
	c, err := s.mailer("secret")
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
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

func smtpCode(err error) int {
	var said *smtp.SMTPError
	if errors.As(err, &said) {
		return said.Code
	}
	return 0
}

// carried is iMIP with the message that peer.example's boss sends to anna, or another one's.
func carried(organizer string, n int, fields string) string {
	calendar := strings.NewReplacer("%[1]s", organizer, "%[2]d", strconv.Itoa(n)).Replace(invitation)
	return fields + "From: " + strings.TrimPrefix(organizer, "mailto:") + "\r\nMessage-ID: <" + strconv.Itoa(n) + "@peer.example>\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/calendar; method=REQUEST; charset=utf-8\r\n\r\n" + calendar + "\r\n--b--\r\n"
}

var acceptedByBert = regexp.MustCompile(`ATTENDEE\S*;PARTSTAT=ACCEPTED\S*:mailto:bert@b\.example`)

// Two calendar servers that know nothing but mail, and send some whenever anything is written: through the gateways their
// messages arrive at once, what is only an echo ends there, and the smarthost sees what is for others.
//
// Proves: IS-SUB-2, IS-SUB-3
func TestCalendarServersThatKnowOnlyMail(t *testing.T) {
	a, b := newOffice(t, "a.example", "anna"), newOffice(t, "b.example", "bert")
	outA, outB := takesMail(t, a.snap), takesMail(t, b.snap)
	var mu sync.Mutex
	sent := make(map[string]int)
	for _, o := range []*office{a, b} {
		o.hand = func(_ context.Context, m caldavtest.Message) error {
			read, err := itip.Inspect(m.Body, itip.Limits{}, 0)
			if err != nil {
				return err
			}
			mu.Lock()
			sent[o.domain+" "+read.Method]++
			mu.Unlock()
			to := m.Recipients[0]
			text, _, err := imip.Compose(&imip.Draft{From: m.Originator, To: to, Body: m.Body, Message: read, Host: "calendar." + o.domain, Date: time.Now()})
			if err != nil {
				return err
			}
			return o.post("noreply@"+o.domain, []string{to.Local() + "@" + to.Domain()}, string(text))
		}
		o.run()
	}
	meet(t, a, b)

	a.put(t, strings.ReplaceAll(`BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//test//EN
BEGIN:VEVENT
UID:series@example
DTSTAMP:20261122T100000Z
DTSTART:20271201T100000Z
DTEND:20271201T103000Z
SEQUENCE:0
SUMMARY:Standup
ORGANIZER:mailto:anna@a.example
ATTENDEE;PARTSTAT=ACCEPTED:mailto:anna@a.example
ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:bert@b.example
END:VEVENT
END:VCALENDAR
`, "\n", "\r\n"))
	if !strings.Contains(b.object(), "SUMMARY:Standup") {
		t.Fatalf("b has\n%s", b.object())
	}
	b.put(t, strings.Replace(b.object(), "PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:bert", "PARTSTAT=ACCEPTED:mailto:bert", 1))
	if !acceptedByBert.MatchString(strings.ReplaceAll(a.object(), "\r\n ", "")) {
		t.Errorf("a has\n%s", a.object())
	}
	mu.Lock()
	defer mu.Unlock()
	if sent["a.example REQUEST"] != 2 || sent["b.example REPLY"] != 1 {
		t.Errorf("the calendar servers sent %v; the second REQUEST of a is the echo", sent)
	}
	if got := append(outA.Mails(), outB.Mails()...); len(got) != 0 {
		t.Errorf("mail left: %+v", got)
	}
	if got := a.metric(`calfed_mail_recipients_total{direction="outbound",outcome="calendar"}`); got != "2" {
		t.Errorf("counted: %q", got)
	}
}

// A mail of a stranger that the MX hands on reaches the calendar when it is proven, and the person when it is not; our own
// people's goes to whom it can, and everything else to the smarthost as it came.
//
// Proves: IS-SUB-2
func TestMailOfStrangersAndOurOwn(t *testing.T) {
	var smarthost *smtptest.Server
	s := serve(t, func(_ *gateway.Options, snap *snapshot.Snapshot) { smarthost = takesMail(t, snap) })
	const proven = "Authentication-Results: mx.local.example; dmarc=pass header.from=peer.example\r\n"
	for i, tc := range []struct {
		name, from, to, text string
		calendar, byMail     int
	}{
		{"proven", "boss@peer.example", "anna@local.example", carried("mailto:boss@peer.example", 1, proven), 1, 0},
		{"the same again", "boss@peer.example", "anna@local.example", carried("mailto:boss@peer.example", 1, proven), 0, 0},
		{"not proven", "boss@peer.example", "anna@local.example", carried("mailto:boss@peer.example", 2, "Received: x\r\n"), 0, 1},
		{"nobody's policy", "boss@other.example", "anna@local.example", carried("mailto:boss@other.example", 3,
			"Authentication-Results: mx.local.example; dmarc=pass header.from=other.example\r\n"), 0, 1},
		{"in the house", "anna@local.example", "bert@local.example", carried("mailto:anna@local.example", 4, ""), 0, 1},
		{"mail", "anna@local.example", "bob@peer.example", "From: anna@local.example\r\n\r\nhello\r\n", 0, 1},
	} {
		delivered, mailed := s.backend.count.Load(), len(smarthost.Mails())
		if err := s.post(tc.from, []string{tc.to}, tc.text); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		if got := s.backend.count.Load() - delivered; got != int64(tc.calendar) {
			t.Errorf("%d %s: %d in the calendar, want %d", i, tc.name, got, tc.calendar)
		}
		got := smarthost.Mails()[mailed:]
		if len(got) != tc.byMail || len(got) == 1 && (got[0].Body != tc.text || got[0].From != tc.from || got[0].To[0] != tc.to) {
			t.Errorf("%s: at the smarthost: %+v", tc.name, got)
		}
	}
	smarthost.Close()
	if err := s.post("anna@local.example", []string{"bob@peer.example"}, "From: anna@local.example\r\n\r\nhello\r\n"); smtpCode(err) != 451 {
		t.Errorf("without the smarthost: %v", err)
	}
}

// Proves: IS-SUB-1, IS-SUB-2
func TestMailNeedsAPassword(t *testing.T) {
	s := serve(t, func(_ *gateway.Options, snap *snapshot.Snapshot) { takesMail(t, snap) })
	for i := range 20 {
		c, err := s.mailer("guess " + strconv.Itoa(i))
		if c != nil {
			_ = c.Close()
		}
		if code := smtpCode(err); code == 454 && i >= 5 {
			return
		} else if code != 535 {
			t.Fatalf("guess %d: %v", i, err)
		}
	}
	t.Error("guessing goes on for ever")
}

// Proves: IS-SUB-2
func TestMailListenerIsBounded(t *testing.T) {
	s := serve(t, func(_ *gateway.Options, snap *snapshot.Snapshot) {
		takesMail(t, snap)
		snap.Gateway.Limits.MaxConnections = 2
	})
	open := func() (net.Conn, error) {
		conn, err := net.Dial("tcp", s.Addrs().SMTP.String())
		check(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		check(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
		_, err = conn.Read(make([]byte, 100))
		return conn, err
	}
	first, err := open()
	check(t, err)
	_, err = open()
	check(t, err)
	if _, err := open(); err == nil || isTimeout(err) {
		t.Errorf("a third connection: %v", err)
	}
	if got := s.metric(`calfed_http_connections_refused_total{bound="total",listener="smtp"}`); got != "1" {
		t.Errorf("counted: %q", got)
	}
	check(t, first.Close())
	eventually(t, "room again", func() bool { return s.metric(`calfed_http_connections{listener="smtp"}`) == "1" })
	_, err = open()
	check(t, err)
}

// Mail under way is delivered and answered before the gateway ends.
//
// Proves: IS-SUB-2
func TestDrainLosesNoMail(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s := serve(t, func(_ *gateway.Options, snap *snapshot.Snapshot) { takesMail(t, snap) })
	s.backend.deliver = blockOn(entered, leave)
	taken := make(chan error, 1)
	go func() {
		taken <- s.post("boss@peer.example", []string{"anna@local.example"},
			carried("mailto:boss@peer.example", 1, "Authentication-Results: mx.local.example; dmarc=pass header.from=peer.example\r\n"))
	}()
	<-entered
	s.stop()
	eventually(t, "new connections are refused", func() bool {
		conn, err := net.Dial("tcp", s.Addrs().SMTP.String())
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	close(leave)
	if err := <-taken; err != nil {
		t.Errorf("the mail: %v", err)
	}
	err := <-s.ended
	s.ended <- err
	if err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestWithoutMailInTheSnapshotNoneIsTaken(t *testing.T) {
	s := serve(t, nil)
	conn, err := net.Dial("tcp", s.Addrs().SMTP.String())
	check(t, err)
	defer func() { _ = conn.Close() }()
	greeting, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(greeting), "421 ") {
		t.Errorf("%q, %v", greeting, err)
	}
}
