package controllers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/board"
	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/controllers/infra"
	"github.com/calfed/calfed/controllers/keylife"
	"github.com/calfed/calfed/gateway/snapshot"
)

// gatewaySeen is what one look at a gateway found.
type gatewaySeen struct {
	gateway    *v1alpha1.FederationGateway
	post       *board.Gateway     // of this generation; nil: none yet
	deployment *appsv1.Deployment // nil: none yet
	trouble    string             // of its pods, while too few answer
	addresses  []string
	refused    []refusedObject
	again      time.Duration // when to look again; 0 = when something happens
}

// refusedObject is why an object of a gateway cannot be made.
type refusedObject struct {
	reason, message string
	forGood         bool // only an edit of the spec helps
}

func (s *gatewaySeen) refuse(reason, message string) {
	s.refused = append(s.refused, refusedObject{reason: reason, message: message})
}

func (s *gatewaySeen) refuseForGood(reason, message string) {
	s.refused = append(s.refused, refusedObject{reason, message, true})
}

// lookAgain asks for another look after a while, 0 for none.
func (s *gatewaySeen) lookAgain(after time.Duration) {
	if after > 0 && (s.again == 0 || after < s.again) {
		s.again = after
	}
}

// What the conditions of a gateway say when all is well.
const (
	gatewayUsable    = "the spec can be used"
	gatewayServed    = "every pod serves the configuration"
	gatewayAvailable = "enough pods answer"
	gatewayReady     = "the gateway answers for its domains"
	gatewayPaused    = "spec.replicas is 0: nobody is served"
	gatewayPerPod    = "each pod remembers by itself which messages it has seen: one that a peer repeats to another pod is delivered again"
)

// status is what the status must be. Of a generation that was not compiled yet nothing is said: the post will come.
func (s *gatewaySeen) status(now time.Time) v1alpha1.FederationGatewayStatus {
	gw := s.gateway
	if s.post == nil {
		return gw.Status
	}
	accepted, programmed, available := s.accepted(), s.programmed(), s.available()
	ready := condition(v1alpha1.ConditionReady, true, v1alpha1.ReasonReady, gatewayReady)
	if paused(gw) {
		ready.Reason, ready.Message = v1alpha1.ReasonPaused, gatewayPaused
	}
	for _, c := range []metav1.Condition{accepted, available, programmed} {
		if c.Status != metav1.ConditionTrue {
			ready = condition(v1alpha1.ConditionReady, false, c.Reason, c.Message)
			break
		}
	}
	want := []metav1.Condition{accepted, programmed, available, ready}
	switch {
	case s.stalled():
		want = append(want, condition(v1alpha1.ConditionStalled, true, ready.Reason, ready.Message))
	case ready.Status != metav1.ConditionTrue:
		want = append(want, condition(v1alpha1.ConditionReconciling, true, ready.Reason, ready.Message))
	case !rolledOut(s.deployment):
		want = append(want, condition(v1alpha1.ConditionReconciling, true, v1alpha1.ReasonProgramming, "pods are being replaced"))
	}
	if infra.SharesLoad(gw) {
		want = append(want, condition(v1alpha1.ConditionReplayShared, false, v1alpha1.ReasonPerPod, gatewayPerPod))
	}
	status := v1alpha1.FederationGatewayStatus{
		ObservedGeneration:      gw.Generation,
		Conditions:              conditions(gw.Status.Conditions, gw.Generation, now, want...),
		Addresses:               s.addresses,
		Snapshot:                snapshotStatus(s.post),
		Pods:                    podsStatus(s.post),
		AttachedDomains:         int32(s.post.Domains),
		Effective:               effective(gw, s.post.Settings),
		Selector:                labels.Set(infra.PodLabels(gw.Name)).String(),
		RemovalConfirmed:        cmp.Or(s.post.Confirmed, gw.Status.RemovalConfirmed),
		ResetBackoffRequestedAt: resetRequest(gw),
	}
	if s.deployment != nil {
		status.Replicas = s.deployment.Status.Replicas
	}
	return status
}

// resetRequest is what the annotation calfed.dev/reset-backoff-requested-at asks for.
func resetRequest(gw *v1alpha1.FederationGateway) string {
	return keylife.Echo(gw.Annotations[v1alpha1.AnnotationResetBackoff])
}

// stalled says whether only an edit of the spec helps.
func (s *gatewaySeen) stalled() bool {
	return stalls(s.post.Findings) || slices.ContainsFunc(s.refused, func(r refusedObject) bool { return r.forGood })
}

func (s *gatewaySeen) accepted() metav1.Condition {
	reason, message := failure(s.post.Findings)
	for _, r := range s.refused {
		reason = cmp.Or(reason, r.reason)
		message = strings.TrimPrefix(message+"; "+r.message, "; ")
	}
	if reason != "" {
		return condition(v1alpha1.ConditionAccepted, false, reason, message)
	}
	message = gatewayUsable
	if warnings := slices.DeleteFunc(slices.Clone(s.post.Findings), func(f compile.Finding) bool { return f.Severity == compile.Error }); len(warnings) > 0 {
		message += ", but " + sentence(warnings)
	}
	return condition(v1alpha1.ConditionAccepted, true, v1alpha1.ReasonAccepted, message)
}

func (s *gatewaySeen) programmed() metav1.Condition {
	no := func(reason, message string) metav1.Condition {
		return condition(v1alpha1.ConditionProgrammed, false, reason, message)
	}
	var onTheWay bool
	var problems []string
	for _, p := range s.post.Pods {
		onTheWay = onTheWay || !p.Programmed
		if p.Problem != "" {
			problems = append(problems, p.Name+": "+p.Problem)
		}
	}
	switch {
	case s.post.Settings == nil:
		return no(v1alpha1.ReasonCompileFailed, "the gateway cannot be compiled: pods serve what they served before; the condition Accepted says why")
	case s.post.HeldToken != "":
		return no(v1alpha1.ReasonRemovalHeld, heldMessage(s.post))
	case s.post.Problem != "":
		return no(v1alpha1.ReasonCompileFailed, s.post.Problem)
	case paused(s.gateway):
		return condition(v1alpha1.ConditionProgrammed, true, v1alpha1.ReasonPaused, gatewayPaused)
	case len(s.post.Pods) == 0:
		return no(v1alpha1.ReasonNoPods, "no pod answers yet")
	case len(problems) > 0:
		return no(v1alpha1.ReasonRejected, limited(problems))
	case onTheWay:
		return no(v1alpha1.ReasonProgramming, "pods are taking the newest configuration over")
	}
	return condition(v1alpha1.ConditionProgrammed, true, v1alpha1.ReasonProgrammed, gatewayServed)
}

// heldMessage names the first domains that would go, and what to do.
func heldMessage(post *board.Gateway) string {
	return fmt.Sprintf("the configuration would drop more than a fifth of the domains (%s): if they shall go, annotate the gateway with %s=%s",
		listed(post.Held), v1alpha1.AnnotationConfirmRemoval, post.HeldToken)
}

// limited joins the first sentences of many.
func limited(all []string) string {
	if len(all) > statusFindings {
		all = append(all[:statusFindings:statusFindings], "and more")
	}
	return strings.Join(all, "; ")
}

// listed joins the first names of many.
func listed(all []string) string {
	if len(all) > statusItems {
		return strings.Join(all[:statusItems], ", ") + " and more"
	}
	return strings.Join(all, ", ")
}

func (s *gatewaySeen) available() metav1.Condition {
	no := func(reason, message string) metav1.Condition {
		return condition(v1alpha1.ConditionAvailable, false, reason, message)
	}
	switch {
	case s.deployment == nil:
		return no(v1alpha1.ReasonUnavailable, "there is no Deployment yet")
	case paused(s.gateway):
		return condition(v1alpha1.ConditionAvailable, true, v1alpha1.ReasonPaused, gatewayPaused)
	case available(s.deployment):
		return condition(v1alpha1.ConditionAvailable, true, v1alpha1.ReasonAvailable, gatewayAvailable)
	}
	message := "too few pods answer"
	if why := cmp.Or(s.trouble, deploymentTrouble(s.deployment)); why != "" {
		message += ": " + why
	}
	return no(v1alpha1.ReasonUnavailable, fmt.Sprintf("%s; look at kubectl describe pods -n %s -l %s=%s", message, s.gateway.Namespace, labelInstance, s.gateway.Name))
}

// paused says whether the spec wants no pods. That is no failure: tools that wait see it as they see a Deployment of none.
func paused(gw *v1alpha1.FederationGateway) bool {
	return gw.Spec.Autoscaling == nil && gw.Spec.Replicas != nil && *gw.Spec.Replicas == 0
}

func snapshotStatus(post *board.Gateway) *v1alpha1.SnapshotStatus {
	if post.IndexUID == "" {
		return nil
	}
	return &v1alpha1.SnapshotStatus{IndexUID: post.IndexUID, Serial: int64(post.Serial), Hash: post.Hash, Domains: int32(post.Domains)}
}

func podsStatus(post *board.Gateway) *v1alpha1.PodsStatus {
	out := &v1alpha1.PodsStatus{Total: int32(len(post.Pods))}
	for _, p := range post.Pods {
		if p.Programmed {
			out.Programmed++
		}
	}
	return out
}

// effective are the values in force; the last ones stay while the gateway cannot be compiled.
func effective(gw *v1alpha1.FederationGateway, settings *snapshot.Gateway) *v1alpha1.EffectiveGateway {
	if settings == nil {
		return gw.Status.Effective.DeepCopy()
	}
	out := &v1alpha1.EffectiveGateway{
		DefaultPolicy:      v1alpha1.ActionDeny,
		TLSSecret:          infra.TLSSecret(gw.Name),
		CapabilitiesSerial: int64(settings.Capabilities.Serial),
		MaxContentLength:   settings.Capabilities.MaxContentLength,
	}
	if settings.DefaultAction == snapshot.Allow {
		out.DefaultPolicy = v1alpha1.ActionAllow
	}
	if gw.Spec.TLS.Secret != nil {
		out.TLSSecret = gw.Spec.TLS.Secret.Name
	}
	return out
}
