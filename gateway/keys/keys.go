// Package keys finds the public key of a DKIM signature: pinned, by DNS (RFC 6376 §3.6.2) or by
// http/well-known (D05 §7.3.2), cached and budgeted. IS-DKIM-9..13.
package keys

import (
	"context"
	"errors"
	"time"

	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/resolver"
	"github.com/calfed/calfed/gateway/snapshot"
)

// ErrTemporary: the key could not be looked up now: 503, never 403 (IS-DKIM-13).
var ErrTemporary = errors.New("temporary key look-up failure")

// ErrNotFound: no method has a key; ErrRevoked: an empty p= was found (final); ErrMethod: no
// method that the signature names is allowed.
var (
	ErrNotFound = errors.New("no such key")
	ErrRevoked  = errors.New("key revoked")
	ErrMethod   = errors.New("no permitted key look-up method")
)

// DNS is what key look-up asks of DNS.
type DNS interface {
	LookupSRV(ctx context.Context, name string) ([]resolver.SRV, resolver.Answer, error)
	LookupTXT(ctx context.Context, name string) ([][]string, resolver.Answer, error)
}

// Request is one key to find.
type Request struct {
	Domain   string            // d=
	Selector string            // s=
	Query    []string          // q= methods of the signature
	Policy   *snapshot.Inbound // pinned keys and permitted methods; nil = defaults
}

// Found are the records to try, and where they are from.
type Found struct {
	Records []*dkim.Record // at most 4, unparsable ones left out
	Method  string         // dkim.MethodDNS, …
	Cached  time.Duration  // age of the cached answer, 0 when just fetched
}

// Config of a Lookup.
type Config struct {
	DNS        DNS
	Guard      *netguard.Guard
	Now        func() time.Time // nil = time.Now
	MaxEntries int              // cache bound, 0 = 10 000
}

// Lookup finds and caches keys. Safe for concurrent use.
type Lookup struct{ cfg Config }

// New makes a Lookup.
func New(cfg Config) *Lookup { return &Lookup{cfg: cfg} }

// Cached answers from pins and cache only; false when the network must be asked. No budget is needed for it.
func (l *Lookup) Cached(req Request) (*Found, bool) { panic("CONTRACT STUB") }

// Find returns the records for a signature, from the network when it must.
func (l *Lookup) Find(ctx context.Context, req Request) (*Found, error) { panic("CONTRACT STUB") }

// Refresh is called after a verification failure with a cached key older than 60 s: it asks once
// more, rate-limited; false when it may not. IS-DKIM-12.
func (l *Lookup) Refresh(ctx context.Context, req Request) (*Found, bool, error) {
	panic("CONTRACT STUB")
}

// Close closes idle connections.
func (l *Lookup) Close() { panic("CONTRACT STUB") }
