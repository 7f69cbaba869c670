package compile

import (
	"cmp"
	"slices"
	"strings"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/records"
	"github.com/calfed/calfed/gateway/cua"
)

// claim is a FederatedDomain that wants a name.
type claim struct {
	object *v1alpha1.FederatedDomain
	meta   meta
	at     spot
	ours   bool // it is for the gateway that is compiled
	barred bool // its back ends are none that its gateway connects to for it
}

// verdict is what becomes of a claim of ours.
type verdict struct {
	claim
	unproven bool // nothing but the proof keeps it out
}

// claims are the FederatedDomains by the name that they want. One that wants none is told, and has no claim.
func (c *compiler) claims(in *Input) map[string][]claim {
	out := make(map[string][]claim, len(in.Domains))
	for i := range in.Domains {
		d := &in.Domains[i]
		one := claim{object: d, meta: domainMeta(d), ours: gatewayOf(d) == c.gateway.id()}
		one.at = c.report.at(one.meta, "spec")
		name, err := cua.Domain(string(d.Spec.Domain))
		switch {
		case err == nil:
			out[name] = append(out[name], one)
		case one.ours: // otherwise its own gateway's compile has more to say
			one.at.to("domain").error(v1alpha1.ReasonInvalidValue, "%q is no domain name", d.Spec.Domain)
		}
	}
	return out
}

// gatewayOf is the namespace/name of the gateway that a FederatedDomain is for.
func gatewayOf(d *v1alpha1.FederatedDomain) string {
	return cmp.Or(d.Spec.GatewayRef.Namespace, d.Namespace) + "/" + d.Spec.GatewayRef.Name
}

// contender is a claim that counts.
type contender struct {
	claim
	strong bool
}

// leaves says whether the object is being deleted. Its status tells nothing new any more, and whoever puts a finalizer on it decides for how
// long: it gives way to every other claim.
func (c claim) leaves() bool { return !c.object.DeletionTimestamp.IsZero() }

// settle decides who has a name, and says to the others why they do not. It returns the one that has it, and those that
// would be judged anew with proof. serving is who has the name in the newest snapshot. See the package comment.
func (c *compiler) settle(name string, claims []claim, serving string) []verdict {
	var out []verdict
	first := map[string]contender{} // by namespace
	slices.SortFunc(claims, func(a, b claim) int { return cmp.Or(trueFirst(b.leaves(), a.leaves()), older(a.meta, b.meta)) })
	var late []claim
	for _, one := range claims {
		proof := Proof(one.object)
		next := contender{one, proof != ""}
		if one.ours {
			record, value := records.Challenge(c.host, c.gateway.id(), one.meta.namespace, name)
			// a proof is for one gateway: that for the one before counts until the condition says otherwise, and not here
			next.strong = proof == value
			admitted, asked, barred := c.admit(one.at, one.object, name)
			one.barred, next.barred = barred, barred
			switch {
			case !admitted:
				continue
			case asked && !next.strong:
				one.at.to("domain").error(v1alpha1.ReasonProofMissing, "prove that %s is yours: set the TXT record %s with the value %q", name, record, value)
				out = append(out, verdict{one, true})
				continue
			}
			next.strong = next.strong || c.trustOwners || one.meta.namespace == c.gateway.namespace
		}
		if _, taken := first[one.meta.namespace]; !taken {
			first[one.meta.namespace] = next
		} else if one.ours {
			late = append(late, one)
		}
	}
	for _, one := range late {
		one.at.to("domain").error(v1alpha1.ReasonConflict, "FederatedDomain %s already answers for %s: delete one of the two", first[one.meta.namespace].meta.id(), name)
	}
	var all []contender
	for _, one := range first {
		if one.ours || one.strong {
			all = append(all, one)
		}
	}
	if len(all) == 0 {
		return out
	}
	slices.SortFunc(all, func(a, b contender) int {
		return cmp.Or(
			trueFirst(b.leaves(), a.leaves()),
			trueFirst(a.strong, b.strong),
			trueFirst(a.ours && a.meta.id() == serving, b.ours && b.meta.id() == serving),
			older(a.meta, b.meta),
		)
	})
	if winner := all[0]; winner.ours {
		out = append(out, verdict{winner.claim, false})
	}
	for _, one := range all[1:] {
		if !one.ours {
			continue
		}
		at := one.at.to("domain")
		if winner := all[0].meta; winner.namespace == c.gateway.namespace {
			at.error(v1alpha1.ReasonConflict, "FederatedDomain %s already answers for %s: ask those who run FederationGateway %s", winner.id(), name, c.gateway.id())
		} else {
			at.error(v1alpha1.ReasonConflict, "another namespace already answers for %s: ask those who run FederationGateway %s", name, c.gateway.id())
		}
	}
	return out
}

// Proof is the challenge whose TXT record was seen, "" when none was: that no proof was asked for, maybe at another gateway, is none.
// It is all of the status that compiling reads of a FederatedDomain.
func Proof(d *v1alpha1.FederatedDomain) string {
	seen := apimeta.FindStatusCondition(d.Status.Conditions, v1alpha1.ConditionOwnershipProven)
	if seen == nil || seen.Status != metav1.ConditionTrue || seen.Reason != v1alpha1.ReasonProven || d.Status.Ownership == nil {
		return ""
	}
	return d.Status.Ownership.Value
}

func trueFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// namespaceOf is the namespace in namespace/name.
func namespaceOf(id string) string {
	namespace, _, _ := strings.Cut(id, "/")
	return namespace
}
