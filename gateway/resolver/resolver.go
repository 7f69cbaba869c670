// Package resolver asks DNS: SRV, TXT and addresses, cached for their TTL (negative answers by RFC 2308, bounded),
// one look-up in flight per name and type, TCP after truncation. IS-DISC-8.
//
// SERVFAIL and time-outs are ErrTemporary; "there is nothing" is an empty answer, not an error.
package resolver

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// ErrTemporary wraps every failure that may go away: SERVFAIL, time-out, refused, unreachable.
var ErrTemporary = errors.New("temporary DNS failure")

// SRV is one SRV record.
type SRV struct {
	Target           string // lower-case, no trailing dot; "" for the root: no service here
	Port             uint16
	Priority, Weight uint16
}

// Answer says what every answer shares.
type Answer struct {
	TTL    time.Duration // remaining
	Secure bool          // AD bit from a resolver that is trusted with it (loopback)
}

// Client is a caching DNS client. Safe for concurrent use.
type Client struct{ cfg Config }

// Config of a Client.
type Config struct {
	Server     string           // host:port; "" = the system's resolvers and hosts file
	Timeout    time.Duration    // per try, 0 = 3 s
	MaxEntries int              // cache bound, 0 = 10 000
	Now        func() time.Time // nil = time.Now
}

// New makes a Client. It starts no goroutine.
func New(cfg Config) *Client { return &Client{cfg: cfg} }

// LookupSRV returns the records at name, unsorted; none is no error.
func (c *Client) LookupSRV(ctx context.Context, name string) ([]SRV, Answer, error) {
	panic("CONTRACT STUB")
}

// LookupTXT returns one entry per RR, each with its strings.
func (c *Client) LookupTXT(ctx context.Context, name string) ([][]string, Answer, error) {
	panic("CONTRACT STUB")
}

// LookupAddrs returns A and AAAA addresses; localhost is answered without DNS (RFC 6761).
func (c *Client) LookupAddrs(ctx context.Context, host string) ([]netip.Addr, error) {
	panic("CONTRACT STUB")
}

// OrderSRV sorts by priority and by weighted random inside one (RFC 2782); rnd returns [0,n).
func OrderSRV(in []SRV, rnd func(n int) int) []SRV { panic("CONTRACT STUB") }
