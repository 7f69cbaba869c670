package controllers

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/controllers/keylife"
)

// status is what is to be said of a domain. Each condition is a function of the plan and of what was seen.
func (r *federatedDomains) status(d *v1alpha1.FederatedDomain, p *plan, seen sight) v1alpha1.FederatedDomainStatus {
	want := *d.Status.DeepCopy()
	want.ObservedGeneration = d.Generation
	want.Host = ""
	if p.post.Settings != nil {
		want.Host = p.post.Settings.Host
	}
	want.Ownership = p.challenge
	want.CompiledHash = p.post.Hash
	want.Published = p.claimed(d.Status.Published)
	if p.post.Compiled != nil || !p.hold {
		want.RecordCount, want.Records = recordsOf(d, p, seen)
	}
	if seen.key == p.key {
		want.ProbeRequestedAt, want.ResetBackoffRequestedAt = asked(d)
	}

	list := []metav1.Condition{
		accepted(p), r.ownership(d, p, seen), keyReady(d, p), published(d, p, seen), r.programmed(d, p),
	}
	list = append(list, readiness(p, list)...)
	list = append(list, discoverableNow(d, p, seen))
	if c := backendNow(d, seen); c != nil {
		list = append(list, *c)
	}
	want.Conditions = conditions(d.Status.Conditions, d.Generation, r.Clock.Now(), list...)
	return want
}

// readiness is Ready, which is all of list, with Stalled or Reconciling where it does not hold.
func readiness(p *plan, list []metav1.Condition) []metav1.Condition {
	i := slices.IndexFunc(list, func(c metav1.Condition) bool { return c.Status != metav1.ConditionTrue })
	if i < 0 {
		return []metav1.Condition{condition(v1alpha1.ConditionReady, true, v1alpha1.ReasonReady, domainReady)}
	}
	ready := list[i]
	ready.Type = v1alpha1.ConditionReady
	second := condition(v1alpha1.ConditionReconciling, true, ready.Reason, ready.Message)
	if stalls(p.post.Findings) {
		second.Type = v1alpha1.ConditionStalled
	}
	return []metav1.Condition{ready, second}
}

func accepted(p *plan) metav1.Condition {
	others := slices.DeleteFunc(slices.Clone(p.post.Findings), func(f compile.Finding) bool { return f.Reason == v1alpha1.ReasonProofMissing })
	if reason, message := failure(others); reason != "" {
		return condition(v1alpha1.ConditionAccepted, false, reason, message)
	}
	if p.post.Settings == nil {
		return condition(v1alpha1.ConditionAccepted, false, v1alpha1.ReasonCompileFailed, fmt.Sprintf(gatewayBroken, p.post.Gateway))
	}
	c := condition(v1alpha1.ConditionAccepted, true, v1alpha1.ReasonAccepted, domainUsable)
	if len(others) > 0 {
		c.Message += ", but " + sentence(others)
	}
	return c
}

// ownership goes by what was seen of the challenge that counts now. What was proven stays so until the record was gone for a while:
// a name server that is being mended takes nobody's domain away.
func (r *federatedDomains) ownership(d *v1alpha1.FederatedDomain, p *plan, seen sight) metav1.Condition {
	c := condition(v1alpha1.ConditionOwnershipProven, true, v1alpha1.ReasonProven, ownerProven)
	before := apimeta.FindStatusCondition(d.Status.Conditions, c.Type)
	switch {
	case p.challenge == nil && p.post.Compiled == nil:
		return metav1.Condition{Type: c.Type, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonPending, Message: ownerLater}
	case p.challenge == nil:
		c.Reason, c.Message = v1alpha1.ReasonNotRequired, ownerNotAsked
		return c
	case seen.proof.value == p.challenge.Value && seen.proof.seen:
		return c
	case before != nil && before.Status == metav1.ConditionTrue && before.Reason == v1alpha1.ReasonProven &&
		d.Status.Ownership != nil && *d.Status.Ownership == *p.challenge && !seen.proof.lost(r.Clock.Now()):
		return c
	}
	message := fmt.Sprintf(ownerMissing, plainName(p.challenge.Name), p.challenge.Value)
	if seen.proof.value == p.challenge.Value && seen.proof.problem != "" {
		message += ": " + clip(seen.proof.problem)
	}
	return condition(c.Type, false, v1alpha1.ReasonProofMissing, message)
}

// keyReady says whether a key signs, from what was compiled.
func keyReady(d *v1alpha1.FederatedDomain, p *plan) metav1.Condition {
	c := condition(v1alpha1.ConditionKeyReady, true, v1alpha1.ReasonKeyActive, "")
	compiled := p.post.Compiled
	switch {
	case d.Spec.Signing == nil:
		c.Reason, c.Message = v1alpha1.ReasonNotRequired, keyNotAsked
		return c
	case compiled == nil:
		return metav1.Condition{Type: c.Type, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonPending, Message: domainLeftOut}
	}
	var waiting []string
	for _, k := range compiled.Signing.Keys {
		name := k.Selector + " of " + k.Domain
		if k.Signs() {
			c.Message = "key " + name + " signs"
			return c
		}
		waiting = append(waiting, name)
	}
	findings := slices.DeleteFunc(slices.Clone(p.post.Findings), func(f compile.Finding) bool { return !strings.HasPrefix(f.Field, "spec.signing") })
	switch {
	case len(waiting) > 0:
		return condition(c.Type, false, v1alpha1.ReasonAwaitingRecord, "no key signs now, so messages are received and none is sent: "+strings.Join(first(waiting), ", ")+"; the DKIMKeys say what they wait for")
	case len(findings) > 0:
		return condition(c.Type, false, findings[0].Reason, sentence(findings))
	}
	return condition(c.Type, false, v1alpha1.ReasonNoKey, keyNone)
}

// published says whether the records are as expected on the authoritative servers, and who has to do what when they are not.
func published(d *v1alpha1.FederatedDomain, p *plan, seen sight) metav1.Condition {
	kind := v1alpha1.ConditionPublished
	before := apimeta.FindStatusCondition(d.Status.Conditions, kind)
	if p.post.Compiled == nil {
		return condition(kind, false, v1alpha1.ReasonPending, domainLeftOut)
	}
	if f := p.publishError(); f != nil {
		return condition(kind, false, f.Reason, f.Field+": "+f.Message)
	}
	if seen.key != p.key {
		if before != nil && before.Reason != v1alpha1.ReasonPending && before.Reason != v1alpha1.ReasonTerminating && (p.place == nil || p.noted) && sameRecords(d, p) {
			return *before
		}
		return metav1.Condition{Type: kind, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonPending, Message: recordsUnseen}
	}
	bad := seen.bad
	switch {
	case seen.checked && bad == nil:
		return condition(kind, true, v1alpha1.ReasonPublished, recordsSeen)
	case seen.failure != nil:
		return condition(kind, false, seen.failure.Reason, clip(seen.failure.Message))
	case len(seen.foreign) > 0:
		f := seen.foreign[0]
		return condition(kind, false, v1alpha1.ReasonConflict, fmt.Sprintf(recordForeign, f.Type, plainName(f.Name), clip(f.Seen)))
	case bad == nil:
		return metav1.Condition{Type: kind, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonPending, Message: recordsUnseen}
	case bad.server == "" && before != nil && before.Status == metav1.ConditionTrue:
		return *before // that nobody answers says nothing of the records
	case bad.server == "":
		return metav1.Condition{Type: kind, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonPending, Message: fmt.Sprintf(recordsDark, bad.expected.Type, plainName(bad.expected.Name))}
	}
	what := fmt.Sprintf("%s %s", bad.expected.Type, plainName(bad.expected.Name))
	where := fmt.Sprintf("%s has %s", bad.server, bad.observed)
	switch {
	case p.byHand(bad.expected):
		return condition(kind, false, v1alpha1.ReasonNotPublished, fmt.Sprintf(recordByHand, what, clip(bad.expected.Data()), where))
	case seen.repair, before != nil && (before.Status == metav1.ConditionTrue || before.Reason == v1alpha1.ReasonDrifted):
		return condition(kind, false, v1alpha1.ReasonDrifted, fmt.Sprintf(recordDrifted, what, where))
	}
	return condition(kind, false, v1alpha1.ReasonPropagating, fmt.Sprintf(recordOnTheWay, what, where))
}

func (r *federatedDomains) programmed(d *v1alpha1.FederatedDomain, p *plan) metav1.Condition {
	kind := v1alpha1.ConditionProgrammed
	gw, _ := r.board.Gateways.Get(p.post.Gateway)
	switch {
	case slices.Contains(gw.Held, string(d.Spec.Domain)):
		return condition(kind, false, v1alpha1.ReasonRemovalHeld, removalHeld)
	case p.post.Compiled == nil:
		return condition(kind, false, v1alpha1.ReasonPending, domainLeftOut)
	case p.post.Programmed:
		return condition(kind, true, v1alpha1.ReasonProgrammed, domainServed)
	case !p.post.Written && gw.Problem != "":
		return condition(kind, false, v1alpha1.ReasonProgramming, clip(gw.Problem))
	case p.post.Written && len(gw.Pods) == 0:
		return condition(kind, false, v1alpha1.ReasonNoPods, noPods)
	case len(p.post.Blocking) > 0:
		reason := v1alpha1.ReasonProgramming
		if strings.Contains(p.post.Blocking[0], ": rejects") {
			reason = v1alpha1.ReasonRejected
		}
		return condition(kind, false, reason, clip("not served yet by "+strings.Join(first(p.post.Blocking), "; ")))
	}
	return condition(kind, false, v1alpha1.ReasonProgramming, domainOnTheWay)
}

// discoverableNow is what the last look found. One from before the operator started counts.
func discoverableNow(d *v1alpha1.FederatedDomain, p *plan, seen sight) metav1.Condition {
	if seen.discoverable != nil {
		return *seen.discoverable
	}
	before := apimeta.FindStatusCondition(d.Status.Conditions, v1alpha1.ConditionDiscoverable)
	if before != nil && seen.key != p.key && p.post.Compiled != nil {
		return *before
	}
	return metav1.Condition{Type: v1alpha1.ConditionDiscoverable, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonPending, Message: outsideLater}
}

func backendNow(d *v1alpha1.FederatedDomain, seen sight) *metav1.Condition {
	if seen.backend != nil {
		return seen.backend
	}
	return apimeta.FindStatusCondition(d.Status.Conditions, v1alpha1.ConditionBackendReachable)
}

// recordsOf are the records for the status: what was seen of them, or what was seen before when they are the same.
func recordsOf(d *v1alpha1.FederatedDomain, p *plan, seen sight) (int32, []v1alpha1.RecordStatus) {
	all := p.needed.All()
	count := int32(len(all)) // a few hundred
	shown := min(len(all), statusItems)
	if seen.key == p.key && len(seen.records) >= shown {
		return count, slices.Clone(seen.records[:shown])
	}
	if sameRecords(d, p) {
		return count, d.Status.Records
	}
	var out []v1alpha1.RecordStatus
	for _, rec := range all[:shown] {
		out = append(out, recordStatus(rec, ""))
	}
	return count, out
}

// sameRecords says whether the status speaks of the records that are needed now.
func sameRecords(d *v1alpha1.FederatedDomain, p *plan) bool {
	all := p.needed.All()
	if int(d.Status.RecordCount) != len(all) || len(d.Status.Records) != min(len(all), statusItems) {
		return false
	}
	for i, has := range d.Status.Records {
		if want := recordStatus(all[i], has.Observed); has != want {
			return false
		}
	}
	return true
}

// asked is what annotations ask for, as status says that it was done.
func asked(d *v1alpha1.FederatedDomain) (probe, reset string) {
	return keylife.Echo(d.Annotations[v1alpha1.AnnotationProbe]), keylife.Echo(d.Annotations[v1alpha1.AnnotationResetBackoff])
}

// isSettled says whether the status of a domain has nothing that a look could still bring on.
func isSettled(d *v1alpha1.FederatedDomain, s *v1alpha1.FederatedDomainStatus) bool {
	probe, reset := asked(d)
	return (probe == "" || probe == s.ProbeRequestedAt) && (reset == "" || reset == s.ResetBackoffRequestedAt) &&
		apimeta.IsStatusConditionTrue(s.Conditions, v1alpha1.ConditionOwnershipProven) && publishedWell(s)
}

func publishedWell(s *v1alpha1.FederatedDomainStatus) bool {
	return apimeta.IsStatusConditionTrue(s.Conditions, v1alpha1.ConditionPublished)
}

// tell has Events for what happened between two statuses.
func (r *federatedDomains) tell(d *v1alpha1.FederatedDomain, now v1alpha1.FederatedDomainStatus) {
	for _, kind := range []string{v1alpha1.ConditionAccepted, v1alpha1.ConditionOwnershipProven, v1alpha1.ConditionPublished} {
		was, is := apimeta.FindStatusCondition(d.Status.Conditions, kind), apimeta.FindStatusCondition(now.Conditions, kind)
		if is == nil || was != nil && was.Status == is.Status && was.Reason == is.Reason {
			continue
		}
		switch good := is.Status == metav1.ConditionTrue; {
		case good && is.Reason != v1alpha1.ReasonNotRequired && kind != v1alpha1.ConditionAccepted:
			r.events.Eventf(d, nil, corev1.EventTypeNormal, is.Reason, "Look", "%s", is.Message)
		case is.Status == metav1.ConditionFalse && eventful(was, is):
			r.events.Eventf(d, nil, corev1.EventTypeWarning, is.Reason, "Look", "%s", clip(is.Message))
		}
	}
}

// eventful says whether a condition that does not hold is more than a step on the way.
func eventful(was, is *metav1.Condition) bool {
	switch is.Reason {
	case v1alpha1.ReasonPending, v1alpha1.ReasonPropagating, v1alpha1.ReasonNotPublished:
		return was != nil && was.Status == metav1.ConditionTrue && is.Reason != v1alpha1.ReasonPending
	case v1alpha1.ReasonProofMissing:
		return was != nil && was.Status == metav1.ConditionTrue
	}
	return true
}
