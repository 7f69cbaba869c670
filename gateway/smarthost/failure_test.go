package smarthost_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/smarthost"
	"github.com/calfed/calfed/gateway/snapshot"
)

// A refusal is final only when it is about the mail: 5yz from MAIL on. Every other may pass.
//
// Proves: IS-SUB-2
func TestReplies(t *testing.T) {
	for _, tt := range []struct {
		name, command, reply string
		temporary            bool
		code                 int
		recipient            string
	}{
		{"too busy to greet", "", "421 come back later", true, 421, ""},
		{"greets with 5yz", "", "554 no mail here", true, 554, ""},
		{"EHLO 4yz", "EHLO", "450 not now", true, 450, ""},
		{"EHLO 5yz", "EHLO", "550 who are you", true, 550, ""},
		{"MAIL 4yz", "MAIL", "452 4.3.1 no room", true, 452, ""},
		{"MAIL 5yz", "MAIL", "552 5.3.4 too large", false, 552, ""},
		{"MAIL without AUTH", "MAIL", "530 5.7.0 authentication required", true, 530, ""},
		{"RCPT 4yz", "RCPT", "450 4.2.0 greylisted", true, 450, "bob@peer.example"},
		{"RCPT 5yz", "RCPT", "550 no such user", false, 550, "bob@peer.example"},
		{"RCPT 251 is a yes", "RCPT", "251 will forward", false, 0, ""},
		{"DATA 4yz", "DATA", "451 not now", true, 451, ""},
		{"DATA 5yz", "DATA", "554 no valid recipients", false, 554, ""},
		{"the mail 4yz", ".", "451 4.3.0 try again", true, 451, ""},
		{"the mail 5yz", ".", "554 5.7.1 spam", false, 554, ""},
		{"going down meanwhile", ".", "421 4.3.2 shutting down", true, 421, ""},
		{"a yes to something else", "MAIL", "354 go on", true, 354, ""},
		{"garbage", "RCPT", "\x1b[2J<html>", true, 0, ""},
		{"a code that is none", "RCPT", "99999 x", true, 0, ""},
		{"hangs up at MAIL", "MAIL", closes, true, 0, ""},
		{"hangs up at the greeting", "", closes, true, 0, ""},
		{"hangs up at the end of DATA", ".", closes, true, 0, ""},
		{"a line without end", "MAIL", "250 " + strings.Repeat("x", 200_000), true, 0, ""},
		{"lines without end", "EHLO", strings.Repeat("250-X\r\n", 100_000) + "250 X", true, 0, ""},
		{"a bad QUIT changes nothing", "QUIT", "500 stay", false, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			replies := wellBehaved()
			replies[tt.command] = tt.reply
			port, _ := act(t, replies)
			e, mail := simple()
			err := newClient(t, port, snapshot.SMTPPlain).Send(t.Context(), e, mail)
			var failure *smarthost.Error
			if !errors.As(err, &failure) {
				if err != nil || tt.temporary || tt.code != 0 {
					t.Fatalf("err = %v", err)
				}
				return
			}
			if failure.Temporary != tt.temporary || failure.Code != tt.code || failure.Recipient != tt.recipient {
				t.Errorf("%+v", failure)
			}
			checkText(t, failure, port)
		})
	}
}

// checkText: an error names the server, is one short line, and shows no credential.
func checkText(t testing.TB, e *smarthost.Error, port int) {
	t.Helper()
	if !strings.Contains(e.Text, "mail.example:"+itoa(port)) || strings.ContainsFunc(e.Text, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(e.Text) > 400 {
		t.Errorf("text %q", e.Text)
	}
	for _, shown := range []string{e.Error(), fmt.Sprint(e.Err)} {
		for _, secret := range []string{
			password, base64.StdEncoding.EncodeToString([]byte(password)),
			base64.StdEncoding.EncodeToString([]byte("\x00" + username + "\x00" + password)),
		} {
			if strings.Contains(shown, secret) {
				t.Errorf("a credential is shown: %q", shown)
			}
		}
	}
}

// A silent server costs a command's time, and never more than the caller has.
//
// Proves: IS-SUB-2
func TestSilence(t *testing.T) {
	e, mail := simple()
	for _, command := range []string{"", "EHLO", "MAIL", "RCPT", "DATA", "."} {
		t.Run("at "+command, func(t *testing.T) {
			replies := wellBehaved()
			delete(replies, command)
			port, _ := act(t, replies)
			impatient := newClient(t, port, snapshot.SMTPPlain)
			impatient.Patience(50*time.Millisecond, 50*time.Millisecond)
			if failure := sendFails(t, impatient, e, mail); !failure.Temporary {
				t.Errorf("%+v", failure)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			err := newClient(t, port, snapshot.SMTPPlain).Send(ctx, e, mail)
			var failure *smarthost.Error
			if !errors.As(err, &failure) || !failure.Temporary || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("err = %v", err)
			}
		})
	}
	t.Run("before TLS", func(t *testing.T) {
		port, _ := act(t, nil)
		impatient := newClient(t, port, snapshot.SMTPStartTLS)
		impatient.Patience(50*time.Millisecond, 50*time.Millisecond)
		if failure := sendFails(t, impatient, e, mail); !failure.Temporary {
			t.Errorf("%+v", failure)
		}
	})
	t.Run("before the connection", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c, err := smarthost.New(snapshot.SMTPServer{Host: "mail.example", Port: 25, TLS: snapshot.SMTPPlain},
			netguard.New(netguard.Config{Resolver: asleep{cancel}, DialTimeout: time.Hour}), "gw.example.org")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Send(ctx, e, mail); !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("a server that does not read", func(t *testing.T) {
		ln, port := listen(t)
		defer func() { _ = ln.Close() }()
		done := make(chan struct{})
		release := make(chan struct{})
		go func() {
			defer close(done)
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			defer func() { _ = conn.Close() }()
			_, _ = io.WriteString(conn, "220 x\r\n250 x\r\n250 x\r\n250 x\r\n354 x\r\n")
			<-release
		}()
		large := append([]byte("Subject: x\r\n\r\n"), strings.Repeat(strings.Repeat("x", 998)+"\r\n", 16<<10)...)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		err := newClient(t, port, snapshot.SMTPPlain).Send(ctx, e, large)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v", err)
		}
		close(release)
		_ = ln.Close()
		<-done
	})
}

// asleep is a resolver that never answers; its client gives up.
type asleep struct{ giveUp func() }

func (a asleep) LookupAddrs(ctx context.Context, _ string) ([]netip.Addr, error) {
	a.giveUp()
	<-ctx.Done()
	return nil, ctx.Err()
}

// Where TLS is demanded nothing but the demand leaves without it: no fallback to plain text, no credentials, no mail.
//
// Proves: IS-SUB-2
func TestTLSIsDemanded(t *testing.T) {
	withTLS := func(change func(map[string]string)) map[string]string {
		replies := wellBehaved()
		replies["EHLO"], replies["STARTTLS"] = "250-mail.example\r\n250 STARTTLS", "220 go on"
		change(replies)
		return replies
	}
	for name, replies := range map[string]map[string]string{
		"stripped from EHLO": withTLS(func(r map[string]string) { r["EHLO"] = "250-mail.example\r\n250 AUTH PLAIN" }),
		"EHLO is not known":  withTLS(func(r map[string]string) { r["EHLO"], r["HELO"] = "502 what?", "250 hello" }),
		"not now":            withTLS(func(r map[string]string) { r["STARTTLS"] = "454 TLS is not available" }),
		"refused":            withTLS(func(r map[string]string) { r["STARTTLS"] = "501 no" }),
		"plain text after all": withTLS(func(r map[string]string) {
			r["STARTTLS"] = "220 go on\r\n250-mail.example\r\n250 AUTH PLAIN" // read as if it had come over TLS
		}),
		"a greeting that says more": withTLS(func(r map[string]string) {
			r[""] = "220 mail.example\r\n250-mail.example\r\n250 STARTTLS\r\n220 go on\r\n250 x"
		}),
	} {
		t.Run(name, func(t *testing.T) {
			port, heard := act(t, replies)
			e, mail := simple()
			failure := sendFails(t, newClient(t, port, snapshot.SMTPStartTLS), e, mail)
			if !failure.Temporary {
				t.Errorf("%+v", failure)
			}
			checkText(t, failure, port)
			for _, command := range heard() {
				if verb, _, _ := strings.Cut(command, " "); verb != "EHLO" && verb != "STARTTLS" {
					t.Errorf("the server heard %q without TLS", command)
				}
			}
		})
	}
}

// The server has to be who it is configured to be.
//
// Proves: IS-SUB-2
func TestServerIdentity(t *testing.T) {
	for _, mode := range []snapshot.SMTPTLS{snapshot.SMTPStartTLS, snapshot.SMTPImplicit} {
		t.Run(string(mode), func(t *testing.T) {
			s := serve(t, mode, "other.example")
			e, mail := simple()
			failure := sendFails(t, newClient(t, s.Port(), mode), e, mail)
			if !failure.Temporary || !errors.Is(failure, netguard.ErrIdentity) {
				t.Errorf("%+v", failure)
			}
			if len(s.Mails()) > 0 {
				t.Error("it got the mail")
			}
		})
	}
}

// A server that does not know us, or talks about what we said to it, learns no more, and tells nobody else.
//
// Proves: IS-SUB-2
func TestCredentials(t *testing.T) {
	encoded := base64.StdEncoding.EncodeToString([]byte("\x00" + username + "\x00" + password))
	for _, tt := range []struct {
		name, command, reply string
		code                 int
	}{
		{"refused", "AUTH", "535 5.7.8 no", 535},
		{"refused, and repeated", "AUTH", "535 5.7.8 what is " + encoded + "?", 535},
		{"refused, and repeated in part", "AUTH", "535 5.7.8 " + base64.StdEncoding.EncodeToString([]byte(password)), 535},
		{"not offered", "EHLO", "250 mail.example", 0},
		{"another mechanism", "EHLO", "250-mail.example\r\n250 AUTH LOGIN", 0},
		{"repeated later", "MAIL", "450 4.7.1 your password is " + password, 450},
	} {
		t.Run(tt.name, func(t *testing.T) {
			replies := wellBehaved()
			replies["EHLO"], replies["AUTH"] = "250-mail.example\r\n250 AUTH PLAIN", "235 welcome"
			replies["*"] = "500 what?" // go-smtp says so after every refusal
			replies[tt.command] = tt.reply
			ln, port := listen(t)
			done := make(chan struct{})
			go func() {
				defer close(done)
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				secured := tls.Server(conn, serverTLS(t, "mail.example"))
				defer func() { _ = secured.Close() }()
				perform(secured, replies, func(string) {})
			}()
			t.Cleanup(func() { _ = ln.Close(); <-done })
			e, mail := simple()
			failure := sendFails(t, newClient(t, port, snapshot.SMTPImplicit), e, mail)
			if !failure.Temporary || failure.Code != tt.code {
				t.Errorf("%+v", failure)
			}
			checkText(t, failure, port)
		})
	}
}

// Mail leaves through the guard.
//
// Proves: IS-DISC-10
func TestGuarded(t *testing.T) {
	s := serve(t, snapshot.SMTPPlain)
	for name, tt := range map[string]struct {
		guard *netguard.Guard
		port  int
	}{
		"an address that is not permitted": {guard(), s.Port()},
		"a port that is not one of mail":   {guard(netip.MustParsePrefix("127.0.0.0/8")), 443},
	} {
		c, err := smarthost.New(snapshot.SMTPServer{Host: "mail.example", Port: tt.port, TLS: snapshot.SMTPPlain}, tt.guard, "gw.example.org")
		if err != nil {
			t.Fatal(err)
		}
		e, mail := simple()
		failure := sendFails(t, c, e, mail)
		var refused *netguard.RefusedError
		if !failure.Temporary || !errors.As(failure, &refused) {
			t.Errorf("%s: %+v", name, failure)
		}
	}
	if len(s.Mails()) > 0 {
		t.Error("a mail left")
	}
}

// FuzzServer: whatever a server says, the answer is nil or an *Error.
func FuzzServer(f *testing.F) {
	good := wellBehaved()
	f.Add(good[""]+"\r\n"+good["EHLO"]+"\r\n250 x\r\n250 x\r\n354 x\r\n250 x\r\n221 x\r\n", false)
	f.Add(good[""]+"\r\n250-x\r\n250 STARTTLS\r\n220 x\r\n", true)
	f.Add("421 \x1b]0;x\r\n", false)
	f.Add("220-\r\n220 \r\n250-\r\n250-8BITMIME\r\n250 SIZE -1\r\n550 5.1.1 \r\n", false)
	f.Add("220 x\r\n250 x\r\n999 x\r\n", true)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = ln.Close() })
	c, err := smarthost.New(snapshot.SMTPServer{
		Host: "mail.example", Port: ln.Addr().(*net.TCPAddr).Port, TLS: snapshot.SMTPPlain,
	}, guard(netip.MustParsePrefix("127.0.0.0/8")), "gw.example.org")
	if err != nil {
		f.Fatal(err)
	}
	secure, err := smarthost.New(snapshot.SMTPServer{
		Host: "mail.example", Port: ln.Addr().(*net.TCPAddr).Port, TLS: snapshot.SMTPStartTLS,
	}, guard(netip.MustParsePrefix("127.0.0.0/8")), "gw.example.org")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, says string, demandTLS bool) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, says)
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}()
		client := c
		if demandTLS {
			client = secure
		}
		e, mail := simple()
		err := client.Send(t.Context(), e, mail)
		<-done
		var failure *smarthost.Error
		if err == nil && demandTLS {
			t.Error("sent without TLS")
		}
		if err == nil {
			return
		}
		if !errors.As(err, &failure) || failure.Text == "" || strings.ContainsFunc(failure.Text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Errorf("err = %#v", err)
		}
	})
}
