package keys

import (
	"context"
	"errors"
	"strings"

	"github.com/calfed/calfed/gateway/resolver"
)

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
	return newEntry(texts).lasting(answer.TTL, l.cfg.Now()), nil
}
