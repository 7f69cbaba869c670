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
	exists, used, signs := map[string]bool{}, map[string]bool{}, map[object]bool{}
	for i := range gateways {
		exists[gatewayMeta(&gateways[i]).id()] = true
	}
	for i := range in.Domains {
		d := &in.Domains[i]
		id := gatewayOf(d)
		used[id] = true
		if !exists[id] {
			at := r.at(domainMeta(d), "spec.gatewayRef.name")
			c := &compiler{common: &common{leftOut: in.LeftOut}, namespace: namespaceOf(id)}
			c.missing(at, v1alpha1.KindFederationGateway, d.Spec.GatewayRef.Name, createOrCorrect)
		}
		if d.Spec.Signing != nil {
			for _, ref := range d.Spec.Signing.Keys {
				signs[object{d.Namespace, ref.Name}] = true
			}
		}
	}
	// whether something is unused nobody can say while a domain could not be read
	leftOut := map[string]bool{}
	for _, o := range in.LeftOut {
		if o.Kind == v1alpha1.KindFederatedDomain {
			leftOut[o.Namespace] = true
		}
	}
	for i := range gateways {
		if m := gatewayMeta(&gateways[i]); len(leftOut) == 0 && !used[m.id()] {
			r.at(m, "spec").warn(v1alpha1.ReasonUnused, "no FederatedDomain refers to the gateway: it answers for nothing")
		}
	}
	for i := range in.Keys {
		k := &in.Keys[i]
		if !leftOut[k.Namespace] && !signs[object{k.Namespace, k.Name}] {
			r.at(meta{kind: v1alpha1.KindDKIMKey, namespace: k.Namespace, name: k.Name}, "spec").warn(v1alpha1.ReasonUnused,
				"no FederatedDomain of namespace %q signs with the key", k.Namespace)
		}
	}
	names := domainNames(in.Domains)
	for i := range in.Policies {
		p := &in.Policies[i]
		var patterns snapshot.Policy
		for _, text := range p.Spec.Domains {
			if pattern, ok := normalPattern(string(text)); ok {
				patterns.Domains = append(patterns.Domains, pattern)
			}
		}
		if len(patterns.Domains) < len(p.Spec.Domains) {
			continue // said by Compile
		}
		if !leftOut[p.Namespace] && !slices.ContainsFunc(names[p.Namespace], func(d string) bool { return patterns.Coverage(d) >= 0 }) {
			r.at(meta{kind: v1alpha1.KindPeerPolicy, namespace: p.Namespace, name: p.Name}, "spec.domains").warn(v1alpha1.ReasonUnused,
				"no FederatedDomain of namespace %q is covered: the policy decides nothing", p.Namespace)
		}
	}
	return r.sorted()
}
