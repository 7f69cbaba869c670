package controllers

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/board"
	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/controllers/kubetest"
)

// policyRig is the reconciler of policies at work in a namespace of its own; the test posts in place of the compiler.
type policyRig struct {
	client.Client
	board *board.Board
	ns    string
}

func newPolicyRig(t *testing.T) *policyRig {
	t.Helper()
	c := kubetest.Shared(t)
	opt := Options{Namespaces: []string{c.Namespace(t)}}
	o := startOperator(t, c.Config, opt, setupPeerPolicy)
	return &policyRig{c.Client, o.board, opt.Namespaces[0]}
}

func (r *policyRig) policy(t *testing.T) *v1alpha1.PeerPolicy {
	t.Helper()
	p := &v1alpha1.PeerPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, GenerateName: "policy-"},
		Spec:       v1alpha1.PeerPolicySpec{Peers: []v1alpha1.DomainPattern{"partner.example"}, Action: v1alpha1.ActionAllow},
	}
	if err := r.Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	return p
}

func (r *policyRig) post(p *v1alpha1.PeerPolicy, post board.Policy) {
	post.UID, post.Generation = p.UID, p.Generation
	r.board.Policies.Post(client.ObjectKeyFromObject(p), post)
}

// becomes waits until the status is as wanted; times do not count.
func (r *policyRig) becomes(t *testing.T, p *v1alpha1.PeerPolicy, want v1alpha1.PeerPolicyStatus) {
	t.Helper()
	for i := range want.Conditions {
		want.Conditions[i].ObservedGeneration = want.ObservedGeneration
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var diff string
	if err := wait.PollUntilContextCancel(ctx, 10*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		if err := r.Get(ctx, client.ObjectKeyFromObject(p), p); err != nil {
			return false, err
		}
		diff = cmp.Diff(want, p.Status, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(metav1.Condition{}, "LastTransitionTime"),
			cmpopts.SortSlices(func(a, b metav1.Condition) bool { return a.Type < b.Type }))
		return diff == "", nil
	}); err != nil {
		t.Fatalf("%v: (-want +got)\n%s", err, diff)
	}
}

func TestPolicyStatusSaysWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	r := newPolicyRig(t)
	finding := func(severity compile.Severity, field, reason, message string) []compile.Finding {
		return []compile.Finding{{Severity: severity, Kind: v1alpha1.KindPeerPolicy, Field: field, Reason: reason, Message: message}}
	}
	var domains, shadows []string
	for i := range 20 {
		domains = append(domains, fmt.Sprintf("d%02d.example.org", i))
		shadows = append(shadows, fmt.Sprintf("federation/p%02d", i))
	}
	ready := condition("Ready", true, "Ready", policyServed)
	accepted := condition("Accepted", true, "Accepted", policyUsable)
	programmed := condition("Programmed", true, "Programmed", policyServed)
	for name, tc := range map[string]struct {
		post board.Policy
		want v1alpha1.PeerPolicyStatus
	}{
		"served": {
			board.Policy{Domains: []string{"example.org"}, Programmed: true},
			v1alpha1.PeerPolicyStatus{DomainCount: 1, Domains: []string{"example.org"}, Conditions: []metav1.Condition{accepted, programmed, ready}},
		},
		"on its way": {
			board.Policy{Domains: []string{"example.org"}},
			v1alpha1.PeerPolicyStatus{DomainCount: 1, Domains: []string{"example.org"}, Conditions: []metav1.Condition{
				accepted,
				condition("Programmed", false, "Programming", policyOnTheWay),
				condition("Ready", false, "Programming", policyOnTheWay),
				condition("Reconciling", true, "Programming", policyOnTheWay),
			}},
		},
		"covers none of the domains there are": {
			board.Policy{Programmed: true, Findings: finding(compile.Warning, "spec.domains", "Unused", "no FederatedDomain is covered")},
			v1alpha1.PeerPolicyStatus{Conditions: []metav1.Condition{
				accepted, condition("Programmed", true, "Unused", policyUnused), condition("Ready", true, "Unused", policyUnused),
			}},
		},
		"more domains than a status lists": {
			board.Policy{Domains: domains, Programmed: true},
			v1alpha1.PeerPolicyStatus{DomainCount: 20, Domains: domains[:16], Conditions: []metav1.Condition{accepted, programmed, ready}},
		},
		"only an edit helps": {
			board.Policy{Domains: []string{"example.org"}, Programmed: true, Findings: finding(compile.Error, "spec.inbound.pinnedKeys[0].record", "InvalidValue", "is no key")},
			v1alpha1.PeerPolicyStatus{DomainCount: 1, Domains: []string{"example.org"}, Conditions: []metav1.Condition{
				condition("Accepted", false, "InvalidValue", "spec.inbound.pinnedKeys[0].record: is no key"),
				programmed,
				condition("Ready", false, "InvalidValue", "spec.inbound.pinnedKeys[0].record: is no key"),
				condition("Stalled", true, "InvalidValue", "spec.inbound.pinnedKeys[0].record: is no key"),
			}},
		},
		"a Secret is missing, which may come": {
			board.Policy{Domains: []string{"example.org"}, Programmed: true, Findings: finding(compile.Error, "spec.outbound.authorizationRef.name", "RefNotFound", "does not exist")},
			v1alpha1.PeerPolicyStatus{DomainCount: 1, Domains: []string{"example.org"}, Conditions: []metav1.Condition{
				condition("Accepted", false, "RefNotFound", "spec.outbound.authorizationRef.name: does not exist"),
				programmed,
				condition("Ready", false, "RefNotFound", "spec.outbound.authorizationRef.name: does not exist"),
			}},
		},
		"what a Secret holds is wrong, and may be mended there": {
			board.Policy{Domains: []string{"example.org"}, Programmed: true, Findings: finding(compile.Error, "spec.outbound.authorizationRef.key", "InvalidValue", "is empty")},
			v1alpha1.PeerPolicyStatus{DomainCount: 1, Domains: []string{"example.org"}, Conditions: []metav1.Condition{
				condition("Accepted", false, "InvalidValue", "spec.outbound.authorizationRef.key: is empty"),
				programmed,
				condition("Ready", false, "InvalidValue", "spec.outbound.authorizationRef.key: is empty"),
			}},
		},
		"others decide first": {
			board.Policy{Domains: []string{"example.org"}, Programmed: true, ShadowedBy: shadows, Findings: finding(compile.Warning, "spec.peers[0]", "Shadowed", "another always decides")},
			v1alpha1.PeerPolicyStatus{DomainCount: 1, Domains: []string{"example.org"}, ConflictedWith: shadows[:16], Conditions: []metav1.Condition{
				accepted, programmed, ready, condition("Conflicted", true, "Shadowed", "spec.peers[0]: another always decides"),
			}},
		},
		"part of it has no effect": {
			board.Policy{Domains: []string{"example.org"}, Programmed: true, Findings: finding(compile.Warning, "spec.inbound.maxRecipients", "NoEffect", "the gateway takes less")},
			v1alpha1.PeerPolicyStatus{DomainCount: 1, Domains: []string{"example.org"}, Conditions: []metav1.Condition{
				condition("Accepted", true, "Accepted", policyUsable+", but spec.inbound.maxRecipients: the gateway takes less"), programmed, ready,
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := r.policy(t)
			r.post(p, tc.post)
			tc.want.ObservedGeneration = 1
			r.becomes(t, p, tc.want)
		})
	}
}

// servedPolicy is the status of a policy of one domain, in its first generation, that every pod serves.
func servedPolicy() v1alpha1.PeerPolicyStatus {
	return v1alpha1.PeerPolicyStatus{ObservedGeneration: 1, DomainCount: 1, Domains: []string{"example.org"}, Conditions: []metav1.Condition{
		condition("Accepted", true, "Accepted", policyUsable),
		condition("Programmed", true, "Programmed", policyServed),
		condition("Ready", true, "Ready", policyServed),
	}}
}

// What was compiled of an older generation says nothing about the new one.
func TestPolicyStatusIsOfTheGenerationThatWasCompiled(t *testing.T) {
	t.Parallel()
	r := newPolicyRig(t)
	p := r.policy(t)
	served := servedPolicy()
	r.post(p, board.Policy{Domains: []string{"example.org"}, Programmed: true})
	r.becomes(t, p, served)

	p.Spec.Action = v1alpha1.ActionDeny
	if err := r.Update(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	// another policy that is told about afterwards shows that the edit was looked at
	other := r.policy(t)
	r.post(other, board.Policy{Domains: []string{"example.org"}, Programmed: true})
	r.becomes(t, other, served)
	if err := r.Get(t.Context(), client.ObjectKeyFromObject(p), p); err != nil {
		t.Fatal(err)
	}
	if p.Status.ObservedGeneration != 1 {
		t.Errorf("generation %d is called observed before it was compiled", p.Status.ObservedGeneration)
	}
	r.post(p, board.Policy{Domains: []string{"example.org"}, Programmed: true})
	served.ObservedGeneration = 2
	r.becomes(t, p, served)
}

// What was compiled of a policy says nothing about one that is made again under its name.
func TestPolicyStatusIsOfTheObjectThatWasCompiled(t *testing.T) {
	t.Parallel()
	r := newPolicyRig(t)
	p := r.policy(t)
	served := servedPolicy()
	r.post(p, board.Policy{Domains: []string{"example.org"}, Programmed: true})
	r.becomes(t, p, served)
	if err := r.Delete(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	again := &v1alpha1.PeerPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name}, Spec: p.Spec}
	if err := r.Create(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	other := r.policy(t) // shows that it was looked at
	r.post(other, board.Policy{Domains: []string{"example.org"}, Programmed: true})
	r.becomes(t, other, served)
	if err := r.Get(t.Context(), client.ObjectKeyFromObject(again), again); err != nil {
		t.Fatal(err)
	}
	if again.Status.ObservedGeneration != -1 {
		t.Errorf("called observed before it was compiled: %+v", again.Status)
	}
	r.post(again, board.Policy{Domains: []string{"example.org"}, Programmed: true})
	r.becomes(t, again, served)
}

// A condition keeps its time while its status stays, and a post that changes nothing writes nothing.
func TestPolicyStatusDoesNotFlap(t *testing.T) {
	t.Parallel()
	r := newPolicyRig(t)
	p := r.policy(t)
	post := board.Policy{Domains: []string{"example.org"}, Programmed: true}
	r.post(p, post)
	want := v1alpha1.PeerPolicyStatus{ObservedGeneration: 1, DomainCount: 1, Domains: []string{"example.org"}, Conditions: []metav1.Condition{
		condition("Accepted", true, "Accepted", policyUsable),
		condition("Programmed", true, "Programmed", policyServed),
		condition("Ready", true, "Ready", policyServed),
	}}
	r.becomes(t, p, want)
	written := p.ResourceVersion

	r.post(p, post)
	last := r.policy(t)
	r.post(last, post)
	r.becomes(t, last, want)
	if err := r.Get(t.Context(), client.ObjectKeyFromObject(p), p); err != nil {
		t.Fatal(err)
	}
	if p.ResourceVersion != written {
		t.Errorf("an equal post was written: resourceVersion %s, then %s", written, p.ResourceVersion)
	}

	if err := writeStatus(t.Context(), nil, p, p.Status, p.Status); err != nil { // without a client it could not write
		t.Error(err)
	}

	later := condition("Ready", false, "Programming", policyOnTheWay)
	got := conditions(p.Status.Conditions, 1, time.Now().Add(time.Hour), p.Status.Conditions[0], p.Status.Conditions[1], later)
	for i, c := range got {
		if changed := c.LastTransitionTime != p.Status.Conditions[i].LastTransitionTime; changed != (c.Type == "Ready") {
			t.Errorf("%s: time changed %t", c.Type, changed)
		}
	}
}
