package smarthost_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
	"go.uber.org/goleak"

	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/gateway/smarthost"
	"github.com/calfed/calfed/gateway/smarthost/smtptest"
	"github.com/calfed/calfed/gateway/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	username = "calfed"
	password = "open-sesame"
)

// toLoopback resolves every name to this machine.
type toLoopback struct{}

func (toLoopback) LookupAddrs(context.Context, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

var testCA = sync.OnceValue(func() *catest.CA {
	ca, err := catest.New()
	if err != nil {
		panic(err)
	}
	return ca
})

// serverTLS is for a server that is called host.
func serverTLS(t testing.TB, host string) *tls.Config {
	t.Helper()
	cert, err := testCA().Issue(catest.Leaf{DNS: []string{host}})
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}}
}

// newClient is a client of mail.example at that port.
func newClient(t testing.TB, port int, mode snapshot.SMTPTLS) *smarthost.Client {
	t.Helper()
	cfg := snapshot.SMTPServer{Host: "mail.example", Port: port, TLS: mode}
	if mode != snapshot.SMTPPlain {
		cfg.Username, cfg.Password = username, password
	}
	c, err := smarthost.New(cfg, guard(netip.MustParsePrefix("127.0.0.0/8")), "gw.example.org")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func guard(permitted ...netip.Prefix) *netguard.Guard {
	return netguard.New(netguard.Config{Resolver: toLoopback{}, BackendCIDRs: permitted, Roots: testCA().Pool()})
}

func listen(t testing.TB) (net.Listener, int) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln, ln.Addr().(*net.TCPAddr).Port
}

// serve starts a real server that knows everything but nobody@peer.example.
func serve(t testing.TB, mode snapshot.SMTPTLS, names ...string) *smtptest.Server {
	t.Helper()
	cfg := smtptest.Config{
		Username: username, Password: password, Implicit: mode == snapshot.SMTPImplicit,
		Refuse: map[string]*smtp.SMTPError{
			"nobody@peer.example": {Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"},
		},
	}
	if mode != snapshot.SMTPPlain {
		cfg.TLS = serverTLS(t, append(names, "mail.example")[0])
	}
	s, err := smtptest.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// The replies of an act that go well, by command; "" is the greeting and "." the end of a mail.
func wellBehaved() map[string]string {
	return map[string]string{
		"": "220 mail.example", "EHLO": "250-mail.example\r\n250 8BITMIME", "MAIL": "250 go on", "RCPT": "250 go on", "DATA": "354 go on",
		".": "250 taken", "QUIT": "221 bye",
	}
}

// act plays a server that answers commands by a script, and falls silent where it has no line. It returns the port, and the
// commands it heard.
func act(t testing.TB, replies map[string]string) (port int, heard func() []string) {
	t.Helper()
	ln, port := listen(t)
	var mu sync.Mutex
	var commands []string
	var conns sync.WaitGroup
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer func() { _ = conn.Close() }()
				perform(conn, replies, func(command string) {
					mu.Lock()
					defer mu.Unlock()
					commands = append(commands, command)
				})
			})
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done; conns.Wait() })
	return port, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), commands...)
	}
}

// closes makes act hang up in place of an answer.
const closes = "\x00"

func perform(conn net.Conn, replies map[string]string, hear func(string)) {
	in := bufio.NewReader(conn)
	say := func(command string) bool {
		reply, known := replies[command]
		if !known {
			return true // silence
		}
		if reply == closes {
			return false
		}
		_, err := io.WriteString(conn, reply+"\r\n")
		return err == nil
	}
	data := false
	for ok := say(""); ok; {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		command, _, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		if data && command != "." {
			continue
		}
		if !data {
			hear(strings.TrimSpace(line))
		}
		data = command == "DATA" && strings.HasPrefix(replies["DATA"], "354")
		ok = say(command)
	}
}

// simple is an envelope and a mail that every server takes.
func simple() (*smarthost.Envelope, []byte) {
	return &smarthost.Envelope{From: "alice@example.org", To: []string{"bob@peer.example"}}, []byte("Subject: Plan\r\n\r\nHello\r\n")
}

func itoa(n int) string { return strconv.Itoa(n) }
