package compile_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/gateway/policy"
	"github.com/calfed/calfed/gateway/snapshot"
)

// What is called shadowed never decides, and what is not does somewhere: judged by the package that decides for real.
func TestShadowedIsWhatNeverDecides(t *testing.T) {
	t.Parallel()
	base, _ := readInput(t, "gateway-minimal")
	team := *base.Domains[0].DeepCopy()
	team.Name, team.Spec.Domain, team.Spec.Signing = "team", "team.example.org", nil
	base.Domains = append(base.Domains, team)

	// a pattern, and a peer that no narrower pattern of these names
	witness := map[v1alpha1.DomainPattern]string{
		"a.example": "a.example", "x.a.example": "x.a.example", "b.example": "b.example",
		"*.a.example": "fresh.a.example", "*.x.a.example": "fresh.x.a.example", "*": "fresh.example",
	}
	patterns := make([]v1alpha1.DomainPattern, 0, len(witness))
	for p := range witness {
		patterns = append(patterns, p)
	}
	slices.Sort(patterns)
	domains := []v1alpha1.DomainPattern{"*", "example.org", "team.example.org", "*.example.org", "*.org"}

	rapid.Check(t, func(t *rapid.T) {
		in := base
		in.Policies = nil
		for i := range rapid.IntRange(1, 6).Draw(t, "policies") {
			p := v1alpha1.PeerPolicy{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("p%d", i), Namespace: "default"}}
			p.CreationTimestamp = metav1.Unix(rapid.Int64Range(0, 2).Draw(t, "age"), 0)
			p.Spec.Action = rapid.SampledFrom([]v1alpha1.Action{v1alpha1.ActionAllow, v1alpha1.ActionDeny}).Draw(t, "action")
			p.Spec.Peers = rapid.SliceOfNDistinct(rapid.SampledFrom(patterns), 1, 3, rapid.ID).Draw(t, "peers")
			p.Spec.Domains = rapid.SliceOfNDistinct(rapid.SampledFrom(domains), 0, 2, rapid.ID).Draw(t, "domains")
			in.Policies = append(in.Policies, p)
		}
		out := compile.Compile(in)
		active, err := snapshot.Activate(out.Snapshot)
		if err != nil {
			t.Fatal(err)
		}
		shadowed := map[string]bool{}
		for _, f := range out.Findings {
			if f.Reason == v1alpha1.ReasonShadowed {
				shadowed[f.Name+" "+f.Field] = true
			}
		}
		for _, p := range in.Policies {
			for j, pattern := range p.Spec.Peers {
				decides, covers := false, false
				for _, d := range out.Snapshot.Domains {
					covers = covers || slices.Contains(d.Policies, "default/"+p.Name)
					decision := policy.Inbound(active, policy.Question{Peer: witness[pattern], Domain: d.Name})
					decides = decides || decision.Policy != nil && decision.Policy.ID == "default/"+p.Name
				}
				entry := fmt.Sprintf("%s spec.peers[%d]", p.Name, j)
				if shadowed[entry] != (covers && !decides) {
					t.Fatalf("%s (%s): shadowed %v, covers a domain %v, decides %v\n%s", entry, pattern, shadowed[entry], covers, decides, describe(in.Policies))
				}
			}
		}
	})
}

func describe(policies []v1alpha1.PeerPolicy) string {
	var b strings.Builder
	for _, p := range policies {
		fmt.Fprintf(&b, "%s: %s, peers %v, domains %v, created %s\n", p.Name, p.Spec.Action, p.Spec.Peers, p.Spec.Domains, p.CreationTimestamp.UTC().Format(time.TimeOnly))
	}
	return b.String()
}
