package smarthost

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/snapshot"
)

// open makes a session in which mail can be sent: TLS as it is configured, EHLO, AUTH.
func (c *Client) open(ctx context.Context, raw net.Conn) (*smtp.Client, *Error) {
	conn := &bounded{Conn: raw, left: maxReplies}
	if c.cfg.TLS == snapshot.SMTPStartTLS {
		if failure := c.askForTLS(ctx, raw); failure != nil {
			return nil, failure
		}
		// after STARTTLS there is no second greeting, which go-smtp waits for
		conn.first = "220 \r\n"
	}
	if c.cfg.TLS != snapshot.SMTPPlain {
		secured, err := c.guard.Handshake(ctx, raw, strings.TrimSuffix(c.cfg.Host, "."), netguard.TLS{})
		if err != nil {
			return nil, c.before(ctx, "TLS", err)
		}
		conn.Conn = secured
	}
	session := smtp.NewClient(conn)
	session.CommandTimeout, session.SubmissionTimeout = c.command, c.accept
	if err := session.Hello(c.hello); err != nil {
		return nil, c.before(ctx, "greeting", err)
	}
	if c.cfg.Username == "" {
		return session, nil
	}
	if !session.SupportsAuth(sasl.Plain) {
		return nil, c.before(ctx, "AUTH", errors.New("PLAIN is not offered"))
	}
	if err := session.Auth(sasl.NewPlainClient("", c.cfg.Username, c.cfg.Password)); err != nil {
		var reply *smtp.SMTPError
		if errors.As(err, &reply) {
			err = &smtp.SMTPError{Code: reply.Code, Message: "the credentials are not accepted"} // some answers repeat them
		}
		return nil, c.before(ctx, "AUTH", err)
	}
	return session, nil
}

// askForTLS is the part of the conversation that everybody on the way can read and change, up to the server's "go ahead"
// (RFC 3207). It is not go-smtp's, which says EHLO localhost here and leaves the handshake to the next command.
func (c *Client) askForTLS(ctx context.Context, raw net.Conn) *Error {
	_ = raw.SetDeadline(time.Now().Add(c.command))
	text := textproto.NewConn(&bounded{Conn: raw, left: maxReplies})
	ask := func(code int, format string, args ...any) (string, error) {
		if format != "" {
			if err := text.PrintfLine(format, args...); err != nil {
				return "", err
			}
		}
		_, reply, err := text.ReadResponse(code)
		return reply, err
	}
	if _, err := ask(220, ""); err != nil {
		return c.before(ctx, "greeting", err)
	}
	offered, err := ask(250, "EHLO %s", c.hello)
	if err != nil {
		return c.before(ctx, "EHLO", err)
	}
	if !offers(offered, "STARTTLS") {
		return c.before(ctx, "STARTTLS", errors.New("not offered; without it nothing is sent"))
	}
	if _, err := ask(220, "STARTTLS"); err != nil {
		return c.before(ctx, "STARTTLS", err)
	}
	if n := text.R.Buffered(); n > 0 { // somebody on the way wants it read as if it had come over TLS
		return c.before(ctx, "STARTTLS", fmt.Errorf("%d octets too many before TLS", n))
	}
	_ = raw.SetDeadline(time.Time{})
	return nil
}

// offers reads an answer to EHLO.
func offers(ehlo, extension string) bool {
	for i, line := range strings.Split(ehlo, "\n") {
		if keyword, _, _ := strings.Cut(line, " "); i > 0 && strings.EqualFold(keyword, extension) {
			return true
		}
	}
	return false
}

// maxReplies bounds what a server may say in one session.
const maxReplies = 64 << 10

var errTalkative = errors.New("the server says too much")

// bounded is a connection whose other end may say so much and no more.
type bounded struct {
	net.Conn
	first string // read before anything else
	left  int
}

// Read implements net.Conn.
func (b *bounded) Read(p []byte) (int, error) {
	if b.first != "" {
		n := copy(p, b.first)
		b.first = b.first[n:]
		return n, nil
	}
	if b.left <= 0 {
		return 0, errTalkative
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
