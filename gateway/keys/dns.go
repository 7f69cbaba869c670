package keys

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/calfed/calfed/gateway/resolver"
)

// leastTTL is how long a key with TTL 0 serves: the messages that come within a second are one transaction to DNS (RFC 1035
// §3.2.1), or a burst of them would use up the budgets of look-ups. Authoritative servers of small sites answer with 0 by default.
const leastTTL = time.Second

// askDNS reads {s}._domainkey.{d}. The strings of one RR are one text, each RR is a record of its own. IS-DKIM-10.
func (l *Lookup) askDNS(ctx context.Context, id keyID) (*entry, error) {
	name := id.selector + "._domainkey." + id.domain
	// This cache has the shorter bounds; what the resolver still keeps must not stretch them. IS-DKIM-12.
	l.cfg.DNS.Forget(name)
	rrs, answer, err := l.cfg.DNS.LookupTXT(ctx, name)
	switch {
	case errors.Is(err, resolver.ErrName): // too long for a name: there cannot be a key
		return noKey("the name would be too long").lasting(maxNegative, l.cfg.Now()), nil
	case err != nil:
		return nil, err
	}
	texts := make([]string, len(rrs))
	for i, rr := range rrs {
		texts[i] = strings.Join(rr, "")
	}
	e, ttl := newEntry(texts), answer.TTL
	if len(e.records) > 0 {
		ttl = max(ttl, leastTTL)
	}
	return e.lasting(ttl, l.cfg.Now()), nil
}
