package controllers

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/board"
	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/snapshot"
)

func conditionIs(gw *v1alpha1.FederationGateway, kind string, status metav1.ConditionStatus) bool {
	return apimeta.IsStatusConditionPresentAndEqual(gw.Status.Conditions, kind, status)
}

// good is a gateway of two pods of which nothing is wrong.
func good() *gatewaySeen {
	return &gatewaySeen{
		gateway: &v1alpha1.FederationGateway{
			ObjectMeta: metav1.ObjectMeta{Namespace: "federation", Name: "edge", Generation: 4},
			Spec:       v1alpha1.FederationGatewaySpec{TLS: v1alpha1.GatewayTLS{Type: v1alpha1.TLSSecret, Secret: &v1alpha1.SecretRef{Name: "cert"}}},
		},
		post: &board.Gateway{
			Settings: &snapshot.Gateway{Capabilities: ischedule.Capabilities{Serial: 1800000000, MaxContentLength: 1 << 20}},
			IndexUID: "index", Serial: 9, Hash: "hash", Domains: 12,
			Pods: []board.Pod{{Name: "edge-a", Programmed: true}, {Name: "edge-b", Programmed: true}},
		},
		deployment: &appsv1.Deployment{
			Spec: appsv1.DeploymentSpec{Replicas: new(int32(2))},
			Status: appsv1.DeploymentStatus{
				Replicas: 2, UpdatedReplicas: 2, AvailableReplicas: 2,
				Conditions: []appsv1.DeploymentCondition{{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue}},
			},
		},
		addresses: []string{"192.0.2.1"},
	}
}

func (s *gatewaySeen) unavailable() {
	s.deployment.Status.Conditions = nil
	s.deployment.Status.AvailableReplicas = 0
}

// The stages of a gateway's life, as tools that wait and people that read see them.
func TestGatewayStatusAtEachStage(t *testing.T) {
	t.Parallel()
	finding := func(severity compile.Severity, field, reason, message string) func(*gatewaySeen) {
		return func(s *gatewaySeen) {
			s.post.Findings = append(s.post.Findings, compile.Finding{Severity: severity, Field: field, Reason: reason, Message: message})
		}
	}
	for name, tt := range map[string]struct {
		edit    func(*gatewaySeen)
		tools   status.Status
		want    string // conditions that are not as they should be, and those that say what the controller is at
		message string // of Ready, in part
	}{
		"all is well": {func(*gatewaySeen) {}, status.CurrentStatus, "", gatewayReady},
		"one pod alone": {func(s *gatewaySeen) {
			s.gateway.Spec.Replicas = new(int32(1))
		}, status.CurrentStatus, "no ReplayShared", gatewayReady},
		"nothing is made yet": {func(s *gatewaySeen) {
			s.deployment, s.post.Pods = nil, nil
		}, status.InProgressStatus, "Available=Unavailable Programmed=NoPods Ready=Unavailable Reconciling=Unavailable", "no Deployment"},
		"pods start": {func(s *gatewaySeen) {
			s.unavailable()
			s.post.Pods = nil
		}, status.InProgressStatus, "Available=Unavailable Programmed=NoPods Ready=Unavailable Reconciling=Unavailable", "kubectl describe pods -n federation -l app.kubernetes.io/instance=edge"},
		"the image is not there": {func(s *gatewaySeen) {
			s.unavailable()
			s.trouble = "the image x cannot be pulled"
		}, status.InProgressStatus, "Available=Unavailable Ready=Unavailable Reconciling=Unavailable", "the image x cannot be pulled"},
		"pods may not be made": {func(s *gatewaySeen) {
			s.unavailable()
			s.deployment.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: "exceeded quota"}}
		}, status.InProgressStatus, "Available=Unavailable Ready=Unavailable Reconciling=Unavailable", "exceeded quota"},
		"pods take too long": {func(s *gatewaySeen) {
			s.unavailable()
			s.deployment.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Message: "timed out"}}
		}, status.InProgressStatus, "Available=Unavailable Ready=Unavailable Reconciling=Unavailable", "timed out"},
		"one pod is behind": {func(s *gatewaySeen) {
			s.post.Pods[1].Programmed = false
		}, status.InProgressStatus, "Programmed=Programming Ready=Programming Reconciling=Programming", "taking the newest configuration over"},
		"one pod refuses": {func(s *gatewaySeen) {
			s.post.Pods[1] = board.Pod{Name: "edge-b", Problem: "rejects edge-snap-001: torn"}
		}, status.InProgressStatus, "Programmed=Rejected Ready=Rejected Reconciling=Rejected", "edge-b: rejects edge-snap-001: torn"},
		"pods are replaced": {func(s *gatewaySeen) {
			s.deployment.Status.UpdatedReplicas = 1
		}, status.InProgressStatus, "Reconciling=Programming", gatewayReady},
		"the Secret is missing": {func(s *gatewaySeen) {
			s.post.Settings = nil
			finding(compile.Error, "spec.tls.secret.name", v1alpha1.ReasonRefNotFound, "create it")(s)
		}, status.InProgressStatus, "Accepted=RefNotFound Programmed=CompileFailed Ready=RefNotFound Reconciling=RefNotFound", "spec.tls.secret.name: create it"},
		"a value is wrong": {func(s *gatewaySeen) {
			s.post.Settings = nil
			finding(compile.Error, "spec.egress.resolver", v1alpha1.ReasonInvalidValue, "is no address")(s)
		}, status.FailedStatus, "Accepted=InvalidValue Programmed=CompileFailed Ready=InvalidValue Stalled=InvalidValue", "spec.egress.resolver: is no address"},
		"a warning": {
			finding(compile.Warning, "spec.tls.secret.name", v1alpha1.ReasonInvalidValue, "is not for this host"),
			status.CurrentStatus, "", gatewayReady,
		},
		"a neighbour is missing": {func(s *gatewaySeen) {
			s.refuse(v1alpha1.ReasonKindNotFound, "install it")
		}, status.InProgressStatus, "Accepted=KindNotFound Ready=KindNotFound Reconciling=KindNotFound", "install it"},
		"an object is refused for good": {func(s *gatewaySeen) {
			s.refuseForGood(v1alpha1.ReasonInvalidValue, "no label")
		}, status.FailedStatus, "Accepted=InvalidValue Ready=InvalidValue Stalled=InvalidValue", "no label"},
		"domains would go": {func(s *gatewaySeen) {
			s.post.HeldToken = "abc"
			for i := range 20 {
				s.post.Held = append(s.post.Held, fmt.Sprintf("d%02d.example", i))
			}
		}, status.InProgressStatus, "Programmed=RemovalHeld Ready=RemovalHeld Reconciling=RemovalHeld", "d15.example and more): if they shall go, annotate the gateway with calfed.dev/confirm-removal=abc"},
		"it cannot be written": {func(s *gatewaySeen) {
			s.post.Problem = "shard 7 is too large"
		}, status.InProgressStatus, "Programmed=CompileFailed Ready=CompileFailed Reconciling=CompileFailed", "shard 7 is too large"},
		"no pods are wanted": {func(s *gatewaySeen) {
			s.gateway.Spec.Replicas = new(int32(0))
			s.deployment.Spec.Replicas = new(int32(0))
			s.deployment.Status.Replicas, s.deployment.Status.UpdatedReplicas, s.deployment.Status.AvailableReplicas, s.post.Pods = 0, 0, 0, nil
		}, status.CurrentStatus, "no ReplayShared", "spec.replicas is 0"},
		"no pods are wanted, and some are left": {func(s *gatewaySeen) {
			s.gateway.Spec.Replicas = new(int32(0))
			s.deployment.Spec.Replicas = new(int32(0))
		}, status.InProgressStatus, "Reconciling=Programming no ReplayShared", "spec.replicas is 0"},
		"no pods are wanted, and the Secret is missing": {func(s *gatewaySeen) {
			s.gateway.Spec.Replicas = new(int32(0))
			s.deployment, s.post.Settings, s.post.Pods = nil, nil, nil
			finding(compile.Error, "spec.tls.secret.name", v1alpha1.ReasonRefNotFound, "create it")(s)
		}, status.InProgressStatus, "Accepted=RefNotFound Available=Unavailable Programmed=CompileFailed Ready=RefNotFound Reconciling=RefNotFound no ReplayShared", "spec.tls.secret.name: create it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := good()
			tt.edit(s)
			gw := s.gateway.DeepCopy()
			gw.Status = s.status(time.Unix(1800000000, 0))
			if got := unusual(gw); got != tt.want {
				t.Errorf("conditions: %q, want %q", got, tt.want)
			}
			ready := apimeta.FindStatusCondition(gw.Status.Conditions, v1alpha1.ConditionReady)
			if !strings.Contains(ready.Message, tt.message) {
				t.Errorf("Ready says %q, want %q in it", ready.Message, tt.message)
			}
			content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(gw)
			if err != nil {
				t.Fatal(err)
			}
			u := &unstructured.Unstructured{Object: content}
			u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(v1alpha1.KindFederationGateway))
			result, err := status.Compute(u)
			if err != nil {
				t.Fatal(err)
			}
			if result.Status != tt.tools {
				t.Errorf("tools see %s, want %s", result.Status, tt.tools)
			}
			// the same seen later changes nothing, not even a time
			s.gateway = gw
			if diff := cmp.Diff(gw.Status, s.status(time.Unix(1900000000, 0))); diff != "" {
				t.Errorf("the second look changes the status:\n%s", diff)
			}
		})
	}
}

// unusual are the conditions that a ready gateway of two pods does not have so.
func unusual(gw *v1alpha1.FederationGateway) string {
	usual := map[string]metav1.ConditionStatus{
		v1alpha1.ConditionAccepted: metav1.ConditionTrue, v1alpha1.ConditionProgrammed: metav1.ConditionTrue,
		v1alpha1.ConditionAvailable: metav1.ConditionTrue, v1alpha1.ConditionReady: metav1.ConditionTrue,
		v1alpha1.ConditionReplayShared: metav1.ConditionFalse,
	}
	var out []string
	for _, c := range gw.Status.Conditions {
		if usual[c.Type] != c.Status {
			out = append(out, c.Type+"="+c.Reason)
		}
		delete(usual, c.Type)
	}
	for kind := range usual {
		out = append(out, "no "+kind)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestGatewayStatusHasWhatIsInForce(t *testing.T) {
	t.Parallel()
	s := good()
	s.post.Confirmed = "token"
	got := s.status(time.Unix(1800000000, 0))
	got.Conditions = nil
	want := v1alpha1.FederationGatewayStatus{
		ObservedGeneration: 4,
		Addresses:          []string{"192.0.2.1"},
		Snapshot:           &v1alpha1.SnapshotStatus{IndexUID: "index", Serial: 9, Hash: "hash", Domains: 12},
		Pods:               &v1alpha1.PodsStatus{Programmed: 2, Total: 2},
		AttachedDomains:    12,
		Effective:          &v1alpha1.EffectiveGateway{DefaultPolicy: v1alpha1.ActionDeny, TLSSecret: "cert", CapabilitiesSerial: 1800000000, MaxContentLength: 1 << 20},
		Replicas:           2,
		Selector:           "app.kubernetes.io/component=gateway,app.kubernetes.io/instance=edge,app.kubernetes.io/name=calfed",
		RemovalConfirmed:   "token",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// what was confirmed, and what was in force last, stays
	s.gateway.Status, s.post.Confirmed, s.post.Settings = got, "", nil
	got = s.status(time.Unix(1800000000, 0))
	got.Conditions = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// nothing is said of a generation that was not compiled yet
	s.post = nil
	if diff := cmp.Diff(s.gateway.Status, s.status(time.Unix(1800000000, 0))); diff != "" {
		t.Error(diff)
	}
}
