package smarthost_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/smarthost"
	"github.com/calfed/calfed/gateway/smarthost/smtptest"
	"github.com/calfed/calfed/gateway/snapshot"
)

// The envelope arrives as it was given, over TLS and with our name, or plain where that was configured.
//
// Proves: IS-SUB-2
func TestEnvelope(t *testing.T) {
	for _, mode := range []snapshot.SMTPTLS{snapshot.SMTPStartTLS, snapshot.SMTPImplicit, snapshot.SMTPPlain} {
		t.Run(string(mode), func(t *testing.T) {
			s := serve(t, mode)
			e := &smarthost.Envelope{
				From: "alice@example.org", To: []string{"bob@peer.example", "odd \"one\"@peer.example"}, ID: "id+1 =x", Return: "HDRS",
				Notify:   map[string][]string{"bob@peer.example": {"failure", "DELAY"}},
				Original: map[string]string{"odd \"one\"@peer.example": "rfc822;list+one@example.org"},
			}
			mail := []byte("Subject: Plan\r\n\r\nHello\r\n")
			if err := newClient(t, s.Port(), mode).Send(t.Context(), e, mail); err != nil {
				t.Fatal(err)
			}
			want := smtptest.Mail{
				Hello: "gw.example.org", From: e.From, To: e.To, Body: string(mail), Secure: mode != snapshot.SMTPPlain,
				Options: smtp.MailOptions{Body: smtp.Body8BitMIME, Size: int64(len(mail)), Return: smtp.DSNReturnHeaders, EnvelopeID: "id+1 =x"},
				ToOptions: []smtp.RcptOptions{{
					Notify:                []smtp.DSNNotify{smtp.DSNNotifyFailure, smtp.DSNNotifyDelayed},
					OriginalRecipientType: smtp.DSNAddressTypeRFC822, OriginalRecipient: "bob@peer.example",
				}, {OriginalRecipientType: smtp.DSNAddressTypeRFC822, OriginalRecipient: "list+one@example.org"}},
			}
			if want.Secure {
				want.User = username
			}
			if diff := cmp.Diff([]smtptest.Mail{want}, s.Mails()); diff != "" {
				t.Errorf("the server took (-want +got):\n%s", diff)
			}
		})
	}
}

// Notifications have the null sender.
//
// Proves: IS-SUB-2
func TestNullSender(t *testing.T) {
	port, heard := act(t, wellBehaved())
	e, mail := simple()
	e.From = ""
	if err := newClient(t, port, snapshot.SMTPPlain).Send(t.Context(), e, mail); err != nil {
		t.Fatal(err)
	}
	want := []string{"EHLO gw.example.org", "MAIL FROM:<> BODY=8BITMIME", "RCPT TO:<bob@peer.example>", "DATA", "QUIT"}
	if diff := cmp.Diff(want, heard()); diff != "" {
		t.Errorf("the server heard (-want +got):\n%s", diff)
	}
}

// Mail arrives byte for byte.
//
// Proves: IS-SUB-2
func TestBytes(t *testing.T) {
	const header = "Subject: x\r\n\r\n"
	noise := make([]byte, 300_000)
	random := rand.NewChaCha8([32]byte{7})
	_, _ = random.Read(noise)
	noise = bytes.ReplaceAll(bytes.ReplaceAll(noise, []byte("\r"), []byte(".")), []byte("\n"), []byte("\r\n.\r\n"))
	s := serve(t, snapshot.SMTPStartTLS)
	client := newClient(t, s.Port(), snapshot.SMTPStartTLS)
	for _, tt := range []struct{ name, mail, want string }{
		{"leading dots", header + ".\r\n..\r\n. .\r\n...x\r\n", ""},
		{"what looks like the end of DATA", header + "a\r\n.\r\nMAIL FROM:<eve@example.org>\r\n", ""},
		{"a dot first", ".\r\n" + header, ""},
		{"8-bit, not even UTF-8", header + "gr\xfc\xdfe \x00\xff\r\n", ""},
		{"a header alone", header, ""},
		{"blank lines at the end", header + "x\r\n\r\n\r\n", ""},
		{"blanks at the end of lines", header + "x \t\r\n \r\n", ""},
		{"a long line", header + strings.Repeat("x", 100_000) + "\r\n", ""},
		{"all octets", header + string(noise) + "\r\n", ""},
		{"no CRLF at the end, which SMTP adds", header + "x", header + "x\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, _ := simple()
			if err := client.Send(t.Context(), e, []byte(tt.mail)); err != nil {
				t.Fatal(err)
			}
			if tt.want == "" {
				tt.want = tt.mail
			}
			mails := s.Mails()
			if got := mails[len(mails)-1].Body; got != tt.want {
				t.Errorf("%d octets arrived as %d others", len(tt.want), len(got))
			}
		})
	}
}

// What the server cannot carry as it is, or SMTP cannot at all, is refused for good, before the server hears of it.
//
// Proves: IS-SUB-2
func TestCannotBeCarried(t *testing.T) {
	eightBit := []byte("Subject: x\r\n\r\ngr\xc3\xbc\xc3\x9fe\r\n")
	for _, tt := range []struct {
		name     string
		envelope smarthost.Envelope
		mail     []byte
		says     string
	}{
		{"8-bit", smarthost.Envelope{To: []string{"bob@peer.example"}}, eightBit, "8BITMIME"},
		{"a recipient in UTF-8", smarthost.Envelope{To: []string{"jürgen@peer.example"}}, nil, "SMTPUTF8"},
		{"a sender in UTF-8", smarthost.Envelope{From: "jürgen@example.org", To: []string{"bob@peer.example"}}, nil, "SMTPUTF8"},
		{"a bare LF", smarthost.Envelope{To: []string{"bob@peer.example"}}, []byte("Subject: x\r\n\r\na\n.\nb\r\n"), "bare"},
		{"a bare CR", smarthost.Envelope{To: []string{"bob@peer.example"}}, []byte("Subject: x\r\n\r\na\rb\r\n"), "bare"},
		{"a bare CR at the end", smarthost.Envelope{To: []string{"bob@peer.example"}}, []byte("Subject: x\r\n\r\na\r"), "bare"},
		{"nobody", smarthost.Envelope{}, nil, "no recipient"},
		{"a command in an address", smarthost.Envelope{To: []string{"bob@peer.example>\r\nRCPT TO:<eve@peer.example"}}, nil, "recipient"},
		{"a parameter in an address", smarthost.Envelope{To: []string{"bob@peer.example> NOTIFY=NEVER"}}, nil, "recipient"},
		{"a parameter in the sender", smarthost.Envelope{From: "alice@example.org> SIZE=0", To: []string{"bob@peer.example"}}, nil, "sender"},
		{"no domain", smarthost.Envelope{To: []string{"bob"}}, nil, "recipient"},
		{"a null recipient", smarthost.Envelope{To: []string{""}}, nil, "recipient"},
		{"a NOTIFY of its own", smarthost.Envelope{To: []string{"b@peer.example"}, Notify: map[string][]string{"b@peer.example": {"NEVER", "DELAY"}}}, nil, "RFC 3461"},
		{"a RET of its own", smarthost.Envelope{To: []string{"b@peer.example"}, Return: "ALL"}, nil, "RFC 3461"},
		{"a line end in ENVID", smarthost.Envelope{To: []string{"b@peer.example"}, ID: "a\r\nRSET"}, nil, "RFC 3461"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			replies := wellBehaved()
			replies["EHLO"] = "250 mail.example" // no extension at all
			port, heard := act(t, replies)
			if tt.mail == nil {
				_, tt.mail = simple()
			}
			failure := sendFails(t, newClient(t, port, snapshot.SMTPPlain), &tt.envelope, tt.mail)
			if failure.Temporary || !strings.Contains(failure.Text, tt.says) {
				t.Errorf("%+v, want a final failure about %q", failure, tt.says)
			}
			for _, command := range heard() {
				if !strings.HasPrefix(command, "EHLO") {
					t.Errorf("the server heard %q", command)
				}
			}
		})
	}
}

// Many clients say SMTPUTF8 wherever it is offered. To a server without it goes what is all ASCII, and nothing else.
//
// Proves: IS-SUB-2
func TestSMTPUTF8WithoutNeed(t *testing.T) {
	port, heard := act(t, wellBehaved())
	c := newClient(t, port, snapshot.SMTPPlain)
	e := &smarthost.Envelope{To: []string{"bob@peer.example"}, UTF8: true}
	_, mail := simple()
	if err := c.Send(t.Context(), e, mail); err != nil {
		t.Fatal(err)
	}
	if commands := strings.Join(heard(), " "); strings.Contains(commands, "SMTPUTF8") {
		t.Errorf("the server heard %q", commands)
	}
	if failure := sendFails(t, c, e, []byte("Subject: Gr\xc3\xbc\xc3\x9fe\r\n\r\nx\r\n")); failure.Temporary || !strings.Contains(failure.Text, "SMTPUTF8") {
		t.Errorf("%+v, want a final failure about SMTPUTF8", failure)
	}
}

// With the extensions, addresses and contents in UTF-8 go as they are.
//
// Proves: IS-SUB-2
func TestUTF8(t *testing.T) {
	s := serve(t, snapshot.SMTPStartTLS)
	e := &smarthost.Envelope{
		From: "jürgen@example.org", To: []string{"zoë@peer.example"}, Notify: map[string][]string{"zoë@peer.example": {"NEVER"}},
	}
	if err := newClient(t, s.Port(), snapshot.SMTPStartTLS).Send(t.Context(), e, []byte("Subject: Grüße\r\n\r\nx\r\n")); err != nil {
		t.Fatal(err)
	}
	got := s.Mails()[0]
	if !got.Options.UTF8 || got.From != e.From || got.To[0] != e.To[0] || got.ToOptions[0].OriginalRecipientType != smtp.DSNAddressTypeUTF8 ||
		got.ToOptions[0].OriginalRecipient != e.To[0] {
		t.Errorf("%+v", got)
	}
}

// Servers of old know no DSN, no SIZE, and not even EHLO.
func TestNoExtensions(t *testing.T) {
	replies := wellBehaved()
	replies["EHLO"], replies["HELO"] = "502 what?", "250 mail.example"
	port, heard := act(t, replies)
	e, mail := simple()
	e.ID, e.Return, e.Notify = "x", "FULL", map[string][]string{"bob@peer.example": {"NEVER"}}
	if err := newClient(t, port, snapshot.SMTPPlain).Send(t.Context(), e, mail); err != nil {
		t.Fatal(err)
	}
	want := []string{"EHLO gw.example.org", "HELO gw.example.org", "MAIL FROM:<alice@example.org>", "RCPT TO:<bob@peer.example>", "DATA", "QUIT"}
	if diff := cmp.Diff(want, heard()); diff != "" {
		t.Errorf("the server heard (-want +got):\n%s", diff)
	}
}

// One refused recipient ends the transaction: nobody gets the mail, and the error names the one.
//
// Proves: IS-SUB-2
func TestOneRecipientIsRefused(t *testing.T) {
	s := serve(t, snapshot.SMTPImplicit)
	e, mail := simple()
	e.To = []string{"bob@peer.example", "nobody@peer.example", "carol@peer.example"}
	failure := sendFails(t, newClient(t, s.Port(), snapshot.SMTPImplicit), e, mail)
	want := smarthost.Error{
		Code: 550, Enhanced: "5.1.1", Recipient: "nobody@peer.example",
		Text: "mail server mail.example:" + itoa(s.Port()) + ": RCPT: 550 5.1.1 no such user",
	}
	if diff := cmp.Diff(want, *failure); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := len(s.Mails()); n != 0 {
		t.Errorf("%d mails were taken", n)
	}
}

// sendFails sends a mail that cannot be sent.
func sendFails(t testing.TB, c *smarthost.Client, e *smarthost.Envelope, mail []byte) *smarthost.Error {
	t.Helper()
	err := c.Send(t.Context(), e, mail)
	var failure *smarthost.Error
	if !errors.As(err, &failure) {
		t.Fatalf("err = %v, want *Error", err)
	}
	return failure
}

// What cannot work is refused when the client is made.
//
// Proves: IS-SUB-2
func TestNewRefuses(t *testing.T) {
	good := snapshot.SMTPServer{Host: "mail.example", Port: 587, TLS: snapshot.SMTPStartTLS, Username: "u", Password: "hidden"}
	for name, change := range map[string]func(*snapshot.SMTPServer) string{
		"no host":                   func(s *snapshot.SMTPServer) string { s.Host = ""; return "gw.example" },
		"a blank in the host":       func(s *snapshot.SMTPServer) string { s.Host = "a b"; return "gw.example" },
		"no port":                   func(s *snapshot.SMTPServer) string { s.Port = 0; return "gw.example" },
		"a port too high":           func(s *snapshot.SMTPServer) string { s.Port = 65536; return "gw.example" },
		"no TLS mode":               func(s *snapshot.SMTPServer) string { s.TLS = ""; return "gw.example" },
		"credentials without TLS":   func(s *snapshot.SMTPServer) string { s.TLS = snapshot.SMTPPlain; return "gw.example" },
		"no name of our own":        func(*snapshot.SMTPServer) string { return "" },
		"a command in our own name": func(*snapshot.SMTPServer) string { return "gw\r\nQUIT" },
	} {
		cfg := good
		hello := change(&cfg)
		if _, err := smarthost.New(cfg, netguard.New(netguard.Config{}), hello); err == nil || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, err := smarthost.New(good, netguard.New(netguard.Config{}), "gw.example")
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// Whether the server would take mail can be asked without one: TLS and AUTH are as for a mail, and no MAIL is said.
//
// Proves: IS-SUB-2
func TestReach(t *testing.T) {
	for _, mode := range []snapshot.SMTPTLS{snapshot.SMTPStartTLS, snapshot.SMTPImplicit} {
		s := serve(t, mode)
		if err := newClient(t, s.Port(), mode).Reach(t.Context()); err != nil || len(s.Mails()) != 0 {
			t.Errorf("%s: %v, %d mails", mode, err, len(s.Mails()))
		}
		wrong := snapshot.SMTPServer{Host: "mail.example", Port: s.Port(), TLS: mode, Username: username, Password: "hunter2"}
		c, err := smarthost.New(wrong, guard(netip.MustParsePrefix("127.0.0.0/8")), "gw.example.org")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Reach(t.Context()); err == nil || !strings.Contains(err.Error(), "AUTH") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s, a wrong password: %v", mode, err)
		}
	}
	port, heard := act(t, wellBehaved())
	if err := newClient(t, port, snapshot.SMTPPlain).Reach(t.Context()); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"EHLO gw.example.org", "QUIT"}, heard()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
