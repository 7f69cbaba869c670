package discovery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/resolver"
)

// Where a receiver was found.
const (
	fromPolicy    = "policy"
	fromSRV       = "srv"
	fromParentSRV = "srv-parent"
	fromWellKnown = "well-known"
)

const (
	srvPrefix = "_ischedules._tcp." // IS-DISC-6: there is no other
	// Bounds of what one domain's owner can make us do.
	maxTargets = 8
	maxParents = 8
)

// target is one place where a domain's receiver may be.
type target struct {
	url    *url.URL // where capabilities are asked for first, without the query
	id     string   // url, settings and class
	class  netguard.Class
	source string
	names  []string // the source domain, beside the host name of url (IS-DISC-9)
}

// targets are the places to try, in order. It never returns none without an error.
func (d *Discoverer) targets(ctx context.Context, domain string, s *settings) (out []*target, steps []string, err error) {
	if s.out.Endpoint != "" {
		u, err := endpoint(s.out.Endpoint)
		if err != nil {
			return nil, nil, err
		}
		return []*target{newTarget(u, s, netguard.Backend, fromPolicy, domain)}, []string{"policy: " + u.String()}, nil
	}

	owners := []string{domain}
	if d.cfg.Options.ParentDomains {
		owners = append(owners, parents(domain)...)
	}
	for _, owner := range owners {
		records, secure, err := d.srv(ctx, owner)
		if err != nil {
			return nil, nil, err
		}
		if len(records) == 0 {
			steps = append(steps, "SRV "+srvPrefix+owner+": none")
			continue
		}
		if s.needsDNSSEC() && !secure {
			return nil, nil, fmt.Errorf("%w: SRV %s%s: %w", ErrNoService, srvPrefix, owner, ErrInsecure)
		}
		out, more, err := d.srvTargets(ctx, domain, owner, records, s)
		return out, append(steps, more...), err
	}
	if d.cfg.Options.WellKnown {
		u := &url.URL{Scheme: "https", Host: hostPort(domain, d.wellKnownPort), Path: ischedule.WellKnownPath}
		return []*target{newTarget(u, s, netguard.Peer, fromWellKnown)}, append(steps, "well-known: "+u.String()), nil
	}
	return nil, nil, fmt.Errorf("%w: no SRV record at %s%s", ErrNoService, srvPrefix, domain)
}

func (d *Discoverer) srv(ctx context.Context, owner string) (records []resolver.SRV, secure bool, err error) {
	records, answer, err := d.cfg.DNS.LookupSRV(ctx, srvPrefix+owner)
	switch {
	case errors.Is(err, resolver.ErrName): // too long with the prefix
		return nil, false, fmt.Errorf("%w: %w", ErrNoService, err)
	case err != nil:
		return nil, false, fmt.Errorf("%w: %w", ErrTemporary, err)
	}
	return records, answer.Secure, nil
}

// srvTargets makes targets of the records found at owner, which is domain or a parent of it. IS-DISC-2, IS-DISC-3.
func (d *Discoverer) srvTargets(ctx context.Context, domain, owner string, records []resolver.SRV, s *settings) (out []*target, steps []string, err error) {
	path, steps, err := d.path(ctx, owner, s)
	if err != nil {
		return nil, nil, err
	}
	source := fromSRV
	names := []string{domain}
	if owner != domain {
		source = fromParentSRV
		names = append(names, owner)
	}
	for _, r := range resolver.OrderSRV(records, d.cfg.Rand) {
		step := fmt.Sprintf("SRV %s%s: %s:%d, priority %d, weight %d", srvPrefix, owner, r.Target, r.Port, r.Priority, r.Weight)
		host, err := cua.Domain(r.Target)
		switch {
		case r.Target == "":
			step = fmt.Sprintf("SRV %s%s: \".\", no service here", srvPrefix, owner)
		case err != nil:
			step += ": skipped, no host name"
		case len(out) == maxTargets:
			step += ": skipped, too many"
		default:
			u, err := url.Parse("https://" + hostPort(host, r.Port) + path)
			if err != nil {
				return nil, nil, fmt.Errorf("%w: %w", ErrNoService, err)
			}
			out = append(out, newTarget(u, s, netguard.Peer, source, names...))
		}
		steps = append(steps, step)
	}
	if len(out) == 0 {
		return nil, nil, fmt.Errorf("%w: no target in the SRV records at %s%s", ErrNoService, srvPrefix, owner)
	}
	return out, steps, nil
}

// path is the Request-URI path that TXT records give, or the well-known one.
func (d *Discoverer) path(ctx context.Context, owner string, s *settings) (path string, steps []string, err error) {
	records, answer, err := d.cfg.DNS.LookupTXT(ctx, srvPrefix+owner)
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrTemporary, err)
	}
	path, warning := txtPath(records)
	if path != "" && s.needsDNSSEC() && !answer.Secure {
		path, warning = "", "the answer is not secured by DNSSEC"
	}
	switch {
	case warning != "":
		d.cfg.Log.WarnContext(ctx, "TXT path ignored", "peer", owner, "cause", warning)
		steps = []string{"TXT " + srvPrefix + owner + ": path ignored: " + warning}
	case path != "":
		steps = []string{"TXT " + srvPrefix + owner + ": path " + path}
	default:
		steps = []string{"TXT " + srvPrefix + owner + ": no path"}
	}
	if path == "" {
		path = ischedule.WellKnownPath
	}
	return path, steps, nil
}

// parents are the domains above domain and below its public suffix, nearest first. IS-DISC-5.
func parents(domain string) []string {
	suffix, _ := publicsuffix.PublicSuffix(domain)
	var out []string
	for len(out) < maxParents {
		_, parent, ok := strings.Cut(domain, ".")
		if !ok || len(parent) <= len(suffix) {
			break
		}
		out = append(out, parent)
		domain = parent
	}
	return out
}

func newTarget(u *url.URL, s *settings, class netguard.Class, source string, names ...string) *target {
	id := fmt.Sprintf("%s %s %d", u, s.id, class) // what the rules for one class allow, those of the other may not
	return &target{url: u, id: id, class: class, source: source, names: names}
}

// endpoint reads a configured URL.
func endpoint(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return nil, fmt.Errorf("%w: the policy's endpoint is no https URL", ErrTemporary) // an edit of the policy cures it
	}
	return plain(u), nil
}

// plain is u in one spelling, without query and fragment.
func plain(u *url.URL) *url.URL {
	out := &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host), Path: u.Path, RawPath: u.RawPath}
	if out.Path == "" {
		out.Path = "/"
	}
	if out.Port() == "443" {
		out.Host = strings.TrimSuffix(out.Host, ":443")
	}
	out.Host = strings.TrimSuffix(out.Host, ":") // an empty port
	return out
}

func hostPort(host string, port uint16) string {
	if port == 443 {
		return host
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// origin is scheme, host and port: what credentials must not leave (IS-DISC-4).
func origin(u *url.URL) string {
	p := plain(u)
	return p.Scheme + "://" + p.Host
}

func originOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return origin(u)
}
