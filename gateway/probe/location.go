package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/resolver"
)

// endpoint is a host and port where the receiver should be.
type endpoint struct {
	host string
	port uint16
}

func (e endpoint) String() string { return net.JoinHostPort(e.host, strconv.Itoa(int(e.port))) }

// location asks DNS where the receiver is, and looks at each place: address and certificate. IS-DISC-2, IS-DISC-3, IS-DISC-10.
func (r *run) location(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, maxTargets*stepTimeout)
	defer cancel()
	places := r.pinned()
	if places == nil {
		places = r.srv(ctx)
		if places == nil {
			return
		}
		r.path(ctx)
	}
	for _, place := range places[:min(len(places), maxTargets)] {
		if r.address(ctx, place) {
			r.certificate(ctx, place)
		}
	}
}

// pinned is the endpoint that a policy gives in place of DNS; nil when none does.
func (r *run) pinned() []endpoint {
	if r.target.Outbound == nil || r.target.Outbound.Endpoint == "" {
		return nil
	}
	u, err := url.Parse(r.target.Outbound.Endpoint)
	if err != nil {
		return nil
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		port = 443
	}
	r.add(Step{Name: "policy", Verdict: OK, Expected: "SRV records, or an endpoint in the policy", Seen: "endpoint " + r.target.Outbound.Endpoint})
	return []endpoint{{u.Hostname(), uint16(port)}}
}

// srv returns the places that SRV names; nil when there are none.
func (r *run) srv(ctx context.Context) []endpoint {
	name := "_ischedules._tcp." + r.target.Domain
	step := Step{Name: "srv", Expected: "SRV records at " + name}
	if r.target.Host != "" {
		step.Expected += " that lead to " + r.target.Host
	}
	records, _, err := r.cfg.DNS.LookupSRV(ctx, name)
	switch {
	case err != nil:
		r.unknown = true
		step.Verdict, step.Seen = Failed, err.Error()
		step.Cause = "the name servers of the domain do not answer, or the resolver cannot reach them: senders will try again later"
		r.add(step)
		return nil
	case len(records) == 0:
		r.add(r.withoutSRV(ctx, step))
		return nil
	}
	var places []endpoint
	seen := make([]string, len(records))
	for i, record := range resolver.OrderSRV(records, func(int) int { return 0 }) {
		seen[i] = fmt.Sprintf("%d %d %d %s.", record.Priority, record.Weight, record.Port, record.Target)
		if record.Target != "" {
			places = append(places, endpoint{record.Target, record.Port})
		}
	}
	step.Verdict, step.Seen = OK, strings.Join(seen, ", ")
	switch {
	case len(places) == 0:
		r.absent = true
		step.Verdict, step.Cause = Failed, "the target \".\" says that the domain has no iSchedule service (RFC 2782): remove the record, or give it a host"
	case len(places) > maxTargets:
		step.Verdict, step.Cause = Warning, fmt.Sprintf("only the first %d of the %d targets were looked at", maxTargets, len(places))
	case r.target.Host != "" && !slices.ContainsFunc(places, func(e endpoint) bool { return e.host == r.target.Host }):
		step.Verdict, step.Cause = Failed, "DNS leads elsewhere: publish what calfed dns prints, or wait for the old record's time to live"
	}
	r.add(step)
	return places
}

// withoutSRV judges a domain that has no SRV record: it may still be found in the optional ways.
func (r *run) withoutSRV(ctx context.Context, step Step) Step {
	step.Verdict, step.Seen = Failed, "no SRV record"
	step.Cause = "the domain has no iSchedule service, or has not published it: publish the records that calfed dns prints"
	old, _, err := r.cfg.DNS.LookupSRV(ctx, "_ischedule._tcp."+r.target.Domain)
	switch {
	case err == nil && len(old) > 0:
		step.Cause = "only _ischedule._tcp exists, the label for plain http that nobody may use: publish _ischedules._tcp"
	case r.cfg.Options.WellKnown || r.cfg.Options.ParentDomains:
		step.Verdict, step.Cause = Warning, "found, if at all, only by senders that look further than the SRV record of the domain itself"
	default:
		r.absent = true
	}
	return step
}

// path looks at the TXT record beside SRV. IS-DISC-3.
func (r *run) path(ctx context.Context) {
	name := "_ischedules._tcp." + r.target.Domain
	step := Step{Name: "txt", Verdict: OK, Expected: "no TXT record at " + name + ", or one with path=/…", Seen: "none: the path is " + ischedule.WellKnownPath}
	records, _, err := r.cfg.DNS.LookupTXT(ctx, name)
	if err != nil {
		step.Verdict, step.Seen = Failed, err.Error()
		step.Cause = "the name servers answer for SRV and not for TXT: senders cannot know the path and wait"
		r.add(step)
		return
	}
	for _, record := range records {
		for _, pair := range record {
			key, value, _ := strings.Cut(pair, "=")
			if !strings.EqualFold(key, "path") {
				continue
			}
			step.Seen = pair
			if !strings.HasPrefix(value, "/") {
				step.Verdict, step.Cause = Warning, "path= must be an absolute path: senders pass this one over and take "+ischedule.WellKnownPath
			}
			r.add(step)
			return
		}
	}
	r.add(step)
}

// address checks where a host name leads, and says whether any address may be connected to. IS-DISC-10.
func (r *run) address(ctx context.Context, place endpoint) bool {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	step := Step{Name: "address " + place.String(), Verdict: OK, Expected: "public addresses; port 443, or 1024 and above"}
	addrs, err := r.addresses(ctx, place.host)
	if err != nil || len(addrs) == 0 {
		step.Verdict, step.Seen, step.Cause = Failed, "no address", "the target of the SRV record has neither A nor AAAA: correct it, or add one"
		if err != nil {
			step.Seen = err.Error()
		}
		r.add(step)
		return false
	}
	var seen []string
	var refused *netguard.RefusedError
	usable := false
	for _, a := range addrs {
		text := a.String()
		if err := r.cfg.Guard.Check(netguard.Peer, netip.AddrPortFrom(a, place.port)); errors.As(err, &refused) {
			text += " (refused: " + refused.Rule + ")"
		} else {
			usable = true
		}
		seen = append(seen, text)
	}
	step.Seen = strings.Join(seen, ", ")
	switch {
	case !usable:
		step.Verdict = Failed
		step.Cause = "no gateway of another organisation connects to such an address or port: give the host a public address, and use 443"
	case refused != nil:
		step.Verdict = Warning
		step.Cause = "some of the addresses are not for the public: remove them from the name that others see"
	}
	r.add(step)
	return usable
}

func (r *run) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	return r.cfg.DNS.LookupAddrs(ctx, host)
}
