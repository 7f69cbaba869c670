package compile

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/snapshot"
)

// allowance is one entry of spec.allowedDomains.
type allowance struct {
	from     v1alpha1.DomainsFrom
	selector labels.Selector
	domains  []string // patterns; nil = any
	hosts    *hosts   // nil = not said
	zones    []string // that records of other namespaces' domains may be written below
	proof    v1alpha1.ProofRequirement
}

// compileAllowed reads spec.allowedDomains.
func compileAllowed(at spot, list []v1alpha1.AllowedDomains) []allowance {
	if len(list) == 0 {
		return []allowance{{from: v1alpha1.FromSame}}
	}
	var out []allowance
	for i := range list {
		at := at.index(i)
		entry := &list[i]
		one := allowance{from: entry.From, proof: entry.Proof, domains: patterns(at.to("domains"), entry.Domains)}
		switch entry.From {
		case "":
			one.from = v1alpha1.FromSame
		case v1alpha1.FromSame, v1alpha1.FromAll:
		case v1alpha1.FromSelector:
			selector, err := metav1.LabelSelectorAsSelector(entry.Selector)
			if err != nil {
				at.to("selector").error(v1alpha1.ReasonInvalidValue, "chooses no namespaces: %s", err)
				continue
			}
			one.selector = selector
		default:
			at.to("from").error(v1alpha1.ReasonInvalidValue, "%q is none of Same, All and Selector", entry.From)
			continue
		}
		if len(entry.BackendHosts) > 0 {
			one.hosts = compileHosts(at.to("backendHosts"), entry.BackendHosts)
		}
		for j, z := range entry.DelegatedZones {
			zone, err := cua.Domain(string(z))
			if err != nil {
				at.to("delegatedZones").index(j).error(v1alpha1.ReasonInvalidValue, "%q is no domain name", z)
			}
			one.zones = append(one.zones, zone)
		}
		out = append(out, one)
	}
	return out
}

// namespaceLabels are the labels of a namespace, with the one that an API server gives to each.
func (c *compiler) namespaceLabels(namespace string) labels.Set {
	out := labels.Set{"kubernetes.io/metadata.name": namespace}
	for k, v := range c.labels[namespace] {
		out[k] = v
	}
	return out
}

// letIn are the entries that a namespace may use.
func (c *compiler) letIn(namespace string) []allowance {
	var out []allowance
	var set labels.Set
	for _, a := range c.allowed {
		switch a.from {
		case v1alpha1.FromSame:
			if namespace != c.gateway.namespace {
				continue
			}
		case v1alpha1.FromSelector:
			if set == nil {
				set = c.namespaceLabels(namespace)
			}
			if !a.selector.Matches(set) {
				continue
			}
		}
		out = append(out, a)
	}
	return out
}

// covers says whether the entry lets a name in.
func (a *allowance) covers(name string) bool {
	return len(a.domains) == 0 || slices.ContainsFunc(a.domains, func(p string) bool { return snapshot.Specificity(p, name) >= 0 })
}

// takes says whether the entry lets the connections of a namespace lead to a host.
func (a *allowance) takes(host string, home bool) bool {
	if a.hosts == nil {
		return home
	}
	return a.hosts.hold(host)
}

// asks says whether the entry asks a namespace for proof of ownership.
func (a *allowance) asks(home bool) bool {
	if a.proof == "" {
		return !home
	}
	return a.proof == v1alpha1.ProofRequired
}

// admit says whether a FederatedDomain may attach to the gateway at all, whether it is asked to prove its ownership, and whether
// its back ends bar it from being served: the name is its own then all the same.
func (c *compiler) admit(at spot, d *v1alpha1.FederatedDomain, name string) (admitted, asked, barred bool) {
	home := d.Namespace == c.gateway.namespace
	letIn := c.letIn(d.Namespace)
	if len(letIn) == 0 {
		at.to("gatewayRef").error(v1alpha1.ReasonNotAllowed, "FederationGateway %s takes no domains of namespace %q: its spec.allowedDomains lets in %s; ask those who run it",
			c.gateway.id(), d.Namespace, c.whoIsLetIn())
		return false, false, false
	}
	fit := slices.DeleteFunc(slices.Clone(letIn), func(a allowance) bool { return !a.covers(name) })
	if len(fit) == 0 {
		var may []string
		for _, a := range letIn {
			may = append(may, a.domains...)
		}
		at.to("domain").error(v1alpha1.ReasonNotAllowed, "FederationGateway %s does not let namespace %q have %s: its spec.allowedDomains lets it have %s; ask those who run it",
			c.gateway.id(), d.Namespace, name, telling(may, "single names"))
		return false, false, false
	}
	able := c.ableToReach(at, d, fit, home)
	if len(able) > 0 {
		fit = able
	}
	asked = !c.trustOwners && !slices.ContainsFunc(fit, func(a allowance) bool { return !a.asks(home) })
	return true, asked, len(able) == 0
}

// ableToReach are those of the entries that take all back ends of a FederatedDomain; where there is none, that is said.
func (c *compiler) ableToReach(at spot, d *v1alpha1.FederatedDomain, fit []allowance, home bool) []allowance {
	targets := backendHosts(&d.Spec)
	able := slices.DeleteFunc(slices.Clone(fit), func(a allowance) bool {
		return slices.ContainsFunc(targets, func(t target) bool { return !a.takes(t.host, home) })
	})
	if len(able) > 0 {
		return able
	}
	said := false
	for _, t := range targets {
		if !slices.ContainsFunc(fit, func(a allowance) bool { return a.takes(t.host, home) }) {
			at.to(t.field).error(v1alpha1.ReasonEgressDenied, "%s", c.hostRefusal(d.Namespace, t.host, fit))
			said = true
		}
	}
	if !said {
		at.to("backend").error(v1alpha1.ReasonEgressDenied, "FederationGateway %s takes each of the hosts, and no entry of its spec.allowedDomains both: ask those who run it", c.gateway.id())
	}
	return nil
}

// endpointHost checks that a policy may lead the gateway's connections to a host: to inner addresses too, as a back end may.
func (c *compiler) endpointHost(at spot, host string) {
	letIn := c.letIn(c.namespace)
	home := c.namespace == c.gateway.namespace
	// a namespace that is not let in has no domain here for the policy to cover
	if host != "" && !home && len(letIn) > 0 && !slices.ContainsFunc(letIn, func(a allowance) bool { return a.takes(host, home) }) {
		at.error(v1alpha1.ReasonEgressDenied, "%s", c.hostRefusal(c.namespace, host, letIn))
	}
}

// writesBelow says whether a domain of the namespace may have its records written below a zone with external-dns's rights. No zone within
// another does: its names could be those of somebody else's domain below the other.
func (c *compiler) writesBelow(zone, name string) bool {
	return c.trustOwners || c.namespace == c.gateway.namespace ||
		slices.ContainsFunc(c.letIn(c.namespace), func(a allowance) bool { return a.covers(name) && slices.Contains(a.zones, zone) })
}

// hostRefusal says that the gateway leads no connections of a namespace to a host.
func (c *compiler) hostRefusal(namespace, host string, entries []allowance) string {
	var may []string
	for _, a := range entries {
		if a.hosts != nil {
			may = append(may, a.hosts.text...)
		}
	}
	return "FederationGateway " + c.gateway.id() + " makes no connections for namespace \"" + namespace + "\" to " + host +
		": backendHosts of its spec.allowedDomains lets it name " + telling(may, "single hosts") + "; ask those who run it"
}

// whoIsLetIn tells which namespaces are, and names none.
func (c *compiler) whoIsLetIn() string {
	var out []string
	for _, a := range c.allowed {
		text := "its own namespace"
		if a.from == v1alpha1.FromSelector {
			text = "namespaces with certain labels"
		}
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, " and ")
}

// telling lists patterns. Those that name one domain or host are not shown: they may be another tenant's.
func telling(patterns []string, single string) string {
	var out []string
	hidden := false
	for _, p := range patterns {
		if p != "*" && !strings.HasPrefix(p, "*.") && !strings.Contains(p, "/") {
			hidden = true
		} else if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	slices.Sort(out)
	text := strings.Join(out, ", ")
	switch {
	case text == "" && hidden:
		return single + " alone"
	case text == "":
		return "none"
	case hidden:
		return text + " and " + single
	}
	return text
}
