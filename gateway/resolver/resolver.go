// Package resolver asks DNS: SRV, TXT and addresses, cached for their TTL (negative answers by RFC 2308, bounded),
// one look-up in flight per name and type, TCP after truncation. IS-DISC-8.
//
// SERVFAIL and time-outs are ErrTemporary; "there is nothing" is an empty answer, not an error. It asks recursive
// resolvers only, and validates no DNSSEC itself: it passes on what a resolver on this very host says it validated.
package resolver

import (
	"context"
	"errors"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/miekg/dns"
)

// ErrTemporary wraps every failure that may go away: SERVFAIL, time-out, refused, unreachable, an answer that makes
// no sense.
var ErrTemporary = errors.New("temporary DNS failure")

// ErrName means that the question itself is no domain name; nothing was asked.
var ErrName = errors.New("not a domain name")

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
type Client struct {
	cfg     Config
	cache   *otter.Cache[question, *entry]
	flights flights
	servers func() ([]string, error)
}

// Config of a Client.
type Config struct {
	Server     string           // host:port; "" = the system's resolvers and hosts file
	Timeout    time.Duration    // per try, 0 = 3 s
	MaxEntries int              // cache bound, 0 = 10 000; an answer of several KiB counts as several
	Now        func() time.Time // nil = time.Now
}

const (
	defaultTimeout    = 3 * time.Second
	defaultMaxEntries = 10_000
)

// New makes a Client. It starts no goroutine.
func New(cfg Config) *Client {
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.MaxEntries <= 0 {
		cfg.MaxEntries = defaultMaxEntries
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &Client{cfg: cfg, cache: newCache(cfg.MaxEntries)}
	c.servers = func() ([]string, error) { return systemServers(resolvConf) }
	if cfg.Server != "" {
		c.servers = func() ([]string, error) { return []string{cfg.Server}, nil }
	}
	return c
}

// LookupSRV returns the records at name, unsorted; none is no error.
func (c *Client) LookupSRV(ctx context.Context, name string) ([]SRV, Answer, error) {
	e, err := c.lookup(ctx, name, dns.TypeSRV)
	if err != nil {
		return nil, Answer{}, err
	}
	var out []SRV
	for _, rr := range e.records {
		if r, ok := rr.(*dns.SRV); ok {
			out = append(out, SRV{Target: plain(r.Target), Port: r.Port, Priority: r.Priority, Weight: r.Weight})
		}
	}
	return out, c.answer(e), nil
}

// LookupTXT returns one entry per RR, each with its strings.
func (c *Client) LookupTXT(ctx context.Context, name string) ([][]string, Answer, error) {
	e, err := c.lookup(ctx, name, dns.TypeTXT)
	if err != nil {
		return nil, Answer{}, err
	}
	var out [][]string
	for _, rr := range e.records {
		if r, ok := rr.(*dns.TXT); ok {
			strings := make([]string, len(r.Txt))
			for i, s := range r.Txt {
				strings[i] = unescape(s)
			}
			out = append(out, strings)
		}
	}
	return out, c.answer(e), nil
}

func (c *Client) answer(e *entry) Answer {
	return Answer{TTL: max(0, e.expires.Sub(c.cfg.Now())), Secure: e.secure}
}
