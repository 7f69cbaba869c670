// Package caldav delivers by writing into a CalDAV server (RFC 4791, 6638): it finds the user, the stored object of the message's UID,
// applies the message (itip.Apply) and stores the result conditionally, in the way of the server's profile.
//
// It is for servers that have no iTIP way in of their own (IS-BACK-1). It trusts the server's answers no further than
// any stranger's: bounded, on the configured host only.
package caldav

import (
	"context"
	"log/slog"
	"time"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Config of a Backend.
type Config struct {
	Server    snapshot.CalDAV
	Guard     *netguard.Guard
	Echoes    backend.Echoes // nil = nobody is told
	UserAgent string
	Now       func() time.Time // nil = time.Now
	Log       *slog.Logger     // nil = discard
}

// Backend writes into one server. Safe for concurrent use.
type Backend struct{}

// New makes a Backend. It connects to nothing yet.
func New(cfg Config) (*Backend, error) { panic("not written yet") }

// Deliver implements backend.Backend.
func (b *Backend) Deliver(ctx context.Context, d *backend.Delivery) ([]backend.Result, error) {
	panic("not written yet")
}

// Test implements backend.Tester.
func (b *Backend) Test(ctx context.Context, user cua.Address) []backend.Check {
	panic("not written yet")
}

// Close implements backend.Backend.
func (b *Backend) Close() {}
