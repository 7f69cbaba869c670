// Package caldav delivers by writing into a CalDAV server (RFC 4791, 6638): it finds the user, the stored object of the message's UID,
// applies the message (itip.Apply) and stores the result conditionally, in the way of the server's profile.
//
// It is for servers that have no iTIP way in of their own (IS-BACK-1). It trusts the server's answers no further than
// any stranger's: bounded, on the configured host only.
package caldav

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Config of a Backend.
type Config struct {
	Server    snapshot.CalDAV
	Guard     *netguard.Guard
	Echoes    backend.Echoes // nil = nobody is told
	Watch     *Watch         // nil = answers that the server does not send stay where they are
	UserAgent string
	Now       func() time.Time // nil = time.Now
	Log       *slog.Logger     // nil = discard
}

// Backend writes into one server. Safe for concurrent use.
type Backend struct {
	client  *client
	server  snapshot.CalDAV
	profile profile
	echoes  backend.Echoes
	now     func() time.Time
	log     *slog.Logger
	users   directory
	turns   turns
	answers answers
}

// atOnce is how many recipients of one message are served at the same time.
const atOnce = 4

// New makes a Backend. It connects to nothing yet.
func New(cfg Config) (*Backend, error) {
	base, err := baseURL(cfg.Server.URL)
	if err != nil {
		return nil, err
	}
	known, ok := profiles[cfg.Server.Profile]
	if !ok {
		return nil, errors.New("CalDAV back end: no such server profile")
	}
	if known.templateOnly && cfg.Server.PrincipalTemplate == "" {
		return nil, errors.New("CalDAV back end: this kind of server finds no users: it needs a principalTemplate")
	}
	if t := cfg.Server.PrincipalTemplate; t != "" && !strings.HasPrefix(t, "/") {
		return nil, errors.New("CalDAV back end: principalTemplate is no absolute path")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	log := cfg.Log.With("server", base.Host)
	return &Backend{
		client: &client{
			base: base, transport: cfg.Guard.Transport(netguard.Backend, netguard.TLS{}), userAgent: cfg.UserAgent,
			authorization: authorization(&cfg.Server), log: log,
		},
		server: cfg.Server, profile: known, echoes: cfg.Echoes, now: cfg.Now, log: log,
		users: directory{now: cfg.Now}, answers: answersOf(cfg.Watch, &cfg.Server, known),
	}, nil
}

// Deliver implements backend.Backend. Recipients are served one by one; the error is returned when the server could be used for
// none of them.
func (b *Backend) Deliver(ctx context.Context, d *backend.Delivery) ([]backend.Result, error) {
	if d.Message.Component == "VFREEBUSY" {
		return b.freeBusy(ctx, d)
	}
	return b.each(d, func(to cua.Address) (backend.Result, error) { return b.apply(ctx, d, to) })
}

// each asks deliver for every recipient's result, and makes results of its errors.
func (b *Backend) each(d *backend.Delivery, deliver func(cua.Address) (backend.Result, error)) ([]backend.Result, error) {
	results := make([]backend.Result, len(d.Recipients))
	failed := make([]error, len(d.Recipients))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, to := range d.Recipients {
		group.Go(func() error {
			results[i], failed[i] = guarded(deliver, to)
			results[i].Recipient = to
			if failed[i] != nil {
				results[i].Status, results[i].Description = b.failure(d, to, failed[i])
			}
			return nil
		})
	}
	_ = group.Wait()
	for _, err := range failed {
		if !errors.Is(err, backend.ErrUnavailable) {
			return results, nil
		}
	}
	return nil, errors.Join(failed...)
}

// guarded makes an error of a panic: what a calendar holds is anybody's, and nobody else would catch it in this goroutine.
func guarded(deliver func(cua.Address) (backend.Result, error), to cua.Address) (_ backend.Result, err error) {
	defer caught(&err)
	return deliver(to)
}

// caught is deferred where a panic is to be an error.
func caught(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("CalDAV back end panicked (%T)\n%s", p, debug.Stack()) // the value may quote the calendar
	}
}

// failure is what one recipient's sender hears of an error, and what our log does.
func (b *Backend) failure(d *backend.Delivery, to cua.Address, err error) (ischedule.RequestStatus, string) {
	var refused *refusal
	if errors.As(err, &refused) {
		if refused.log {
			b.log.Warn("calendar server does not take a message", "message", d.MessageID, "cause", refused.Error())
		}
		return refused.status, refused.description
	}
	b.log.Warn("calendar server cannot be used for a recipient", "message", d.MessageID, "cause", err)
	b.log.Debug("recipient that could not be served", "message", d.MessageID, "recipient", to.String())
	return ischedule.StatusUnavailable, ""
}

// Close implements backend.Backend.
func (b *Backend) Close() {
	b.StopWatching()
	b.client.transport.CloseIdleConnections()
}

// refusal is a final answer for one recipient.
type refusal struct {
	status      ischedule.RequestStatus
	description string // for the sender
	cause       string // for the log, "" = the description
	log         bool   // an administrator should know
}

func (r *refusal) Error() string {
	if r.cause != "" {
		return r.cause
	}
	return r.status.Code + " " + r.description
}

var errUnknownUser = &refusal{status: ischedule.StatusUnknownUser, description: "no such calendar user"}
