package controllers

import (
	"context"
	"slices"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/board"
	"github.com/calfed/calfed/controllers/infra"
	"github.com/calfed/calfed/controllers/kubetest"
)

// numbers records every number of replicas that the Deployment has until the test ends.
func (r *gatewayRig) numbers(t *testing.T, c *kubetest.Cluster) func() []int32 {
	t.Helper()
	watching, err := client.NewWithWatch(c.Config, client.Options{Scheme: c.Client.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	w, err := watching.Watch(t.Context(), &appsv1.DeploymentList{}, client.InNamespace(r.ns))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var seen []int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range w.ResultChan() {
			if d, ok := e.Object.(*appsv1.Deployment); ok {
				mu.Lock()
				seen = append(seen, *d.Spec.Replicas)
				mu.Unlock()
			}
		}
	}()
	t.Cleanup(func() { w.Stop(); <-done })
	return func() []int32 {
		mu.Lock()
		defer mu.Unlock()
		return slices.Compact(slices.Clone(seen))
	}
}

// autoscale writes a number as an autoscaler does.
func (r *gatewayRig) autoscale(t *testing.T, n int32) {
	t.Helper()
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: "edge"}}
	scale := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: n}}
	if err := r.SubResource("scale").Update(t.Context(), d, client.WithSubResourceBody(scale), client.FieldOwner("kube-controller-manager")); err != nil {
		t.Fatal(err)
	}
}

// There is never a moment without a number: the API server would make it 1.
func TestAutoscalerTakesOverTheNumberOfPods(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	r := newGatewayRig(t, c)
	numbers := r.numbers(t, c)
	gw := r.gateway(t, replicasOf(5))
	r.has(t, 5)

	r.edit(t, gw, func(gw *v1alpha1.FederationGateway) {
		gw.Spec.Replicas, gw.Spec.Autoscaling = nil, &v1alpha1.Autoscaling{MinReplicas: new(int32(2)), MaxReplicas: 9}
	})
	r.eventually(t, "there is an autoscaler", func(ctx context.Context) bool {
		return r.Get(ctx, client.ObjectKeyFromObject(gw), &autoscalingv2.HorizontalPodAutoscaler{}) == nil
	})
	r.settled(t, gw)
	r.has(t, 5) // the number stays until the autoscaler says another
	if infra.Scaled(r.deployment(t), fieldOwner) {
		t.Error("somebody else owns the number before the autoscaler wrote one")
	}

	r.autoscale(t, 7)
	r.settled(t, gw)
	r.autoscale(t, 3)
	r.touch(t, gw, "again")
	r.settled(t, gw)
	r.has(t, 3)

	r.edit(t, gw, func(gw *v1alpha1.FederationGateway) {
		gw.Spec.Replicas, gw.Spec.Autoscaling = new(int32(4)), nil
	})
	r.has(t, 4)
	// by hand, in the wrong place: put back
	r.autoscale(t, 8)
	r.eventually(t, "the number is put back", func(context.Context) bool {
		seen := numbers()
		return len(seen) > 1 && slices.Equal(seen[len(seen)-2:], []int32{8, 4})
	})
	if got, want := numbers(), []int32{5, 7, 3, 4, 8, 4}; !slices.Equal(got, want) {
		t.Errorf("the Deployment had %v replicas, want %v", got, want)
	}
}

func (r *gatewayRig) has(t *testing.T, n int32) {
	t.Helper()
	r.eventually(t, "the number of replicas", func(ctx context.Context) bool {
		d := &appsv1.Deployment{}
		return r.Get(ctx, client.ObjectKey{Namespace: r.ns, Name: "edge"}, d) == nil && *d.Spec.Replicas == n
	})
}

// The autoscaler may write between our look at the number and our applying it: its number stays.
func TestTheAutoscalerWinsTheRace(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	r := newGatewayRig(t, c)
	numbers := r.numbers(t, c)
	gw := r.gateway(t, replicasOf(5))
	r.has(t, 5)
	r.settled(t, gw)
	r.mu.Lock()
	r.before = func(request string) {
		if request == "apply Deployment edge" {
			r.before = nil
			r.autoscale(t, 7)
		}
	}
	r.mu.Unlock()
	r.edit(t, gw, func(gw *v1alpha1.FederationGateway) {
		gw.Spec.Replicas, gw.Spec.Autoscaling = nil, &v1alpha1.Autoscaling{MaxReplicas: 9}
		gw.Spec.PodTemplate = &v1alpha1.PodTemplate{PriorityClassName: "system-cluster-critical"} // something to apply
	})
	r.eventually(t, "the rest of the spec is applied", func(context.Context) bool {
		return r.deployment(t).Spec.Template.Spec.PriorityClassName != ""
	})
	if got, want := numbers(), []int32{5, 7}; !slices.Equal(got, want) {
		t.Errorf("the Deployment had %v replicas, want %v", got, want)
	}
}

// An autoscaler leaves a Deployment without pods alone: the first number is ours.
func TestAutoscalingWakesAPausedGateway(t *testing.T) {
	t.Parallel()
	r := newGatewayRig(t, kubetest.Shared(t))
	gw := r.gateway(t, replicasOf(0))
	r.has(t, 0)
	r.edit(t, gw, func(gw *v1alpha1.FederationGateway) {
		gw.Spec.Replicas, gw.Spec.Autoscaling = nil, &v1alpha1.Autoscaling{MaxReplicas: 3}
	})
	r.has(t, 2)
}

func TestKubectlScalesAGateway(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	r := newGatewayRig(t, c)
	gw := r.gateway(t, replicasOf(2))
	r.has(t, 2)
	r.becomes(t, gw, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	c.Kubectl(t, "", "scale", "-n", r.ns, "fgw/edge", "--replicas=3")
	r.has(t, 3)
	if want := "app.kubernetes.io/component=gateway,app.kubernetes.io/instance=edge,app.kubernetes.io/name=calfed"; gw.Status.Selector != want {
		t.Errorf("status.selector is %q, want %q", gw.Status.Selector, want)
	}
}

// A gateway of no pods is as it was asked to be, like a Deployment of none, and says that nobody is served.
func TestAPausedGatewayIsReady(t *testing.T) {
	t.Parallel()
	r := newGatewayRig(t, kubetest.Shared(t))
	gw := r.gateway(t, replicasOf(0))
	none := func(p *board.Gateway) { p.Pods = nil }
	r.post(gw, none)
	for _, kind := range []string{v1alpha1.ConditionProgrammed, v1alpha1.ConditionAvailable, v1alpha1.ConditionReady} {
		if message := r.becomes(t, gw, kind, metav1.ConditionTrue, v1alpha1.ReasonPaused); message != gatewayPaused {
			t.Errorf("%s says %q", kind, message)
		}
	}
	r.eventually(t, "nothing is under way", func(ctx context.Context) bool {
		return r.Get(ctx, client.ObjectKeyFromObject(gw), gw) == nil && unusual(gw) == "no ReplayShared"
	})
	r.edit(t, gw, replicasOf(1))
	r.becomes(t, gw, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonUnavailable)
}
