package controllers

import (
	"context"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/infra"
	"github.com/calfed/calfed/controllers/kubetest"
)

// A neighbour may move in and out while the operator runs.
func TestNeighboursComeAndGo(t *testing.T) {
	t.Parallel()
	shared := kubetest.Shared(t)
	c := kubetest.New(t, kubetest.Options{})
	r := newGatewayRig(t, c)
	gw := r.gateway(t, httpRoute, replicasOf(0)) // no pods: nothing else has it looked at again
	message := r.becomes(t, gw, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonKindNotFound)
	if !strings.Contains(message, "install the Gateway API") {
		t.Errorf("the message does not say what to do: %s", message)
	}

	definition := r.definition(t, shared, "httproutes.gateway.networking.k8s.io")
	if err := r.Create(t.Context(), definition.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	r.untilSeen(t, func() bool {
		return r.Get(t.Context(), client.ObjectKeyFromObject(gw), gw) == nil && conditionIs(gw, v1alpha1.ConditionAccepted, metav1.ConditionTrue)
	})
	route := &unstructured.Unstructured{}
	route.SetGroupVersionKind(infra.HTTPRoute)
	if err := r.Get(t.Context(), client.ObjectKeyFromObject(gw), route); err != nil {
		t.Fatal(err)
	}
	// it is watched from now on
	if err := r.Delete(t.Context(), route); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, "the route is there again", func(ctx context.Context) bool {
		return r.Get(ctx, client.ObjectKeyFromObject(gw), route) == nil
	})

	// the last route first, lest one be made anew while the definition goes: the API server takes minutes over that
	r.edit(t, gw, func(gw *v1alpha1.FederationGateway) { gw.Spec.Exposure = nil })
	r.eventually(t, "the route is gone", func(ctx context.Context) bool {
		return apierrors.IsNotFound(r.Get(ctx, client.ObjectKeyFromObject(gw), route))
	})
	if err := r.Delete(t.Context(), definition); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, "the definition is gone", func(ctx context.Context) bool {
		return apierrors.IsNotFound(r.Get(ctx, client.ObjectKeyFromObject(definition), definition))
	})
	r.edit(t, gw, httpRoute)
	r.untilSeen(t, func() bool {
		return r.Get(t.Context(), client.ObjectKeyFromObject(gw), gw) == nil && conditionIs(gw, v1alpha1.ConditionAccepted, metav1.ConditionFalse)
	})
	if err := r.Create(t.Context(), r.definition(t, shared, definition.Name)); err != nil {
		t.Fatal(err)
	}
	r.untilSeen(t, func() bool {
		return r.Get(t.Context(), client.ObjectKeyFromObject(gw), gw) == nil && conditionIs(gw, v1alpha1.ConditionAccepted, metav1.ConditionTrue)
	})
}

// untilSeen lets time pass until the operator has looked which kinds there are, and f holds.
func (r *gatewayRig) untilSeen(t *testing.T, f func() bool) {
	t.Helper()
	r.eventually(t, "the operator sees it", func(context.Context) bool {
		r.clock.Step(lookForKinds)
		return f()
	})
}

func (r *gatewayRig) definition(t *testing.T, from *kubetest.Cluster, name string) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	d := &apiextensionsv1.CustomResourceDefinition{}
	if err := from.Client.Get(t.Context(), client.ObjectKey{Name: name}, d); err != nil {
		t.Fatal(err)
	}
	return &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: d.Annotations}, Spec: d.Spec}
}
