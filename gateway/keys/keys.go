// Package keys finds the public key of a DKIM signature: pinned, by DNS (RFC 6376 §3.6.2) or by
// http/well-known (D05 §7.3.2), and caches what it found. IS-DKIM-9..13.
//
// It does not verify signatures and keeps no budgets: who may cause how many look-ups is the caller's rule.
package keys

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/resolver"
	"github.com/calfed/calfed/gateway/snapshot"
)

// ErrTemporary means that the key could not be looked up now: 503, never 403 (IS-DKIM-13).
var ErrTemporary = errors.New("temporary key look-up failure")

// The final failures.
var (
	ErrNotFound = errors.New("no such key")                     // no method has one that can be read
	ErrRevoked  = errors.New("key revoked")                     // an empty p= was found
	ErrMethod   = errors.New("no permitted key look-up method") // among those that the signature names
)

// DNS is what key look-up asks of DNS; *resolver.Client implements it.
type DNS interface {
	LookupSRV(ctx context.Context, name string) ([]resolver.SRV, resolver.Answer, error)
	LookupTXT(ctx context.Context, name string) ([][]string, resolver.Answer, error)
	Forget(name string) // the next look-up of name must ask
}

// Request is one key to find.
type Request struct {
	Domain   string            // d=
	Selector string            // s=
	Query    []string          // q= methods of the signature
	Policy   *snapshot.Inbound // pinned keys and permitted methods; nil = defaults
	// Admit is asked before each look-up that goes out; its error ends that look-up. What is cached, and what is being looked
	// up already, needs no leave. It must not block. nil = all may.
	Admit func() error
}

// Found are the records to try, and where they are from.
type Found struct {
	Records []*dkim.Record // 1 to 4, unparsable ones left out
	Method  string         // dkim.MethodDNS, …; dkim.MethodPrivate for a pinned key
	Cached  time.Duration  // age of the cached answer, 0 when just fetched or pinned
}

// Config of a Lookup.
type Config struct {
	DNS        DNS
	Guard      *netguard.Guard
	Now        func() time.Time // nil = time.Now
	MaxEntries int              // cache bound, 0 = 10 000; an answer of several KiB counts as several
}

const (
	defaultMaxEntries = 10_000
	maxRecords        = 4 // of one answer are tried (IS-DKIM-10)

	// fetchTimeout bounds one look-up, whatever its callers wait.
	fetchTimeout = 15 * time.Second
	// maxFlights bounds how many look-ups run at once.
	maxFlights = 1000
)

// Lookup finds and caches keys. Safe for concurrent use.
type Lookup struct {
	cfg    Config
	cache  *otter.Cache[keyID, *entry]
	pins   *otter.Cache[string, *entry] // parsed pinned records, by their text
	ctx    context.Context              // of the look-ups, which outlive the callers that started them; ends with Close
	cancel context.CancelFunc

	mu      sync.Mutex
	closed  bool
	flights map[keyID]*flight
	running sync.WaitGroup
}

// New makes a Lookup.
func New(cfg Config) *Lookup {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.MaxEntries <= 0 {
		cfg.MaxEntries = defaultMaxEntries
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Lookup{
		cfg: cfg, cache: newCache[keyID](cfg.MaxEntries), pins: newCache[string](cfg.MaxEntries),
		ctx: ctx, cancel: cancel, flights: make(map[keyID]*flight),
	}
}

// Close ends the look-ups under way and waits for them; later ones fail with ErrTemporary.
func (l *Lookup) Close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.cancel()
	l.running.Wait()
}
