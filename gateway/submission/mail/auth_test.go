package mail_test

import (
	"encoding/base64"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"

	"github.com/calfed/calfed/gateway/snapshot"
)

// abroad makes every connection come from elsewhere.
type abroad struct{ net.Listener }

type fromAbroad struct{ net.Conn }

func (a abroad) Accept() (net.Conn, error) {
	c, err := a.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return fromAbroad{c}, nil
}

func (fromAbroad) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 4711} }

func extensions(reply string) []string {
	lines := strings.Split(strings.TrimSpace(reply), "\r\n")
	for i := range lines {
		lines[i] = lines[i][4:]
	}
	slices.Sort(lines[1:])
	return lines[1:]
}

// TestExtensions: what EHLO offers, before and after the connection is safe, and from where.
//
// Proves: IS-SUB-2
func TestExtensions(t *testing.T) {
	r := newRig(t)
	common := []string{"8BITMIME", "DSN", "ENHANCEDSTATUSCODES", "LIMITS RCPTMAX=5", "PIPELINING", "SIZE 300000", "SMTPUTF8", "STARTTLS"}
	w := r.raw()
	if got := extensions(w.say("EHLO x", 250)); !slices.Equal(got, slices.Insert(slices.Clone(common), 1, "AUTH PLAIN LOGIN")) {
		t.Errorf("from loopback: %q", got)
	}
	far := newRigBehind(t, func(ln net.Listener) net.Listener { return abroad{ln} })
	w = far.raw()
	if got := extensions(w.say("EHLO x", 250)); !slices.Equal(got, common) {
		t.Errorf("from abroad in clear: %q", got)
	}
	w.say("AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00one\x00secret")), 538)
	w.say("MAIL FROM:<anna@example.org>", 530)
	c := far.secure()
	if ok, mechanisms := c.Extension("AUTH"); !ok || mechanisms != "PLAIN LOGIN" {
		t.Errorf("from abroad over TLS: %q", mechanisms)
	}
	for _, not := range []string{"STARTTLS", "CHUNKING"} {
		if ok, _ := c.Extension(not); ok {
			t.Errorf("%s is offered over TLS", not)
		}
	}
	check(t, far.send("one", "anna@example.org", []string{"bob@peer.example"}, plainMail))
}

// TestOnlyThePasswordAuthorises: neither TLS nor loopback does.
//
// Proves: IS-SUB-1, IS-SUB-2
func TestOnlyThePasswordAuthorises(t *testing.T) {
	r := newRig(t)
	w := r.raw()
	w.say("MAIL FROM:<anna@example.org>", 502) // EHLO first
	w.say("EHLO x", 250)
	for _, command := range []string{"MAIL FROM:<anna@example.org>", "MAIL FROM:<>"} {
		if reply := w.say(command, 530); !strings.Contains(reply, "5.7.0") {
			t.Errorf("%s: %q", command, reply)
		}
	}
	w.say("RCPT TO:<anna@example.org>", 502)
	w.say("DATA", 502)
	w.say("NOOP", 250)
	c := r.secure()
	if err := c.Mail("anna@example.org", nil); code(err) != 530 {
		t.Errorf("TLS: %v", err)
	}
	for name, mechanism := range map[string]sasl.Client{
		"wrong password": sasl.NewPlainClient("", "one", "guess"), "unknown user": sasl.NewPlainClient("", "nobody", "secret"),
		"for another": sasl.NewPlainClient("both", "one", "secret"), "LOGIN": &loginClient{"one", "guess"}, "empty": sasl.NewPlainClient("", "", ""),
	} {
		c := r.secure()
		if err := c.Auth(mechanism); code(err) != 535 {
			t.Errorf("%s: %v", name, err)
		}
		if err := c.Mail("anna@example.org", nil); code(err) != 530 {
			t.Errorf("%s: MAIL: %v", name, err)
		}
	}
	for name, mechanism := range map[string]sasl.Client{
		"PLAIN": sasl.NewPlainClient("", "one", "secret"), "LOGIN": &loginClient{"one", "secret"}, "for oneself": sasl.NewPlainClient("one", "one", "secret"),
	} {
		c := r.secure()
		if err := c.Auth(mechanism); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		check(t, c.Mail("anna@example.org", nil))
	}
	if strings.Contains(r.log.String(), "guess") {
		t.Error("a password in the log")
	}
}

// loginClient sends the user name when it is asked, which not all do.
type loginClient struct{ username, password string }

func (c *loginClient) Start() (string, []byte, error) { return sasl.Login, nil, nil }

func (c *loginClient) Next(challenge []byte) ([]byte, error) {
	if string(challenge) == "Username:" {
		return []byte(c.username), nil
	}
	return []byte(c.password), nil
}

// TestGuessingEnds: three wrong passwords end the connection, and a throttled source hears how long to wait.
//
// Proves: IS-SUB-1, IS-SUB-2
func TestGuessingEnds(t *testing.T) {
	r := newRig(t)
	w := r.raw()
	w.say("EHLO x", 250)
	guess := "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00one\x00guess"))
	w.say(guess, 535)
	w.say(guess, 535)
	w.say(guess, 535)
	w.expect(421)
	if _, err := w.in.ReadByte(); err == nil {
		t.Error("still open")
	}
	r.set(func() { r.wait = 1500 * time.Millisecond })
	w = r.raw()
	w.say("EHLO x", 250)
	if reply := w.say(strings.Replace(guess, "guess", "secret", 1), 454); !strings.Contains(reply, "4.7.0") || !strings.Contains(reply, "2 s") {
		t.Errorf("%q", reply)
	}
	w.expect(421)
}

// TestANewConfigurationAsksAgain: who authenticated under the old one connects again.
//
// Proves: IS-SUB-1
func TestANewConfigurationAsksAgain(t *testing.T) {
	r := newRig(t)
	t.Run("before MAIL", func(t *testing.T) {
		w := r.raw()
		w.login()
		r.apply()
		w.say("MAIL FROM:<anna@example.org>", 421)
		w.expect(421)
	})
	t.Run("before DATA", func(t *testing.T) {
		w := r.raw()
		w.login()
		w.mail()
		r.apply()
		w.data(plainMail, 421)
	})
	if got := r.relay.sent(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	t.Run("none", func(t *testing.T) {
		r.set(func() { r.handler = nil })
		conn, err := net.Dial("tcp", r.addr)
		check(t, err)
		defer func() { _ = conn.Close() }()
		greeting := make([]byte, 100)
		n, err := conn.Read(greeting)
		if err != nil || !strings.HasPrefix(string(greeting[:n]), "421 ") {
			t.Errorf("%q, %v", greeting[:n], err)
		}
	})
}

// TestBoundsOfASubmission: size and recipients are those of the snapshot.
//
// Proves: IS-SUB-2
func TestBoundsOfASubmission(t *testing.T) {
	r := newRig(t, func(s *snapshot.Snapshot) { s.Gateway.Submission.SMTP.MaxMessageBytes = 100_000 })
	w := r.raw()
	w.login()
	w.say("MAIL FROM:<anna@example.org> SIZE=100001", 552)
	w.say("MAIL FROM:<anna@example.org> REQUIRETLS", 504)
	w.say("MAIL FROM:<anna@example.org> SIZE=100000", 250)
	for range 5 {
		w.say("RCPT TO:<bob@peer.example>", 250)
	}
	if reply := w.say("RCPT TO:<bob@peer.example>", 452); !strings.Contains(reply, "4.5.3") {
		t.Errorf("%q", reply)
	}
	w.data(strings.Repeat("0123456789abcdef\r\n", 10_000), 552)
	w.mail()
	w.say("DATA", 354)
	w.write(strings.Repeat("0123456789abcdef\r\n", 5_000) + ".\r\n") // the connection is as good as before
	w.expect(250)
	if got := r.relay.sent(); len(got) != 1 || len(got[0].mail) != 90_000 {
		t.Errorf("%d mails", len(got))
	}

	w = r.raw() // the bounds of the configuration that it authenticates under count, too
	r.snapshot.Gateway.Submission.SMTP.MaxMessageBytes = 70_000
	r.apply()
	w.login()
	w.mail()
	w.data(strings.Repeat("0123456789abcdef\r\n", 5_000), 552)
}
