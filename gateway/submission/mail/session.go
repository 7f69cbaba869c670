package mail

import (
	"context"
	"errors"
	"io"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/submission"
)

// session is one client in one phase. The library calls Data in a goroutine of its own when a mail comes by BDAT.
type session struct {
	server *Server
	conn   *conn
	phase  *phase

	mu          sync.Mutex
	handler     *Handler            // that knew the client
	acting      []submission.Acting // none = not authenticated
	failures    int                 // of AUTH
	transaction *transaction
}

var (
	errAuthRequired = &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "authentication is required"}
	errChanged      = &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 3, 2}, Message: "the configuration has changed: connect again"}
	errClosing      = &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 3, 2}, Message: "the gateway is ending: connect again"}
	errNoChunks     = &smtp.SMTPError{Code: 502, EnhancedCode: smtp.EnhancedCode{5, 5, 1}, Message: "CHUNKING is not offered: use DATA"}
	errBegun        = &smtp.SMTPError{Code: 503, EnhancedCode: smtp.EnhancedCode{5, 5, 1}, Message: "a mail was begun already"}
	errNoMail       = &smtp.SMTPError{Code: 503, EnhancedCode: smtp.EnhancedCode{5, 5, 1}, Message: "no mail was begun"}
	errInternal     = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "internal error"}
)

// Mail begins a mail.
func (s *session) Mail(from string, opts *smtp.MailOptions) error {
	h, release := s.server.cfg.Source()
	defer release()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.acting) == 0:
		return errAuthRequired
	case s.transaction != nil: // the library would keep the recipients of the one that was begun
		return errBegun
	case h != s.handler: // who may do what is another question now
		s.conn.end(time.Now())
		return errChanged
	}
	t := &transaction{
		acting: s.acting, from: from, utf8: opts.UTF8, id: opts.EnvelopeID, ret: string(opts.Return),
	}
	if from != "" {
		var err error
		if t.fromDomain, err = domainOf(from, opts.UTF8); err != nil {
			return badMailbox(err, smtp.EnhancedCode{5, 1, 7})
		}
	}
	s.transaction = t
	return nil
}

// Rcpt adds a recipient.
func (s *session) Rcpt(to string, opts *smtp.RcptOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.transaction
	if t == nil {
		return errNoMail
	}
	domain, err := domainOf(to, t.utf8)
	if err != nil {
		return badMailbox(err, smtp.EnhancedCode{5, 1, 3})
	}
	if !t.mayReach(domain) {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1},
			Message: "neither the sender nor this recipient is of a domain that these credentials are for"}
	}
	r := &recipient{path: to, domain: domain}
	// not a calendar's address: the smarthost still knows what to do with it
	r.address, _ = cua.FromMailbox(to)
	for _, n := range opts.Notify {
		r.notify = append(r.notify, string(n))
	}
	if opts.OriginalRecipient != "" {
		r.original = strings.ToLower(string(opts.OriginalRecipientType)) + ";" + opts.OriginalRecipient
	}
	t.recipients = append(t.recipients, r)
	return nil
}

func badMailbox(err error, enhanced smtp.EnhancedCode) error {
	if errors.Is(err, errUTF8) {
		return &smtp.SMTPError{Code: 553, EnhancedCode: smtp.EnhancedCode{5, 6, 7}, Message: "this address needs SMTPUTF8"}
	}
	return &smtp.SMTPError{Code: 553, EnhancedCode: enhanced, Message: "not an address that mail can be handed on to"}
}

// Data takes the mail.
func (s *session) Data(r io.Reader) error {
	s.mu.Lock()
	t, known := s.transaction, s.handler
	s.transaction = nil
	s.mu.Unlock()
	if _, chunks := r.(*io.PipeReader); chunks {
		return errNoChunks // the library takes the end of a connection for the end of a chunk, and half a mail for a mail
	}
	if t == nil || s.phase.upgrading { // RFC 3207 §4.2: nothing in clear counts any more
		return errNoMail
	}
	if !s.server.begin(s.conn) {
		return errClosing
	}
	defer s.server.done(s.conn)
	h, release := s.server.cfg.Source()
	defer release()
	if h == nil || h != known {
		s.conn.end(time.Now())
		return errChanged
	}
	if refusal := s.take(h, t, r); refusal != nil {
		return refusal
	}
	return nil
}

func (s *session) take(h *Handler, t *transaction, r io.Reader) (refusal *smtp.SMTPError) {
	defer func() {
		if p := recover(); p != nil {
			h.cfg.Log.Error("panic while taking mail: this is a bug", "panic", p, "stack", string(debug.Stack()))
			refusal = errInternal
		}
	}()
	b := body{session: s, limit: h.bounds().MaxMessageBytes, budget: h.gateway().Limits.MaxInFlightBytes}
	defer b.free()
	if t.mail, refusal = b.read(r); refusal != nil {
		h.cfg.Metrics.mails.WithLabelValues(directionMail, answerOf(refusal)).Inc()
		h.cfg.Log.Warn("mail not read", "submitter", t.acting[0].Name, "code", refusal.Code, "reason", refusal.Message)
		return refusal
	}
	ctx, cancel := context.WithTimeout(s.server.ctx, takeTimeout)
	defer cancel()
	return h.take(ctx, t, s.server.past)
}

// Reset forgets the mail that was begun.
func (s *session) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.transaction = nil
}

// Logout ends the session.
func (s *session) Logout() error { return nil }
