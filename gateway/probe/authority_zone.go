package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"
	"golang.org/x/net/publicsuffix"
)

// Bounds on what the owners of zones may cost.
const (
	maxCuts    = 16 // zones below each other
	maxServers = 16 // names of servers of one zone
	maxAddrs   = 8  // of one server
	maxAtOnce  = 8  // questions under way
	maxGuides  = 4  // servers that are asked where a zone begins, in turn
)

// zone is a zone and who answers for it.
type zone struct {
	apex    string
	names   []string // of its servers, without the trailing dot, sorted
	servers []server
}

// server is one address of a name server, or why there is none.
type server struct {
	name string
	addr netip.AddrPort
	err  error
}

// zoneOf finds the closest enclosing zone of name. A resolver is asked for the servers of the registered domain alone; from
// there on the way leads down by what the servers themselves say.
func (a *Authority) zoneOf(ctx context.Context, name string) (*zone, error) {
	z, err := a.start(ctx, name)
	if err != nil {
		return nil, err
	}
	for range maxCuts {
		below, err := a.descend(ctx, z, name)
		if err != nil {
			return nil, err
		}
		if below == nil {
			return a.complete(ctx, z), nil
		}
		z = below
	}
	return nil, fmt.Errorf("%w: more than %d zones below each other on the way to %s", ErrNoZone, maxCuts, name)
}

// start is the zone that the registered domain of name lies in.
func (a *Authority) start(ctx context.Context, name string) (*zone, error) {
	labels := strings.Split(strings.TrimSuffix(name, "."), ".")
	for len(labels) > 1 && strings.HasPrefix(labels[0], "_") {
		labels = labels[1:]
	}
	base := strings.Join(labels, ".")
	if registered, err := publicsuffix.EffectiveTLDPlusOne(base); err == nil {
		base = registered
	}
	for at := base; at != ""; _, at, _ = strings.Cut(at, ".") {
		names, _, err := a.cfg.DNS.LookupNS(ctx, at)
		if err != nil {
			return nil, fmt.Errorf("%w: the name servers of %s: %w", ErrNoZone, at, err)
		}
		if len(names) > 0 {
			return a.newZone(ctx, dns.CanonicalName(at), names), nil
		}
	}
	return nil, fmt.Errorf("%w: %s has no name servers, and nothing above it has", ErrNoZone, base)
}

// newZone resolves the names of a zone's servers. Glue is not believed: it is a stranger's word on addresses.
func (a *Authority) newZone(ctx context.Context, apex string, names []string) *zone {
	z := &zone{apex: apex}
	for _, name := range names {
		z.names = append(z.names, strings.TrimSuffix(dns.CanonicalName(name), "."))
	}
	slices.Sort(z.names)
	z.names = slices.Compact(z.names)
	found := make([][]server, len(z.names))
	a.each(len(z.names), func(i int) { found[i] = a.addresses(ctx, i, z.names[i]) })
	known := map[netip.AddrPort]bool{}
	for _, servers := range found {
		for _, s := range servers {
			if s.err == nil && known[s.addr] {
				continue
			}
			known[s.addr] = true
			z.servers = append(z.servers, s)
		}
	}
	return z
}

var errTooManyServers = fmt.Errorf("not asked: the zone has more than %d name servers", maxServers)

func (a *Authority) addresses(ctx context.Context, i int, name string) []server {
	if i >= maxServers {
		return []server{{name: name, err: errTooManyServers}}
	}
	addrs, err := a.cfg.DNS.LookupAddrs(ctx, name)
	switch {
	case err != nil:
		return []server{{name: name, err: fmt.Errorf("its address: %w", err)}}
	case len(addrs) == 0:
		return []server{{name: name, err: errors.New("it has no address")}}
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	var out []server
	for _, addr := range addrs[:min(len(addrs), maxAddrs)] {
		out = append(out, server{name: name, addr: netip.AddrPortFrom(addr.Unmap(), a.cfg.Port)})
	}
	return out
}

// each runs f for 0 to n-1, some at once, and waits.
func (a *Authority) each(n int, f func(int)) {
	slots := make(chan struct{}, maxAtOnce)
	var done sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		done.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
	done.Wait()
}

// descend asks the servers of z, in turn until one knows, in which zone name lies: nil when that is z itself.
func (a *Authority) descend(ctx context.Context, z *zone, name string) (*zone, error) {
	var errs []error
	asked := 0
	for _, s := range z.servers {
		if s.err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.name, s.err))
			continue
		}
		if asked++; asked > maxGuides {
			break
		}
		apex, names, err := a.cut(ctx, s, z.apex, name)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
		case apex == z.apex:
			return nil, nil
		default:
			return a.newZone(ctx, apex, names), nil
		}
	}
	return nil, fmt.Errorf("%w: no server of %s says where %s lies: %w", ErrNoZone, z.apex, name, errors.Join(errs...))
}

// cut asks one server of the zone at apex for the zone that name lies in, and its servers where it is another.
func (a *Authority) cut(ctx context.Context, s server, apex, name string) (string, []string, error) {
	for at := name; ; at = parent(at) {
		resp, err := a.exchange(ctx, s.addr, at, dns.TypeSOA)
		if err != nil {
			return "", nil, err
		}
		if child, names := referral(resp, apex, name); child != "" {
			return child, names, nil
		}
		if err := authoritative(resp); err != nil {
			return "", nil, err
		}
		soa := soaOf(resp, at)
		switch {
		case soa == nil && at != apex: // at an alias there is no SOA: the zone is that of the name above
			continue
		case soa == nil:
			return "", nil, fmt.Errorf("has no SOA record at %s", apex)
		}
		found := dns.CanonicalName(soa.Hdr.Name)
		if found == apex || !dns.IsSubDomain(apex, found) {
			return apex, nil, nil
		}
		// the server has the zone below, too
		resp, err = a.exchange(ctx, s.addr, found, dns.TypeNS)
		if err != nil {
			return "", nil, err
		}
		names, _, err := data(resp, found, dns.TypeNS)
		if err != nil || len(names) == 0 {
			return "", nil, fmt.Errorf("has no NS records at %s", found)
		}
		return found, names, nil
	}
}

// complete adds the servers that the zone names itself and the zone above does not: resolvers ask those, too.
func (a *Authority) complete(ctx context.Context, z *zone) *zone {
	said := make([][]string, len(z.servers))
	a.each(len(z.servers), func(i int) {
		if s := z.servers[i]; s.err == nil {
			if resp, err := a.exchange(ctx, s.addr, z.apex, dns.TypeNS); err == nil && authoritative(resp) == nil {
				said[i], _, _ = data(resp, z.apex, dns.TypeNS)
			}
		}
	})
	names := slices.Clone(z.names)
	for _, more := range said {
		for _, name := range more {
			if name := strings.TrimSuffix(name, "."); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	if len(names) == len(z.names) {
		return z
	}
	return a.newZone(ctx, z.apex, names)
}

func parent(name string) string {
	_, rest, _ := strings.Cut(name, ".")
	if rest == "" {
		return "."
	}
	return rest
}
