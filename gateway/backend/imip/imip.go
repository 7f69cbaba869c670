// Package imip delivers by mail (RFC 6047): to a calendar system that only reads mail (back end), and to peers without iSchedule
// (fallback, IS-SEND-7). A message that the mail server took has status 1.1.
//
// It writes the envelope; package imip writes the mail, and package smarthost hands it over. The envelope's sender is the
// Originator in both cases: who cannot be reached by mail is for the person who wrote to know.
package imip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/imip"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/smarthost"
)

// Sender takes mail; *smarthost.Client implements it.
type Sender interface {
	Send(ctx context.Context, e *smarthost.Envelope, mail []byte) error
	Reach(ctx context.Context) error
}

// Config of a Backend.
type Config struct {
	Sender Sender
	Host   string                            // of this gateway
	Sign   func(mail []byte) ([]byte, error) // puts the DKIM-Signature on (fallback: the Originator is ours); nil = unsigned
	Proven bool                              // the Originator was proven over iSchedule: Authentication-Results says so (back end, not fallback)
	Echoes backend.Echoes                    // nil = nobody is told
	Now    func() time.Time                  // nil = time.Now
	Log    *slog.Logger                      // nil = discard
}

// Backend writes one mail for each recipient. Safe for concurrent use.
type Backend struct{ cfg Config }

// New makes a Backend.
func New(cfg Config) (*Backend, error) {
	if cfg.Sender == nil || cfg.Host == "" {
		return nil, errors.New("iMIP: Sender and Host must be set")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Backend{cfg: cfg}, nil
}

// parallel bounds the mails of one message that are under way at once, and so those in memory.
const parallel = 4

// Deliver implements backend.Backend. VFREEBUSY is 3.14: mail answers no question in real time. A recipient the server refuses for
// good is 5.3, unknown there 3.7; temporary failures are backend.ErrUnavailable when they concern all, else 5.1.
func (b *Backend) Deliver(ctx context.Context, d *backend.Delivery) ([]backend.Result, error) {
	switch {
	case d.Message.Component == "VFREEBUSY":
		return all(d, ischedule.StatusUnsupported, "mail answers no free/busy question"), nil
	case d.Originator.Scheme() != "mailto":
		return all(d, ischedule.StatusNoScheduling, "the Originator has no mail address that could be answered"), nil
	}
	d.NoteEchoes(b.cfg.Echoes)
	failures := make([]error, len(d.Recipients))
	var run errgroup.Group
	run.SetLimit(parallel)
	for i, to := range d.Recipients {
		// written here and not beside us: a panic over what strangers wrote is the caller's to catch
		envelope, mail, err := b.compose(d, to)
		if err != nil {
			failures[i] = err
			continue
		}
		run.Go(func() error {
			failures[i] = b.cfg.Sender.Send(ctx, envelope, mail)
			return nil
		})
	}
	_ = run.Wait()
	return b.results(ctx, d, failures)
}

// compose writes the mail to one recipient.
func (b *Backend) compose(d *backend.Delivery, to cua.Address) (*smarthost.Envelope, []byte, error) {
	if to.Scheme() != "mailto" {
		return nil, nil, errNoMailAddress
	}
	draft := &imip.Draft{From: d.Originator, To: to, Body: d.Body, Message: d.Message, Host: b.cfg.Host, Date: b.cfg.Now()}
	if b.cfg.Proven && d.SignedBy != "" {
		// RFC 8601 has no method for a signature over HTTP: the method is DKIM all the same, and the reason tells
		draft.AuthResult = "dkim=pass reason=iSchedule header.d=" + d.SignedBy
	}
	mail, utf8, err := imip.Compose(draft)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errUnwritable, err)
	}
	if b.cfg.Sign != nil {
		if mail, err = b.cfg.Sign(mail); err != nil {
			return nil, nil, fmt.Errorf("sign: %w", err)
		}
	}
	return &smarthost.Envelope{From: mailbox(d.Originator), To: []string{mailbox(to)}, UTF8: utf8}, mail, nil
}

// mailbox is a mailto: address as an envelope has it.
func mailbox(a cua.Address) string { return a.Local() + "@" + a.Domain() }

// Reach implements backend.Reacher: the mail server, as far as a mail would come.
func (b *Backend) Reach(ctx context.Context) backend.Check {
	c := backend.Check{Name: "connect and authenticate", Expected: "a session in which mail could be sent"}
	if err := b.cfg.Sender.Reach(ctx); err != nil {
		c.Seen, c.Cause = err.Error(), "the server does not run, its address is outside egress.backendCIDRs, or port, tls or credentialsRef are not as the server wants them"
		return c
	}
	c.OK, c.Seen = true, "the mail server is ready"
	return c
}

// Close implements backend.Backend.
func (b *Backend) Close() {}
