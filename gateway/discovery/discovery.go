// Package discovery finds the iSchedule Receiver of a domain and its capabilities: SRV and TXT, the
// well-known URI with its redirects, the capabilities document (D05 §4, §5). IS-DISC, IS-CAP-5, IS-CAP-8.
//
// It also carries requests to the receivers that it found, since it knows under which conditions each may be reached.
// It signs nothing, reads no schedule-response, and decides nothing about who may talk with whom.
package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/resolver"
	"github.com/calfed/calfed/gateway/snapshot"
)

// ErrNoService means that the domain has no iSchedule Receiver: final (5.2 or the fallback).
var ErrNoService = errors.New("no iSchedule service")

// ErrTemporary wraps failures that may go away: DNS trouble, connections, 5xx.
var ErrTemporary = errors.New("temporary discovery failure")

// ErrInsecure comes with ErrNoService: there is a receiver, but not with the identity that the policy demands
// (requireSecureIdentity).
var ErrInsecure = errors.New("receiver is not secured as the policy demands")

// DNS is what discovery asks of DNS.
type DNS interface {
	LookupSRV(ctx context.Context, name string) ([]resolver.SRV, resolver.Answer, error)
	LookupTXT(ctx context.Context, name string) ([][]string, resolver.Answer, error)
}

// Receiver is a found iSchedule Receiver: where messages are posted, how it is reached, what it takes.
// Two recipients share a request when their Receivers have the same Key (IS-SEND-1).
type Receiver struct {
	URL          string // where capabilities ended (IS-DISC-4)
	Capabilities *ischedule.Capabilities
	Key          string   // URL and outbound settings; holds no secret
	Source       string   // "policy", "srv", "srv-parent", "well-known": for logs and tools
	Steps        []string // what was asked and answered, one line each, for `check`-like tools

	origin    string // scheme://host:port that discovery named: Authorization goes only there
	target    string // the target's key, for what is remembered of it
	transport *http.Transport
	document  *document
	outbound  *snapshot.Outbound
}

// Config of a Discoverer.
type Config struct {
	DNS       DNS
	Guard     *netguard.Guard
	Options   snapshot.Discovery
	Rand      func(n int) int  // nil = math/rand/v2
	Now       func() time.Time // nil = time.Now
	UserAgent string
	Log       *slog.Logger // nil = discard
}

// Discoverer finds receivers and caches their capabilities. Safe for concurrent use; Close ends idle connections.
type Discoverer struct {
	cfg        Config
	documents  *otter.Cache[string, *document]  // by documentKey
	avoid      *otter.Cache[string, time.Time]  // targets that failed, by target key, and until when they come last
	transports *otter.Cache[string, *transport] // by what they verify and present
	flights    flights

	wellKnownPort uint16 // 443, save in tests
}

// Bounds of what is remembered. Each counts in entries; a large document counts as several.
const (
	maxDocuments  = 4096
	maxAvoided    = 4096
	maxTransports = 256
)

// avoidFor is how long a target that failed comes after the others of its domain.
const avoidFor = time.Minute

// defaultTimeout is how long finding a receiver, or one POST, may take in all.
const defaultTimeout = 30 * time.Second

// New makes a Discoverer. It starts no goroutine.
func New(cfg Config) *Discoverer {
	if cfg.Rand == nil {
		cfg.Rand = rand.IntN
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	here := func(fn func()) { fn() } // no goroutines of the caches' own
	return &Discoverer{
		cfg: cfg,
		documents: otter.Must(&otter.Options[string, *document]{
			MaximumWeight: maxDocuments,
			Weigher:       func(_ string, doc *document) uint32 { return uint32(1 + doc.size/4096) },
			Executor:      here,
		}),
		avoid: otter.Must(&otter.Options[string, time.Time]{MaximumSize: maxAvoided, Executor: here}),
		transports: otter.Must(&otter.Options[string, *transport]{
			MaximumSize: maxTransports,
			Executor:    here,
			OnDeletion:  func(e otter.DeletionEvent[string, *transport]) { e.Value.close() },
		}),
		wellKnownPort: 443,
	}
}

// Find returns the receiver for a domain under the outbound settings of the policy that covers it (nil = none).
// Targets that cannot be reached are skipped for the next one. Errors wrap ErrNoService or ErrTemporary, or are
// *netguard.RefusedError.
func (d *Discoverer) Find(ctx context.Context, domain string, out *snapshot.Outbound) (*Receiver, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout(out))
	defer cancel()
	name, err := cua.Domain(domain)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoService, err)
	}
	s := settingsOf(out)
	targets, steps, err := d.targets(ctx, name, s)
	if err != nil {
		return nil, err
	}
	var failed failures
	for i, t := range d.rested(targets) {
		// A target that hangs must leave time for the others.
		attempt, cancel := context.WithTimeout(ctx, remaining(ctx)/time.Duration(len(targets)-i))
		doc, how, err := d.capabilities(attempt, s, t)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				d.avoid.Set(t.id, d.cfg.Now().Add(avoidFor))
			}
			steps = append(steps, fmt.Sprintf("%s: %v", t.url, err))
			d.cfg.Log.LogAttrs(ctx, slog.LevelDebug, "receiver target failed",
				slog.String("peer", name), slog.String("url", t.url.String()), slog.Any("cause", err))
			failed.add(t, err)
			continue
		}
		return d.receiver(s, t, doc, append(steps, how...))
	}
	return nil, failed.result(name)
}

// rested puts targets that failed a moment ago behind the others; the order is kept otherwise.
func (d *Discoverer) rested(targets []*target) []*target {
	now := d.cfg.Now()
	var fresh, tired []*target
	for _, t := range targets {
		if until, ok := d.avoid.GetIfPresent(t.id); ok && now.Before(until) {
			tired = append(tired, t)
		} else {
			fresh = append(fresh, t)
		}
	}
	return append(fresh, tired...)
}

func (d *Discoverer) receiver(s *settings, t *target, doc *document, steps []string) (*Receiver, error) {
	tr, err := d.transport(s, t, origin(doc.url) == origin(t.url), doc.named)
	if err != nil {
		return nil, err
	}
	return &Receiver{
		URL:          doc.url.String(),
		Capabilities: doc.capabilities,
		Key:          fmt.Sprintf("%s %s %d", doc.url, s.id, t.class),
		Source:       t.source,
		Steps:        steps,
		origin:       origin(t.url),
		target:       t.id,
		transport:    tr,
		document:     doc,
		outbound:     s.out,
	}, nil
}

// TakesAuthorization says whether a credential of the outbound settings may go to the receiver: not when its
// capabilities ended on another host than discovery named. Post withholds it then, so it must not be signed either.
func (r *Receiver) TakesAuthorization() bool { return originOf(r.URL) == r.origin }

// Close closes idle connections.
func (d *Discoverer) Close() {
	for tr := range d.transports.Values() {
		tr.close()
	}
}

func timeout(out *snapshot.Outbound) time.Duration {
	if out == nil || out.Timeout <= 0 {
		return defaultTimeout
	}
	return out.Timeout
}

func remaining(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return defaultTimeout
	}
	return time.Until(deadline)
}
