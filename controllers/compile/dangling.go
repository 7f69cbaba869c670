package compile

import (
	"slices"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Dangling finds what no single gateway's compile can see: domains without their gateway, gateways without a domain,
// keys and policies that nothing uses. Only Domains, Keys, Policies and LeftOut of in are looked at.
func Dangling(gateways []v1alpha1.FederationGateway, in Input) []Finding {
	r := &report{}
	// whether something is unused nobody can say while a domain of the namespace could not be read
	unsure := func(namespace string) bool {
		return slices.ContainsFunc(in.LeftOut, func(o Object) bool {
			return o.Kind == v1alpha1.KindFederatedDomain && o.Namespace == namespace
		})
	}
	for i := range in.Domains {
		d := &in.Domains[i]
		if !slices.ContainsFunc(gateways, func(g v1alpha1.FederationGateway) bool {
			return g.Namespace == d.Namespace && g.Name == d.Spec.GatewayRef.Name
		}) {
			c := &compiler{namespace: d.Namespace, leftOut: in.LeftOut}
			c.missing(r.at(domainMeta(d), "spec.gatewayRef.name"), v1alpha1.KindFederationGateway, d.Spec.GatewayRef.Name, createOrCorrect)
		}
	}
	for i := range gateways {
		g := &gateways[i]
		if !unsure(g.Namespace) && !slices.ContainsFunc(in.Domains, func(d v1alpha1.FederatedDomain) bool {
			return d.Namespace == g.Namespace && d.Spec.GatewayRef.Name == g.Name
		}) {
			r.at(meta{kind: v1alpha1.KindFederationGateway, namespace: g.Namespace, name: g.Name}, "spec").warn(v1alpha1.ReasonUnused,
				"no FederatedDomain of namespace %q refers to the gateway: it answers for nothing", g.Namespace)
		}
	}
	for i := range in.Keys {
		k := &in.Keys[i]
		if !unsure(k.Namespace) && !slices.ContainsFunc(in.Domains, func(d v1alpha1.FederatedDomain) bool {
			return d.Namespace == k.Namespace && d.Spec.Signing != nil && slices.Contains(d.Spec.Signing.Keys, v1alpha1.KeyRef{Name: k.Name})
		}) {
			r.at(meta{kind: v1alpha1.KindDKIMKey, namespace: k.Namespace, name: k.Name}, "spec").warn(v1alpha1.ReasonUnused,
				"no FederatedDomain of namespace %q signs with the key", k.Namespace)
		}
	}
	for i := range in.Policies {
		p := &in.Policies[i]
		covered := domainNames(in.Domains, p.Namespace)
		var patterns snapshot.Policy
		for _, text := range p.Spec.Domains {
			if pattern, ok := normalPattern(string(text)); ok {
				patterns.Domains = append(patterns.Domains, pattern)
			}
		}
		if len(patterns.Domains) < len(p.Spec.Domains) {
			continue // said by Compile
		}
		if !unsure(p.Namespace) && !slices.ContainsFunc(covered, func(d string) bool { return patterns.Coverage(d) >= 0 }) {
			r.at(meta{kind: v1alpha1.KindPeerPolicy, namespace: p.Namespace, name: p.Name}, "spec.domains").warn(v1alpha1.ReasonUnused,
				"no FederatedDomain of namespace %q is covered: the policy decides nothing", p.Namespace)
		}
	}
	return r.sorted()
}
