package mail

import (
	"fmt"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// maxFailures is how often one connection may present wrong credentials.
const maxFailures = 3

var errAuthFailed = &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "authentication failed"}

// mayAuthenticate says whether credentials may cross this connection (RFC 4954 §4).
func (s *session) mayAuthenticate() bool {
	return s.phase.secure || s.conn.source().IsLoopback()
}

// AuthMechanisms are those that EHLO offers.
func (s *session) AuthMechanisms() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.acting) > 0 || !s.mayAuthenticate() {
		return nil
	}
	return []string{sasl.Plain, sasl.Login}
}

// Auth begins an exchange.
func (s *session) Auth(mechanism string) (sasl.Server, error) {
	if !s.mayAuthenticate() {
		return nil, &smtp.SMTPError{Code: 538, EnhancedCode: smtp.EnhancedCode{5, 7, 11}, Message: "credentials must not cross a network in clear: STARTTLS first"}
	}
	switch mechanism {
	case sasl.Plain:
		return sasl.NewPlainServer(func(identity, username, password string) error {
			if identity != "" && identity != username {
				return errAuthFailed
			}
			return s.authenticate(username, password)
		}), nil
	case sasl.Login:
		return &login{check: s.authenticate}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

// authenticate makes the session that of a submitter. IS-SUB-1: only the password does, wherever the client is.
func (s *session) authenticate(username, password string) error {
	h, release := s.server.cfg.Source()
	defer release()
	if h == nil {
		s.conn.end(time.Now())
		return errChanged
	}
	acting, wait := h.cfg.Auth.Password(s.conn.source(), username, password)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case wait > 0:
		s.conn.end(time.Now())
		return &smtp.SMTPError{Code: 454, EnhancedCode: smtp.EnhancedCode{4, 7, 0},
			Message: fmt.Sprintf("too many failed authentications from this address: try again in %d s", int(wait/time.Second)+1)}
	case len(acting) == 0:
		h.cfg.Log.Info("mail submission refused", "source", s.conn.source(), "reason", "credentials-invalid")
		if s.failures++; s.failures >= maxFailures {
			s.conn.end(time.Now())
		}
		return errAuthFailed
	}
	s.handler, s.acting = h, acting
	s.conn.until(time.Time{})
	return nil
}

// login is the server of LOGIN (draft-murchison-sasl-login): two questions.
type login struct {
	check    func(username, password string) error
	username *string
	asked    bool
}

// Next implements sasl.Server.
func (l *login) Next(response []byte) (challenge []byte, done bool, err error) {
	switch {
	case response == nil && !l.asked:
		l.asked = true
		return []byte("Username:"), false, nil
	case l.username == nil:
		username := string(response)
		l.username, l.asked = &username, true
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(*l.username, string(response))
}
