// Package gateway wires the data plane: listeners, the parts each snapshot needs, health, metrics, drain.
// README.md beside this file is the manual.
package gateway

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"time"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Options of a Gateway.
type Options struct {
	PublicAddr, SubmitAddr, AdminAddr string                     // host:port; "" = not served; ":0" works, see Addrs
	Memory                            map[string]backend.Backend // back ends of type Memory, by domain: demo and tests
	DrainDelay                        time.Duration              // between failing /readyz and closing the listeners; 0 = none
	DrainTimeout                      time.Duration              // for requests in flight; 0 = 25 s
	Now                               func() time.Time
	Log                               *slog.Logger
	Version                           string
}

// Gateway serves one snapshot at a time.
type Gateway struct{ opt Options }

// New makes a Gateway that serves nothing yet.
func New(opt Options) *Gateway { return &Gateway{opt: opt} }

// Apply validates s, builds its parts, and swaps them in; requests in flight finish on the old ones. On error the last
// good snapshot stays.
func (g *Gateway) Apply(s *snapshot.Snapshot) error { panic("CONTRACT STUB") }

// Run opens the listeners and serves until ctx ends, then drains. It needs no snapshot to start: /readyz says 503 and
// the public resource answers 503 until the first Apply.
func (g *Gateway) Run(ctx context.Context) error { panic("CONTRACT STUB") }

// Addrs are the addresses listened on, after Started is closed.
type Addrs struct{ Public, Submit, Admin net.Addr }

// Started is closed when all listeners are open.
func (g *Gateway) Started() <-chan struct{} { panic("CONTRACT STUB") }

// Addrs returns the listeners' addresses.
func (g *Gateway) Addrs() Addrs { panic("CONTRACT STUB") }

var _ = tls.Config{}
