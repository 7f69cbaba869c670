package mail_test

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/snapshot"
	"github.com/calfed/calfed/gateway/submission"
	"github.com/calfed/calfed/gateway/submission/mail"
)

// TestAnAbortedMailIsNotTaken: RSET, or a connection that ends, before the mail did.
//
// Proves: IS-SUB-2
func TestAnAbortedMailIsNotTaken(t *testing.T) {
	for name, abort := range map[string]func(w *wire){
		"RSET after RCPT":      func(w *wire) { w.say("RSET", 250); w.say("DATA", 502) },
		"the end of DATA":      func(w *wire) { w.say("DATA", 354); w.write("Subject: x\r\n\r\nhalf\r\n"); _ = w.conn.Close() },
		"the end within a dot": func(w *wire) { w.say("DATA", 354); w.write("Subject: x\r\n\r\nhalf\r\n.\r"); _ = w.conn.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			w := r.raw()
			w.login()
			w.mail()
			abort(w)
			check(t, r.send("one", "anna@example.org", []string{"bob@peer.example"}, plainMail))
			if got := r.relay.sent(); len(got) != 1 || got[0].mail != plainMail {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestNothingInClearSurvivesSTARTTLS: what was sent together with STARTTLS is not part of the safe session. RFC 3207 §4.2
//
// Proves: IS-SUB-2
func TestNothingInClearSurvivesSTARTTLS(t *testing.T) {
	r := newRig(t)
	for _, rest := range []string{
		"MAIL FROM:<anna@example.org>\r\nRCPT TO:<victim@peer.example>\r\nDATA\r\nSubject: x\r\n\r\n.\r\n", "DATA\r\nSubject: x\r\n\r\n.\r\n", "NOOP\r\n", "QUIT\r\n",
	} {
		w := r.raw()
		w.login()
		w.mail()
		w.write("STARTTLS\r\n" + rest)
		w.expect(220)
		safe := tls.Client(w.conn, &tls.Config{ServerName: "gw.example.org", RootCAs: r.ca.Pool()})
		check(t, safe.Handshake())
		w = &wire{r: r, conn: safe, in: bufio.NewReader(safe)}
		w.say("NOOP", 250) // nothing is said before this, not even a greeting
		w.say("MAIL FROM:<anna@example.org>", 502)
		w.say("EHLO x", 250)
		w.say("MAIL FROM:<anna@example.org>", 530)
	}
	w := r.raw()
	w.say("EHLO x", 250)
	w.say("STARTTLS", 220)
	w.write("this is no handshake\r\n")
	if reply, err := w.reply(); err == nil {
		t.Errorf("answered in clear: %q", reply)
	}
	if got := r.relay.sent(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// TestAddressesThatCannotBeHandedOn: what no server could read again. Quotes that the library has taken away come back with the
// smarthost's client.
//
// Proves: IS-SUB-2
func TestAddressesThatCannotBeHandedOn(t *testing.T) {
	r := newRig(t)
	w := r.raw()
	w.login()
	for path, want := range map[string]int{
		`<"x> NOTIFY=NEVER <y"@peer.example>`: 250, `<"a b"@peer.example>`: 250, `<"a\"b"@peer.example>`: 250, `<"a@b"@peer.example>`: 553,
		`<a@b@peer.example>`: 553, `<a@peer..example>`: 553, `<a@-peer.example>`: 553, "<a\x01@peer.example>": 553, "<a@peer.example\x7f>": 553,
		"<bj\u00f6rn@peer.example>": 553, `<` + strings.Repeat("a", 300) + `@peer.example>`: 553, `<"">`: 501, `<@peer.example>`: 501, `<peer.example>`: 501,
		`<a%b@peer.example>`: 250, `<a+b=c@peer.example>`: 250, `<a'b@peer.example>`: 250, `<a@[192.0.2.1]>`: 250, `<a@[IPv6:2001:db8::1]>`: 250,
		`<@relay.example:a@peer.example>`: 250,
	} {
		w.say("MAIL FROM:<anna@example.org>", 250)
		w.say("RCPT TO:"+path, want)
		w.say("RSET", 250)
		if want == 553 {
			w.say("MAIL FROM:"+path, 553)
		}
	}
}

// TestOneMailAtATime: the recipients of one are never another's, nor nobody's.
//
// Proves: IS-SUB-2
func TestOneMailAtATime(t *testing.T) {
	r := newRig(t)
	w := r.raw()
	w.login()
	w.mail()
	w.say("MAIL FROM:<eve@evil.example>", 503)
	w.say("MAIL FROM:<>", 503)
	w.data(plainMail, 250)
	if got := r.relay.sent(); len(got) != 1 || got[0].From != "anna@example.org" || len(got[0].To) != 1 {
		t.Errorf("%+v", got)
	}
	w.mail()
	w.say("RSET", 250)
	w.mail()
	w.say("EHLO again.example.org", 250)
	w.mail()
}

// TestLongLinesAndSilence: neither holds a connection for ever.
//
// Proves: IS-SUB-2
func TestLongLines(t *testing.T) {
	r := newRig(t)
	w := r.raw()
	w.say("EHLO "+strings.Repeat("x", 12_000), 250)
	w.write("EHLO " + strings.Repeat("x", 13_000) + "\r\n")
	w.expect(500)
	w = r.raw()
	w.login()
	w.mail()
	w.say("DATA", 354)
	w.write("Subject: x\r\n\r\n" + strings.Repeat("x", 13_000) + "\r\n.\r\n")
	w.expect(554)
	if got := r.relay.sent(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// TestNonsenseEndsTheConnection: a client that is none.
//
// Proves: IS-SUB-2
func TestNonsenseEndsTheConnection(t *testing.T) {
	r := newRig(t)
	w := r.raw()
	w.write(strings.Repeat("GET / HTTP/1.1\r\n", 10))
	for {
		if _, err := w.reply(); err != nil {
			if isTimeout(err) {
				t.Error("still open")
			}
			return
		}
	}
}

// TestMailInMemoryIsBounded: over all connections, and given back.
//
// Proves: IS-SUB-2
func TestMailInMemoryIsBounded(t *testing.T) {
	r := newRig(t, func(s *snapshot.Snapshot) { s.Gateway.Limits.MaxInFlightBytes = 400_000 })
	big := "Subject: big\r\n\r\n" + strings.Repeat("0123456789abcdef\r\n", 12_000)
	first, second := r.raw(), r.raw()
	for _, w := range []*wire{first, second} {
		w.login()
		w.mail()
	}
	entered, leave := r.hold()
	first.say("DATA", 354)
	calendar := event("REQUEST", "anna@example.org", "bob@peer.example")
	first.write(strings.Replace(imipMail("anna@example.org", calendar), "Plans.\r\n--b", strings.Repeat("0123456789abcdef\r\n", 12_000)+"--b", 1) + ".\r\n")
	<-entered
	second.say("DATA", 354)
	second.write(big + ".\r\n")
	if reply := second.expect(452); !strings.Contains(reply, "4.3.1") {
		t.Errorf("%q", reply)
	}
	leave()
	first.expect(250)
	second.mail()
	second.data(big, 250)
}

// TestAPanicCostsOneMail: the process goes on, and so does the connection.
//
// Proves: IS-SUB-2
func TestAPanicCostsOneMail(t *testing.T) {
	r := newRig(t)
	panics := true
	r.before = func() {
		if panics {
			panic("a bug")
		}
	}
	w := r.raw()
	w.login()
	for _, want := range []int{451, 250} {
		w.mail()
		w.data(imipMail("anna@example.org", event("REQUEST", "anna@example.org", "bob@peer.example")), want)
		panics = false
	}
	if !strings.Contains(r.log.String(), "a bug") {
		t.Errorf("nothing in the log: %s", r.log)
	}

	r.apply(func(c *mail.Config) { c.Auth = broken{} })
	w = r.raw()
	w.say("EHLO client.example.org", 250)
	w.say("AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00one\x00secret")), 421)
	check(t, r.server.Shutdown(t.Context())) // the answer comes before the log
	if !strings.Contains(r.log.String(), "another bug") {
		t.Errorf("nothing in the log: %s", r.log)
	}
}

// broken is an Authenticator with a bug.
type broken struct{}

func (broken) Password(netip.Addr, string, string) ([]submission.Acting, time.Duration) {
	panic("another bug")
}

// TestStrangersAreNotWaitedFor: who has not authenticated within a minute is cut off, whatever else is said.
//
// Proves: IS-SUB-2
func TestStrangersAreNotWaitedFor(t *testing.T) {
	watched := &watchedListener{deadlines: make(chan time.Time, 100)}
	r := newRigBehind(t, func(ln net.Listener) net.Listener {
		watched.Listener = ln
		return watched
	})
	w := r.raw()
	w.say("NOOP", 250)
	first := <-watched.deadlines
	if in := time.Until(first); in > time.Minute || in < 50*time.Second {
		t.Errorf("a stranger may take %s", in)
	}
	for range 3 {
		w.say("NOOP", 250)
	}
	for len(watched.deadlines) > 0 {
		if d := <-watched.deadlines; d.After(first) {
			t.Errorf("talking gains time: %s", d.Sub(first))
		}
	}
	w.login()
	w.say("NOOP", 250)
	last := first
	for len(watched.deadlines) > 0 {
		last = <-watched.deadlines
	}
	if time.Until(last) < 4*time.Minute {
		t.Errorf("a submitter may take %s", time.Until(last))
	}
}
