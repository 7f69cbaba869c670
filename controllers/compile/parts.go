package compile

import (
	"cmp"
	"maps"
	"slices"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/gateway/snapshot"
)

// The operator compiles in parts, so that a change of one domain costs one shard: CompileGateway, then CompileDomains for
// each shard that something changed for. Compile is both, for everything at once.

// Shared is what the domains of a gateway share, compiled.
type Shared struct {
	Settings     snapshot.Gateway
	OK           bool // false: an error in the gateway; Settings are a draft to tell about, never to be served
	Capabilities CapabilityState
	Findings     []Finding // of the gateway, sorted

	common *common
}

// CompileGateway compiles what the domains of in.Gateway share. Of in it looks at the gateway, its namespace's Secrets and
// ConfigMaps, Prior, LeftOut, TrustOwners and Now.
func CompileGateway(in Input) *Shared {
	return compileGateway(in, indexValues(&in, in.Gateway.Namespace))
}

func compileGateway(in Input, values values) *Shared {
	c := &compiler{
		common:    &common{gateway: gatewayMeta(in.Gateway), leftOut: in.LeftOut, now: in.Now, trustOwners: in.TrustOwners},
		namespace: in.Gateway.Namespace,
		values:    values,
		report:    &report{},
	}
	out := &Shared{Capabilities: in.Prior, common: c.common}
	out.Settings, out.OK = c.compileGateway(in.Gateway)
	c.host = out.Settings.Host
	c.smarthost = out.Settings.Submission.Smarthost != nil
	c.capabilities = out.Settings.Capabilities
	if out.OK {
		out.Capabilities = nextState(out.Settings.Capabilities, in.Prior, in.Now)
		out.Settings.Capabilities.Serial = out.Capabilities.Serial
	}
	out.Findings = c.report.sorted()
	return out
}

// Part is some of a gateway's domains, compiled.
type Part struct {
	Domains    []snapshot.Domain          // sorted by name
	Policies   []snapshot.Policy          // those that cover one of them, sorted by ID
	Candidates map[string]snapshot.Domain // by namespace/name: what only the proof of ownership keeps out
	Findings   []Finding                  // of FederatedDomains, DKIMKeys and PeerPolicies, sorted

	// ShadowedBy holds the policies, by namespace/name, that decide about nothing in this part although they cover a domain of
	// it, and which ones decide in their place, sorted. A policy decides nowhere when every part that Covers names it for also
	// has it here.
	ShadowedBy map[string][]string
	Covers     map[string][]string // policies by namespace/name: names of the domains of this part, sorted
	KeyUsers   map[string][]string // DKIMKeys by namespace/name: FederatedDomains behind Domains, by namespace/name, sorted
}

// CompileDomains compiles domains of the gateway. in.Domains holds every FederatedDomain that claims one of their names, for
// whichever gateway; in.Keys, in.Policies, in.Secrets, in.ConfigMaps and in.Namespaces hold all of their namespaces (Secrets and
// ConfigMaps: those referred to, and the generated keys); in.Serving all that the newest snapshot serves of their names. in.Gateway,
// in.Now and what else CompileGateway looked at is taken from there. Parts that do not share a name may be compiled at the same time.
func CompileDomains(sh *Shared, in Input) Part {
	c := newCompiler(sh, &in, indexValues(&in, ""))
	part := c.compile(&in, "")
	part.Findings = c.report.sorted()
	return part
}

// compile compiles the domains in in, and the policies of their namespaces and of home.
func (c *compiler) compile(in *Input, home string) Part {
	claims := c.claims(in)
	namespaces := map[string]bool{}
	if home != "" {
		namespaces[home] = true
	}
	for _, list := range claims {
		for _, one := range list {
			if one.ours {
				namespaces[one.meta.namespace] = true
			}
		}
	}
	c.open(in, namespaces)
	out := Part{Candidates: map[string]snapshot.Domain{}, KeyUsers: map[string][]string{}}
	byNamespace := map[string][]*snapshot.Domain{}
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		for _, verdict := range c.settle(name, claims[name], in.Serving[name]) {
			space := c.spaces[verdict.meta.namespace]
			compiled, ok := space.domain(verdict.at, verdict.object, name)
			if space.policies.crowded(name) {
				verdict.at.error(v1alpha1.ReasonTooLarge, "more than %d PeerPolicies of the namespace cover %s: let fewer of them name more peers each", maxCovering, name)
				ok = false
			}
			if in.Excess[verdict.meta.id()] {
				verdict.at.error(v1alpha1.ReasonTooLarge, "the gateway's configuration has no room for %s beside the domains of others: let its policies name fewer peers and smaller certificate bundles", name)
				ok = false
			}
			switch {
			case !ok || verdict.barred:
			case verdict.unproven:
				out.Candidates[verdict.meta.id()] = compiled
			default:
				out.Domains = append(out.Domains, compiled)
				space.noteUsers(verdict.object, out.KeyUsers)
			}
		}
	}
	slices.SortFunc(out.Domains, func(a, b snapshot.Domain) int { return cmp.Compare(a.Name, b.Name) })
	for i := range out.Domains {
		d := &out.Domains[i]
		namespace := namespaceOf(d.Source)
		byNamespace[namespace] = append(byNamespace[namespace], d)
	}
	for _, users := range out.KeyUsers {
		slices.Sort(users)
	}
	for namespace, domains := range byNamespace {
		c.spaces[namespace].attach(domains, &out)
	}
	slices.SortFunc(out.Policies, func(a, b snapshot.Policy) int { return cmp.Compare(a.ID, b.ID) })
	return out
}
