// Package imip delivers by mail (RFC 6047): to a calendar system that only reads mail (back end), and to peers without iSchedule
// (fallback, IS-SEND-7). A message that the mail server took has status 1.1.
package imip

import (
	"context"
	"log/slog"
	"time"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/smarthost"
)

// Sender takes mail; *smarthost.Client implements it.
type Sender interface {
	Send(ctx context.Context, e *smarthost.Envelope, mail []byte) error
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
func New(cfg Config) (*Backend, error) { panic("not written yet") }

// Deliver implements backend.Backend. VFREEBUSY is 3.14: mail answers no question in real time. A recipient the server refuses for
// good is 5.3, unknown there 3.7; temporary failures are backend.ErrUnavailable when they concern all, else 5.1.
func (b *Backend) Deliver(ctx context.Context, d *backend.Delivery) ([]backend.Result, error) {
	panic("not written yet")
}

// Close implements backend.Backend.
func (b *Backend) Close() {}
