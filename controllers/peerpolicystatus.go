package controllers

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/board"
	"github.com/calfed/calfed/controllers/compile"
)

// statusItems is how long lists in a status are at most.
const statusItems = 16

// What the conditions of a policy say.
const (
	policyUsable   = "the policy can be used"
	policyUnused   = "it covers no domain: create a FederatedDomain in its namespace, or correct spec.domains"
	policyOnTheWay = "gateway pods are taking it over; the FederatedDomains it covers say which"
	policyServed   = "every gateway pod decides by it"
)

// policyStatus is the status of a policy of which that was posted.
func policyStatus(p *v1alpha1.PeerPolicy, post board.Policy, now time.Time) v1alpha1.PeerPolicyStatus {
	shadows, warnings := policyWarnings(post.Findings)
	programmed := programmedPolicy(post)
	accepted := condition(v1alpha1.ConditionAccepted, true, v1alpha1.ReasonAccepted, policyUsable)
	if len(warnings) > 0 {
		accepted.Message += ", but " + sentence(warnings)
	}
	ready := programmed
	ready.Type = v1alpha1.ConditionReady
	if ready.Reason == v1alpha1.ReasonProgrammed {
		ready.Reason = v1alpha1.ReasonReady
	}
	reason, message := failure(post.Findings)
	if reason != "" {
		accepted = condition(v1alpha1.ConditionAccepted, false, reason, message)
		ready = condition(v1alpha1.ConditionReady, false, reason, message)
	}

	want := []metav1.Condition{accepted, programmed, ready}
	switch {
	case stalls(post.Findings):
		want = append(want, condition(v1alpha1.ConditionStalled, true, reason, message))
	case programmed.Status == metav1.ConditionFalse:
		want = append(want, condition(v1alpha1.ConditionReconciling, true, programmed.Reason, programmed.Message))
	}
	if len(shadows) > 0 {
		want = append(want, condition(v1alpha1.ConditionConflicted, true, v1alpha1.ReasonShadowed, sentence(shadows)))
	}
	return v1alpha1.PeerPolicyStatus{
		ObservedGeneration: p.Generation,
		Conditions:         conditions(p.Status.Conditions, p.Generation, now, want...),
		DomainCount:        int32(len(post.Domains)),
		Domains:            first(post.Domains),
		ConflictedWith:     first(post.ShadowedBy),
	}
}

func programmedPolicy(post board.Policy) metav1.Condition {
	switch {
	case !post.Programmed:
		return condition(v1alpha1.ConditionProgrammed, false, v1alpha1.ReasonProgramming, policyOnTheWay)
	case len(post.Domains) == 0:
		return condition(v1alpha1.ConditionProgrammed, true, v1alpha1.ReasonUnused, policyUnused)
	default:
		return condition(v1alpha1.ConditionProgrammed, true, v1alpha1.ReasonProgrammed, policyServed)
	}
}

// policyWarnings returns those about other policies that decide first, and the others. That a policy covers nothing is said
// by a condition of its own.
func policyWarnings(findings []compile.Finding) (shadows, others []compile.Finding) {
	for _, f := range findings {
		switch {
		case f.Severity != compile.Warning || f.Reason == v1alpha1.ReasonUnused:
		case f.Reason == v1alpha1.ReasonShadowed:
			shadows = append(shadows, f)
		default:
			others = append(others, f)
		}
	}
	return shadows, others
}

// first are the first 16.
func first(list []string) []string { return slices.Clone(list[:min(len(list), statusItems)]) }
