// Package smtptest is a real SMTP server on loopback, for tests: it keeps what it takes, and refuses whom it is told to.
package smtptest

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"sync"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Mail is one mail that was taken.
type Mail struct {
	Hello, User string // of EHLO and AUTH
	Secure      bool   // came over TLS
	From        string
	Options     smtp.MailOptions
	To          []string
	ToOptions   []smtp.RcptOptions
	Body        string
}

// Config of a Server. The zero value is one without TLS that takes everything.
type Config struct {
	TLS      *tls.Config // nil = none
	Implicit bool        // TLS from the first octet, else by STARTTLS
	Username string      // whoever uses AUTH has to know this
	Password string
	Refuse   map[string]*smtp.SMTPError // by recipient
	Take     func(*Mail) error          // nil = every mail is taken
}

// Server is a running server.
type Server struct {
	cfg    Config
	listen net.Listener
	server *smtp.Server
	done   chan struct{}

	mu    sync.Mutex
	mails []Mail
}

// New starts a server on a free port of 127.0.0.1. It offers 8BITMIME, SMTPUTF8, SIZE, DSN, and AUTH over TLS.
func New(cfg Config) (*Server, error) {
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, listen: ln, done: make(chan struct{})}
	s.server = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{server: s, conn: c}, nil
	}))
	s.server.Domain, s.server.EnableSMTPUTF8, s.server.EnableDSN, s.server.MaxLineLength = "mail.example", true, true, 1<<20
	s.server.ErrorLog = log.New(io.Discard, "", 0)
	s.server.TLSConfig = cfg.TLS
	serving := ln
	if cfg.Implicit {
		serving = tls.NewListener(ln, cfg.TLS)
	}
	go func() {
		defer close(s.done)
		_ = s.server.Serve(serving)
	}()
	return s, nil
}

// Port is where it listens.
func (s *Server) Port() int { return s.listen.Addr().(*net.TCPAddr).Port }

// Mails are those taken so far.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

// Close ends it.
func (s *Server) Close() {
	_ = s.server.Close()
	_ = s.listen.Close() // the server knows it only once Serve has begun
	<-s.done
}

// session is one connection.
type session struct {
	server *Server
	conn   *smtp.Conn
	user   string
	now    Mail
}

// AuthMechanisms implements smtp.AuthSession.
func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

// Auth implements smtp.AuthSession.
func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		if username != s.server.cfg.Username || password != s.server.cfg.Password {
			return smtp.ErrAuthFailed
		}
		s.user = username
		return nil
	}), nil
}

// Mail implements smtp.Session.
func (s *session) Mail(from string, o *smtp.MailOptions) error {
	_, secure := s.conn.TLSConnectionState()
	s.now = Mail{Hello: s.conn.Hostname(), User: s.user, Secure: secure, From: from, Options: *o}
	return nil
}

// Rcpt implements smtp.Session.
func (s *session) Rcpt(to string, o *smtp.RcptOptions) error {
	if refusal := s.server.cfg.Refuse[to]; refusal != nil {
		return refusal
	}
	s.now.To, s.now.ToOptions = append(s.now.To, to), append(s.now.ToOptions, *o)
	return nil
}

// Data implements smtp.Session.
func (s *session) Data(r io.Reader) error {
	body, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.now.Body = string(body)
	if take := s.server.cfg.Take; take != nil {
		if err := take(&s.now); err != nil {
			return err
		}
	}
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.mails = append(s.server.mails, s.now)
	return nil
}

// Reset implements smtp.Session.
func (*session) Reset() {}

// Logout implements smtp.Session.
func (*session) Logout() error { return nil }
