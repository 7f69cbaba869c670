package compile

import (
	"cmp"
	"slices"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/snapshot"
)

// messages compiles a list of components and methods that narrows the gateway's, in canonical order, and warns of
// entries that the gateway refuses anyway. IS-CAP-4.
func (c *compiler) messages(at spot, spec []v1alpha1.Messages) []snapshot.Messages {
	for i, m := range spec {
		taken := slices.IndexFunc(c.capabilities.Messages, func(t ischedule.Component) bool { return t.Name == string(m.Component) })
		if taken < 0 {
			at.index(i).to("component").warn(v1alpha1.ReasonNoEffect, "the gateway's capabilities do not take %s: this entry has no effect", m.Component)
			continue
		}
		for j, method := range m.Methods {
			if !slices.Contains(c.capabilities.Messages[taken].Methods, string(method)) {
				at.index(i).to("methods").index(j).warn(v1alpha1.ReasonNoEffect, "the gateway's capabilities do not take %s with %s: this entry has no effect", method, m.Component)
			}
		}
	}
	var out []snapshot.Messages
	for _, m := range spec {
		// nothing is dropped here: an empty list would mean all
		entry := snapshot.Messages{Component: string(m.Component)}
		for _, method := range m.Methods {
			entry.Methods = append(entry.Methods, string(method))
		}
		slices.SortFunc(entry.Methods, byPlaceIn(methods))
		entry.Methods = slices.Compact(entry.Methods)
		out = append(out, entry)
	}
	byComponent := byPlaceIn(components)
	slices.SortFunc(out, func(a, b snapshot.Messages) int { return byComponent(a.Component, b.Component) })
	return out
}

// byPlaceIn compares by the place in a list; what is not in it comes first.
func byPlaceIn(list []string) func(a, b string) int {
	return func(a, b string) int {
		return cmp.Or(cmp.Compare(slices.Index(list, a), slices.Index(list, b)), cmp.Compare(a, b))
	}
}
