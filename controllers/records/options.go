package records

import (
	"slices"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/keylife"
)

// OptionsOf are the Options that a FederatedDomain asks for. keys are the DKIMKeys of its namespace; others are passed over.
func OptionsOf(d *v1alpha1.FederatedDomain, keys []v1alpha1.DKIMKey) Options {
	if d.Spec.Publish == nil || d.Spec.Publish.Delegated == nil {
		return Options{}
	}
	out := Options{Zone: string(d.Spec.Publish.Delegated.Zone)}
	for i := range keys {
		k := &keys[i]
		g := k.Spec.Source.Generated
		if k.Namespace != d.Namespace || d.Spec.Signing == nil || !slices.Contains(d.Spec.Signing.Keys, v1alpha1.KeyRef{Name: k.Name}) || g == nil {
			continue
		}
		for _, selector := range keylife.Alternating(g) {
			out.Alternating = append(out.Alternating, KeyName{string(k.Spec.Domain), selector})
		}
	}
	return out
}
