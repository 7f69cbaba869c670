package resolver

import (
	"context"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/miekg/dns"
)

// How long an answer is believed at most, whatever its TTL says. RFC 2308 §5 suggests bounds for negative ones; a
// short one keeps a record that was just published from staying unseen.
const (
	maxPositive = 24 * time.Hour
	maxNegative = 5 * time.Minute
)

type question struct {
	name  string // rooted
	qtype uint16
}

// entry is one answer. It is immutable.
type entry struct {
	records []dns.RR // of the asked type; none is a negative answer
	expires time.Time
	secure  bool
}

// newCache bounds memory, not only the count: a stranger chooses how large the answers about its names are.
func newCache(maxEntries int) *otter.Cache[question, *entry] {
	return otter.Must(&otter.Options[question, *entry]{
		MaximumWeight: uint64(maxEntries),
		Weigher: func(_ question, e *entry) uint32 {
			size := 0
			for _, rr := range e.records {
				size += dns.Len(rr)
			}
			return uint32(1 + size/1024)
		},
		Executor: func(fn func()) { fn() },
	})
}

// lookup answers from the cache, or joins or starts the one look-up in flight for the question.
func (c *Client) lookup(ctx context.Context, name string, qtype uint16) (*entry, error) {
	fqdn, err := rooted(name)
	if err != nil {
		return nil, err
	}
	q := question{fqdn, qtype}
	if e, ok := c.cache.GetIfPresent(q); ok {
		if c.cfg.Now().Before(e.expires) {
			return e, nil
		}
		c.cache.Invalidate(q)
	}
	return c.flights.do(ctx, q, func(ctx context.Context) (*entry, error) {
		e, err := c.ask(ctx, q)
		if err == nil && c.cfg.Now().Before(e.expires) {
			c.cache.Set(q, e)
		}
		return e, err
	})
}
