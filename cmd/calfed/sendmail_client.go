package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/calfed/calfed/gateway/smarthost"
)

// How long the gateway may take. It hands on what it is given before it answers.
const (
	sendmailDial    = 30 * time.Second
	sendmailCommand = time.Minute
	sendmailDeliver = 6 * time.Minute
)

// submitter is an authenticated connection to the gateway.
type submitter struct {
	*smtp.Client
	address string
	stop    func() bool
}

// connect opens one, over TLS unless the settings say otherwise.
func (s *sendmailSettings) connect(ctx context.Context) (*submitter, error) {
	dialer := net.Dialer{Timeout: sendmailDial}
	conn, err := dialer.DialContext(ctx, "tcp", s.SMTP)
	if err != nil {
		return nil, mailFailed(exitMailTemporary, "the gateway cannot be reached: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	c := &submitter{address: s.SMTP, stop: stop}
	if err := s.begin(conn, c); err != nil {
		stop()
		_ = conn.Close()
		return nil, err
	}
	return c, nil
}

func (s *sendmailSettings) begin(conn net.Conn, c *submitter) error {
	if s.Plaintext {
		c.Client = smtp.NewClient(conn)
	} else {
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		if s.roots != nil && !roots.AppendCertsFromPEM(s.roots) {
			return mailFailed(exitMailConfig, "%s holds no certificate", s.CAFile)
		}
		_ = conn.SetDeadline(time.Now().Add(sendmailCommand))
		if c.Client, err = smtp.NewClientStartTLS(conn, &tls.Config{ServerName: s.host, RootCAs: roots}); err != nil {
			return c.failed("STARTTLS", err)
		}
	}
	c.CommandTimeout, c.SubmissionTimeout = sendmailCommand, sendmailDeliver
	if err := c.Hello("localhost"); err != nil { // shakes hands as well
		return c.failed("EHLO", err)
	}
	if offered, _ := c.Extension("AUTH"); !offered {
		return mailFailed(exitMailConfig, "%s takes no password on this connection: is it the gateway's smtp address?", s.SMTP)
	}
	if err := c.Auth(sasl.NewPlainClient("", s.Username, s.password)); err != nil {
		var said *smtp.SMTPError
		if errors.As(err, &said) && !said.Temporary() {
			return mailFailed(exitMailNoPerm, "%s knows no submitter %q with this password: %s", s.SMTP, s.Username, said.Message)
		}
		return c.failed("AUTH", err)
	}
	return nil
}

// failed says why, and whether trying again may help.
func (c *submitter) failed(step string, err error) error {
	var said *smtp.SMTPError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &said) && !said.Temporary():
		return mailFailed(exitMailUnavailable, "%s refuses %s: %d %s", c.address, step, said.Code, said.Message)
	case errors.As(err, &said):
		return mailFailed(exitMailTemporary, "%s cannot take it now (%s): %d %s", c.address, step, said.Code, said.Message)
	case errors.As(err, &certificate):
		return mailFailed(exitMailConfig, "%s: its certificate is not trusted: %w; set the CA file, or the name in the certificate as host", c.address, certificate.Err)
	}
	return mailFailed(exitMailTemporary, "%s, %s: %w", c.address, step, err)
}

// submit is one mail, to all recipients or to none.
func (c *submitter) submit(from string, to []string, call *sendmailCall, mail []byte) error {
	utf8 := !isASCII(from)
	paths := make([]string, len(to))
	for i, r := range to {
		path, err := smarthost.Path(r)
		if err != nil {
			return mailFailed(exitMailData, "%q: %w", r, err)
		}
		paths[i], utf8 = path, utf8 || !isASCII(r)
	}
	sender, err := smarthost.Path(from)
	if err != nil {
		return mailFailed(exitMailData, "%q: %w", from, err)
	}
	err = c.Mail(sender, &smtp.MailOptions{Size: int64(len(mail)), UTF8: utf8, Return: call.returned, EnvelopeID: call.envelopeID})
	if err != nil {
		return c.failed("the sender <"+from+">", err)
	}
	for _, r := range paths {
		if err := c.Rcpt(r, &smtp.RcptOptions{Notify: call.notify}); err != nil {
			return c.failed("the recipient <"+r+">", err)
		}
	}
	data, err := c.Data()
	if err != nil {
		return c.failed("DATA", err)
	}
	if _, err := data.Write(mail); err != nil {
		return c.failed("the mail", err)
	}
	if err := data.Close(); err != nil {
		return c.failed("the mail", err)
	}
	return nil
}

func (c *submitter) close() {
	c.stop()
	_ = c.Quit()
	_ = c.Close()
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
