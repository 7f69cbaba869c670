package records

import (
	"cmp"
	"slices"

	"github.com/calfed/calfed/api/v1alpha1"
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
		if k.Namespace != d.Namespace || d.Spec.Signing == nil || !slices.Contains(d.Spec.Signing.Keys, v1alpha1.KeyRef{Name: k.Name}) ||
			g == nil || g.Selectors != v1alpha1.SelectorsAlternating {
			continue
		}
		prefix := cmp.Or(g.SelectorPrefix, defaultPrefix)
		for _, n := range []string{"1", "2"} {
			out.Alternating = append(out.Alternating, KeyName{string(k.Spec.Domain), prefix + n})
		}
	}
	return out
}

const defaultPrefix = "cal"
