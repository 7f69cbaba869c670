package compile

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/snapshot"
)

// hosts are those that match a list of HostPatterns.
type hosts struct {
	text   []string // the patterns as written
	names  []string // "*" matches addresses, too
	ranges []netip.Prefix
}

func compileHosts(at spot, list []v1alpha1.HostPattern) *hosts {
	out := &hosts{}
	for i, p := range list {
		text := string(p)
		out.text = append(out.text, text)
		if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
			addr = addr.Unmap()
			out.ranges = append(out.ranges, netip.PrefixFrom(addr, addr.BitLen()))
		} else if prefix, err := netip.ParsePrefix(text); err == nil {
			out.ranges = append(out.ranges, prefix.Masked())
		} else if name, ok := normalPattern(text); ok {
			out.names = append(out.names, name)
		} else {
			at.index(i).error(v1alpha1.ReasonInvalidValue, "%q is no host, suffix (*.example.org), address or range of addresses", p)
		}
	}
	return out
}

// hold says whether a host, as it stands in a URL, is among them. A name is judged as a name: where it leads is the address
// guard's to judge.
func (h *hosts) hold(host string) bool {
	if slices.Contains(h.names, "*") {
		return true
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		addr = addr.Unmap()
		return slices.ContainsFunc(h.ranges, func(p netip.Prefix) bool { return p.Contains(addr) })
	}
	name, err := cua.Domain(strings.TrimSuffix(host, "."))
	return err == nil && slices.ContainsFunc(h.names, func(p string) bool { return snapshot.Specificity(p, name) >= 0 })
}

// target is a host that connections lead to, and the field that says so.
type target struct{ field, host string }

// backendHosts are the hosts that a FederatedDomain names. The gateway's own smarthost is none of them.
func backendHosts(spec *v1alpha1.FederatedDomainSpec) []target {
	out := hostsOf("backend", &spec.Backend)
	if spec.FreeBusyBackend != nil {
		out = append(out, hostsOf("freeBusyBackend", spec.FreeBusyBackend)...)
	}
	// where there is none, the URL is wrong: that is said when it is compiled
	return slices.DeleteFunc(out, func(t target) bool { return t.host == "" })
}

func hostsOf(field string, b *v1alpha1.Backend) []target {
	var out []target
	if b.ISchedule != nil {
		out = append(out, target{field + ".iSchedule.url", hostOf(string(b.ISchedule.URL))})
	}
	if b.CalDAV != nil {
		out = append(out, target{field + ".calDAV.url", hostOf(string(b.CalDAV.URL))})
	}
	if b.IMIP != nil && b.IMIP.Server != nil {
		out = append(out, target{field + ".iMIP.server.host", b.IMIP.Server.Host})
	}
	return out
}

// hostOf is the host in a URL; "" in one that is wrong, which whoever uses it says.
func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
