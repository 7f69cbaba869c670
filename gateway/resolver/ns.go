package resolver

import (
	"context"

	"github.com/miekg/dns"
)

// LookupNS returns the names of the servers of the zone whose apex is name; none when it is no apex. Asking for the apex of a
// zone makes no resolver remember that something is missing below it.
func (c *Client) LookupNS(ctx context.Context, name string) ([]string, Answer, error) {
	e, err := c.lookup(ctx, name, dns.TypeNS)
	if err != nil {
		return nil, Answer{}, err
	}
	var out []string
	for _, rr := range e.records {
		if r, ok := rr.(*dns.NS); ok {
			out = append(out, plain(r.Ns))
		}
	}
	return out, c.answer(e), nil
}
