package controllers

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/board"
	"github.com/calfed/calfed/controllers/kubetest"
)

var everyGatewayHas = []string{
	"Deployment edge", "NetworkPolicy edge", "PodDisruptionBudget edge", "PrometheusRule edge", "Role edge", "RoleBinding edge",
	"Secret edge-status", "Secret edge-status-ca", "Service edge", "Service edge-submit", "ServiceAccount edge", "ServiceMonitor edge",
}

func (r *gatewayRig) becomesMade(t *testing.T, want []string) {
	t.Helper()
	var diff string
	defer func() {
		if diff != "" {
			t.Log(diff)
		}
	}()
	r.eventually(t, "the objects are those wanted", func(context.Context) bool {
		diff = cmp.Diff(want, r.made(t))
		return diff == ""
	})
}

// told are the objects that Events with a reason are about, each as often as it happened.
func (r *gatewayRig) told(ctx context.Context, reason string) []string {
	var list eventsv1.EventList
	if r.List(ctx, &list, client.InNamespace(r.ns)) != nil {
		return nil
	}
	var out []string
	for _, e := range list.Items {
		if e.ReportingController != "calfed" || e.Reason != reason || e.Regarding.Name != "edge" || e.Related == nil {
			continue
		}
		times := 1
		if e.Series != nil {
			times = int(e.Series.Count)
		}
		out = append(out, slices.Repeat([]string{e.Related.Kind + " " + e.Related.Name}, times)...)
	}
	slices.Sort(out)
	return out
}

func (r *gatewayRig) becomesTold(t *testing.T, reason string, want ...string) {
	t.Helper()
	var got []string
	defer func() {
		if t.Failed() {
			t.Logf("Events %s tell of %q, want %q", reason, got, want)
		}
	}()
	r.eventually(t, "Events "+reason, func(ctx context.Context) bool {
		got = r.told(ctx, reason)
		return slices.Equal(got, want)
	})
}

func TestGatewayObjectsComeAndGoWithTheSpec(t *testing.T) {
	t.Parallel()
	r := newGatewayRig(t, kubetest.Shared(t))
	gw := r.gateway(t)
	r.becomesMade(t, everyGatewayHas)

	r.edit(t, gw, func(gw *v1alpha1.FederationGateway) {
		httpRoute(gw)
		gw.Spec.TLS = v1alpha1.GatewayTLS{Type: v1alpha1.TLSCertManager, CertManager: &v1alpha1.CertManager{IssuerRef: v1alpha1.IssuerRef{Name: "ca"}}}
		gw.Spec.Autoscaling = &v1alpha1.Autoscaling{MaxReplicas: 4}
	})
	r.becomesMade(t, []string{
		"BackendTLSPolicy edge", "Certificate edge-tls", "Deployment edge", "HTTPRoute edge", "HorizontalPodAutoscaler edge", "NetworkPolicy edge",
		"PodDisruptionBudget edge", "PrometheusRule edge", "Role edge", "RoleBinding edge", "Secret edge-status", "Secret edge-status-ca",
		"Service edge", "Service edge-submit", "ServiceAccount edge", "ServiceMonitor edge",
	})

	r.edit(t, gw, func(gw *v1alpha1.FederationGateway) {
		gw.Spec.Exposure, gw.Spec.Autoscaling, gw.Spec.Replicas = nil, nil, new(int32(1))
		gw.Spec.TLS = v1alpha1.GatewayTLS{Type: v1alpha1.TLSSecret, Secret: &v1alpha1.SecretRef{Name: "cert"}}
	})
	r.becomesMade(t, []string{
		"Deployment edge", "NetworkPolicy edge", "PrometheusRule edge", "Role edge", "RoleBinding edge", "Secret edge-status", "Secret edge-status-ca",
		"Service edge", "Service edge-submit", "ServiceAccount edge", "ServiceMonitor edge",
	})

	gone := []string{"BackendTLSPolicy edge", "Certificate edge-tls", "HTTPRoute edge", "HorizontalPodAutoscaler edge", "PodDisruptionBudget edge"}
	r.becomesTold(t, "Deleted", gone...)
	r.touch(t, gw, "nothing is there to delete any more")
	r.settled(t, gw)
	r.becomesTold(t, "Deleted", gone...)
	r.becomesTold(t, "PutBack")

	if err := r.Delete(t.Context(), gw); err != nil {
		t.Fatal(err)
	}
	r.becomesMade(t, nil)
	if err := r.Get(t.Context(), client.ObjectKeyFromObject(gw), gw); !apierrors.IsNotFound(err) {
		t.Errorf("the gateway is still there: %v", err)
	}
}

// Nothing is written when nothing changed; and when everything is applied again, as after a restart, that changes nothing.
func TestGatewayThatStaysCausesNoWrites(t *testing.T) {
	t.Parallel()
	c := kubetest.New(t, kubetest.Options{Neighbours: true}) // nobody else writes
	r := &gatewayRig{Client: c.Client, ns: c.Namespace(t), clock: clocktesting.NewFakeClock(time.Now())}
	stop := r.start(t, c)
	gw := r.gateway(t, httpRoute, func(gw *v1alpha1.FederationGateway) {
		gw.Spec.Autoscaling = &v1alpha1.Autoscaling{MaxReplicas: 3}
		gw.Spec.PodTemplate = &v1alpha1.PodTemplate{Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{Weight: 1, Preference: corev1.NodeSelectorTerm{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "edge", Operator: corev1.NodeSelectorOpExists}},
			}}},
		}}}
	})
	r.becomesMade(t, []string{
		"BackendTLSPolicy edge", "Deployment edge", "HTTPRoute edge", "HorizontalPodAutoscaler edge", "NetworkPolicy edge",
		"PodDisruptionBudget edge", "PrometheusRule edge", "Role edge", "RoleBinding edge", "Secret edge-status", "Secret edge-status-ca",
		"Service edge", "Service edge-submit", "ServiceAccount edge", "ServiceMonitor edge",
	})
	r.becomes(t, gw, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	statusAlone := []string{"apply status FederationGateway edge"} // that of settled; a cache that is behind has it said twice
	var before map[string]string
	r.eventually(t, "all is made, and what failed was tried again", func(context.Context) bool {
		before = r.settled(t, gw)
		return slices.Equal(statusAlone, slices.Compact(r.writes()))
	})
	for i := range 100 {
		r.touch(t, gw, fmt.Sprint(i))
	}
	if diff := cmp.Diff(before, r.settled(t, gw)); diff != "" {
		t.Errorf("objects were written (-before +after):\n%s", diff)
	}
	for _, reason := range []string{"PutBack", "Deleted"} {
		r.becomesTold(t, reason)
	}
	if diff := cmp.Diff(statusAlone, slices.Compact(r.writes())); diff != "" {
		t.Errorf("something was written when nothing had changed:\n%s", diff)
	}

	stop()
	for range 10 { // restarts
		stop := r.start(t, c)
		again := 0
		r.eventually(t, "all is applied again", func(context.Context) bool { again += len(r.writes()); return again >= len(before)-2 })
		if diff := cmp.Diff(before, r.settled(t, gw)); diff != "" {
			t.Fatalf("a restart writes objects (-before +after):\n%s", diff)
		}
		stop()
	}
}

// settled waits until the reconciler has taken over a post and seen that it has, and returns the versions of all objects.
func (r *gatewayRig) settled(t *testing.T, gw *v1alpha1.FederationGateway) map[string]string {
	t.Helper()
	r.serial++
	r.post(gw, func(p *board.Gateway) { p.Serial = r.serial })
	r.eventually(t, "the status has the post", func(ctx context.Context) bool {
		return r.Get(ctx, client.ObjectKeyFromObject(gw), gw) == nil && gw.Status.Snapshot != nil && gw.Status.Snapshot.Serial == int64(r.serial)
	})
	r.eventually(t, "the reconciler sees its own status", func(ctx context.Context) bool {
		seen := &v1alpha1.FederationGateway{}
		return r.cache.Get(ctx, client.ObjectKeyFromObject(gw), seen) == nil && seen.ResourceVersion == gw.ResourceVersion
	})
	out := map[string]string{}
	for name, o := range r.objects(t) {
		out[name] = o.ResourceVersion
	}
	return out
}
