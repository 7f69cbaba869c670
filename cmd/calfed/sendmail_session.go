package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/calfed/calfed/gateway/smarthost"
)

// proxySMTP speaks SMTP on standard input and output, and does what it is told at the gateway (sendmail -bs). The program that
// calls it need not authenticate: the settings do, from its first mail on.
func proxySMTP(ctx context.Context, s *sendmailSettings, in io.Reader, out io.Writer) error {
	pipe := &pipes{Reader: in, out: out, closed: make(chan struct{})}
	p := &proxy{ctx: ctx, settings: s}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return p, nil }))
	server.Domain = "localhost"
	server.EnableDSN, server.EnableSMTPUTF8 = true, true
	server.MaxLineLength = 1 << 20
	server.ErrorLog = log.New(io.Discard, "", 0)
	stop := context.AfterFunc(ctx, func() { _ = pipe.Close() })
	defer stop()
	_ = server.Serve(pipe)
	if ctx.Err() == nil { // else somebody is in a hurry, and the caller may never close its end
		_ = server.Shutdown(context.Background())
		p.hangUp()
	}
	return nil
}

// proxy is the one session.
type proxy struct {
	ctx      context.Context
	settings *sendmailSettings
	upstream *submitter // nil = not connected
}

func (p *proxy) hangUp() {
	if p.upstream != nil {
		p.upstream.close()
		p.upstream = nil
	}
}

// Mail begins a mail there, connecting first.
func (p *proxy) Mail(from string, opts *smtp.MailOptions) error {
	if p.upstream == nil {
		upstream, err := p.settings.connect(p.ctx)
		if err != nil {
			return p.heard(err)
		}
		p.upstream = upstream
	}
	path, err := smarthost.Path(from)
	if err != nil {
		return badPath(err)
	}
	opts.Auth = nil // of whom the caller trusts; the gateway does not
	return p.heard(p.upstream.Mail(path, opts))
}

// Rcpt implements smtp.Session.
func (p *proxy) Rcpt(to string, opts *smtp.RcptOptions) error {
	path, err := smarthost.Path(to)
	switch {
	case err != nil:
		return badPath(err)
	case p.upstream == nil:
		return errHungUp
	}
	return p.heard(p.upstream.Rcpt(path, opts))
}

func badPath(err error) error {
	return &smtp.SMTPError{Code: 553, EnhancedCode: smtp.EnhancedCode{5, 1, 3}, Message: err.Error()}
}

var errHungUp = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 4, 2}, Message: "the connection to the gateway was lost: begin again"}

// Data reads all of the mail before any of it goes on: half a mail must not. Chunks the library may cut short unnoticed.
func (p *proxy) Data(r io.Reader) error {
	if _, chunks := r.(*io.PipeReader); chunks {
		return &smtp.SMTPError{Code: 502, EnhancedCode: smtp.EnhancedCode{5, 5, 1}, Message: "CHUNKING is not offered: use DATA"}
	}
	mail, err := io.ReadAll(io.LimitReader(r, maxSendmail+1))
	switch {
	case err != nil:
		return err
	case len(mail) > maxSendmail:
		return smtp.ErrDataTooLarge
	case p.upstream == nil:
		return errHungUp
	}
	data, err := p.upstream.Data()
	if err != nil {
		return p.heard(err)
	}
	if _, err := data.Write(mail); err != nil {
		return p.heard(err)
	}
	return p.heard(data.Close())
}

// Reset implements smtp.Session.
func (p *proxy) Reset() {
	if p.upstream != nil && p.upstream.Reset() != nil {
		p.hangUp()
	}
}

// Logout implements smtp.Session.
func (p *proxy) Logout() error { return nil }

// heard is what the caller hears: the gateway's own words where it has said something. When it has not, or has said goodbye, the next
// mail begins with a new connection.
func (p *proxy) heard(err error) error {
	if err == nil {
		return nil
	}
	var reply *smtp.SMTPError
	if errors.As(err, &reply) && reply.Code != 421 {
		return reply
	}
	p.hangUp()
	return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 4, 1}, Message: err.Error()}
}

// pipes is standard input and output as a connection, and as the listener that gives it.
type pipes struct {
	io.Reader
	out      io.Writer
	accepted bool
	once     sync.Once
	closed   chan struct{}
}

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "stdio" }

// Write keeps back the one extension that is always offered.
func (p *pipes) Write(line []byte) (int, error) {
	if string(line) == "250-CHUNKING\r\n" {
		return len(line), nil
	}
	return p.out.Write(line)
}

func (p *pipes) Accept() (net.Conn, error) {
	if !p.accepted {
		p.accepted = true
		return p, nil
	}
	<-p.closed
	return nil, net.ErrClosed
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	if c, ok := p.Reader.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

func (p *pipes) Addr() net.Addr                   { return pipeAddr{} }
func (p *pipes) LocalAddr() net.Addr              { return pipeAddr{} }
func (p *pipes) RemoteAddr() net.Addr             { return pipeAddr{} }
func (p *pipes) SetDeadline(time.Time) error      { return nil }
func (p *pipes) SetReadDeadline(time.Time) error  { return nil }
func (p *pipes) SetWriteDeadline(time.Time) error { return nil }
