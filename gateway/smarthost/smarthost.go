// Package smarthost hands mail to one SMTP server (RFC 5321): the organisation's smarthost, or a calendar system that only reads
// mail. It keeps no queue and no connection: what the server does not take now is the caller's.
package smarthost

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Envelope is that of one mail. Addresses are without <>, their local parts not quoted.
type Envelope struct {
	From   string // "" = the null sender, for notifications
	To     []string
	UTF8   bool                // SMTPUTF8 was said (RFC 6531): octets beyond ASCII in the mail need it then; addresses by themselves
	ID     string              // ENVID (RFC 3461), "" = none
	Return string              // RET: "", "FULL", "HDRS"
	Notify map[string][]string // NOTIFY by recipient, as it was asked of us; passed on when the server knows DSN
	// Original is ORCPT by recipient, decoded: "rfc822;bob@example.org". Without one, a recipient with NOTIFY is its own.
	Original map[string]string
}

// How long a server may take. RFC 5321 §4.5.3.2 wants 5 and 10 minutes of clients that have a queue; somebody waits for ours.
const (
	commandTimeout  = time.Minute     // one command and its reply
	acceptTimeout   = 5 * time.Minute // from the end of the mail to its reply
	transferTimeout = 10 * time.Minute
	quitTimeout     = 2 * time.Second
)

// Client hands mail to one server. Safe for concurrent use.
type Client struct {
	cfg     snapshot.SMTPServer
	guard   *netguard.Guard
	hello   string
	secrets []string      // what no error may show
	command time.Duration // commandTimeout
	accept  time.Duration // acceptTimeout
}

// New makes a Client. Connections obey the guard's Mail rules. hello is the name in EHLO. It connects to nothing.
func New(cfg snapshot.SMTPServer, guard *netguard.Guard, hello string) (*Client, error) {
	c := &Client{cfg: cfg, guard: guard, hello: hello, command: commandTimeout, accept: acceptTimeout}
	switch {
	case cfg.Host == "" || !visible(cfg.Host) || cfg.Port < 1 || cfg.Port > 65535:
		return nil, fmt.Errorf("mail server: %q is no host with a port", c.address())
	case cfg.TLS != snapshot.SMTPStartTLS && cfg.TLS != snapshot.SMTPImplicit && cfg.TLS != snapshot.SMTPPlain:
		return nil, fmt.Errorf("mail server %s: unknown TLS mode %q", c.address(), cfg.TLS)
	case cfg.TLS == snapshot.SMTPPlain && cfg.Username != "":
		return nil, fmt.Errorf("mail server %s: credentials need TLS", c.address())
	case hello == "" || !visible(hello):
		return nil, fmt.Errorf("mail server %s: %q cannot be said in EHLO", c.address(), hello)
	}
	if cfg.Password != "" {
		plain := "\x00" + cfg.Username + "\x00" + cfg.Password
		c.secrets = []string{cfg.Password, base64.StdEncoding.EncodeToString([]byte(plain))}
	}
	return c, nil
}

func (c *Client) address() string { return net.JoinHostPort(c.cfg.Host, strconv.Itoa(c.cfg.Port)) }

// Send hands mail over, byte for byte, to all recipients or to none: one that is refused ends the transaction before DATA.
// Lines of mail end in CRLF, the last one too, else SMTP adds it; a bare CR or LF cannot be sent. What the server cannot carry
// as it is (8-bit, SMTPUTF8) is refused, never encoded anew. Errors are *Error. nil means that the server has taken
// responsibility.
func (c *Client) Send(ctx context.Context, e *Envelope, mail []byte) error {
	t, failure := c.prepare(e, mail)
	if failure != nil {
		return failure
	}
	return c.converse(ctx, t.run)
}

// Reach goes as far as a mail would, without one: connection, TLS, EHLO, AUTH. Errors are *Error.
func (c *Client) Reach(ctx context.Context) error {
	return c.converse(ctx, func(context.Context, *smtp.Client) *Error { return nil })
}

// converse opens a session, and takes leave when run has ended.
func (c *Client) converse(ctx context.Context, run func(context.Context, *smtp.Client) *Error) error {
	ctx, cancel := context.WithTimeout(ctx, transferTimeout)
	defer cancel()
	raw, err := c.guard.DialContext(netguard.Mail)(ctx, "tcp", c.address())
	if err != nil {
		return c.before(ctx, "connection", err)
	}
	defer func() { _ = raw.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() }) // go-smtp knows deadlines of its own only
	defer stop()

	session, failure := c.open(ctx, raw)
	if failure == nil {
		failure = run(ctx, session)
		quit(session, failure)
	}
	if failure != nil {
		return failure
	}
	return nil
}

// quit takes leave of a server that still answers; it changes nothing any more.
func quit(session *smtp.Client, failure *Error) {
	if failure == nil || failure.Code != 0 {
		session.CommandTimeout = quitTimeout
		_ = session.Quit()
	}
}

// Close frees what the client holds.
func (c *Client) Close() {}

// visible says whether s is visible ASCII without blanks.
func visible(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}
