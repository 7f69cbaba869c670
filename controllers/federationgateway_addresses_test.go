package controllers

import (
	"context"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/infra"
	"github.com/calfed/calfed/controllers/kubetest"
)

func (r *gatewayRig) service(t *testing.T) *corev1.Service {
	t.Helper()
	s := &corev1.Service{}
	if err := r.Get(t.Context(), client.ObjectKey{Namespace: r.ns, Name: "edge"}, s); err != nil {
		t.Fatal(err)
	}
	return s
}

func (r *gatewayRig) hasAddresses(t *testing.T, gw *v1alpha1.FederationGateway, want func(s *corev1.Service) []string) {
	t.Helper()
	r.eventually(t, "the addresses are those wanted", func(ctx context.Context) bool {
		return r.Get(ctx, client.ObjectKeyFromObject(gw), gw) == nil && gw.Status.ObservedGeneration == gw.Generation && slices.Equal(gw.Status.Addresses, want(r.service(t)))
	})
}

func TestAddressesAreThoseOfTheWayIn(t *testing.T) {
	t.Parallel()
	r := newGatewayRig(t, kubetest.Shared(t))
	gw := r.gateway(t)
	r.becomesMade(t, everyGatewayHas)
	r.hasAddresses(t, gw, func(s *corev1.Service) []string { return s.Spec.ClusterIPs })

	exposed := func(kind corev1.ServiceType) {
		t.Helper()
		r.edit(t, gw, func(gw *v1alpha1.FederationGateway) {
			gw.Spec.Exposure = &v1alpha1.Exposure{Service: &v1alpha1.ServiceExposure{Type: kind}}
		})
		r.eventually(t, "the Service is of type "+string(kind), func(context.Context) bool { return r.service(t).Spec.Type == kind })
	}
	exposed(corev1.ServiceTypeNodePort)
	r.hasAddresses(t, gw, func(s *corev1.Service) []string { return serviceAddresses(s) })
	if a := gw.Status.Addresses[0]; len(a) < 4 || a[:2] != "*:" {
		t.Errorf("the address is %q, want the port of every node", a)
	}

	exposed(corev1.ServiceTypeLoadBalancer)
	r.hasAddresses(t, gw, func(*corev1.Service) []string { return nil })
	s := r.service(t)
	s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.9"}, {Hostname: "lb.example.net"}}
	if err := r.Status().Update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	r.hasAddresses(t, gw, func(*corev1.Service) []string { return []string{"192.0.2.9", "lb.example.net"} })

	exposed(corev1.ServiceTypeClusterIP) // what a load balancer needed is taken back
	if p := r.service(t).Spec.Ports[0]; p.NodePort != 0 || r.service(t).Spec.ExternalTrafficPolicy != "" {
		t.Errorf("the Service still has %+v", r.service(t).Spec)
	}
}

func TestAddressesOfAnHTTPRouteAreThoseOfItsGateways(t *testing.T) {
	t.Parallel()
	r := newGatewayRig(t, kubetest.Shared(t))
	shared := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"gatewayClassName": "any",
		"listeners":        []any{map[string]any{"name": "http", "port": int64(80), "protocol": "HTTP"}},
	}}}
	shared.SetGroupVersionKind(infra.HTTPRoute.GroupVersion().WithKind("Gateway"))
	shared.SetNamespace(r.ns)
	shared.SetName("shared")
	if err := r.Create(t.Context(), shared); err != nil {
		t.Fatal(err)
	}
	shared.Object["status"] = map[string]any{"addresses": []any{map[string]any{"type": "IPAddress", "value": "192.0.2.80"}}}
	if err := r.Status().Update(t.Context(), shared); err != nil {
		t.Fatal(err)
	}
	gw := r.gateway(t, httpRoute, func(gw *v1alpha1.FederationGateway) {
		refs := &gw.Spec.Exposure.HTTPRoute.ParentRefs
		*refs = append(*refs, v1alpha1.ParentRef{Name: "missing"})
	})
	r.hasAddresses(t, gw, func(*corev1.Service) []string { return []string{"192.0.2.80"} })
}

// A namespace that ends takes its gateway along: nothing is made anew, and nothing keeps it.
func TestANamespaceThatEndsIsLeftAlone(t *testing.T) {
	t.Parallel()
	r := newGatewayRig(t, kubetest.Shared(t))
	r.gateway(t)
	r.becomesMade(t, everyGatewayHas)
	if err := r.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: r.ns}}); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, "the namespace is gone", func(ctx context.Context) bool {
		return apierrors.IsNotFound(r.Get(ctx, client.ObjectKey{Name: r.ns}, &corev1.Namespace{}))
	})
}

// What a quota or an admission controller refuses is said with their words, and tried again.
func TestARefusalOfTheClusterIsTold(t *testing.T) {
	t.Parallel()
	r := newGatewayRig(t, kubetest.New(t, kubetest.Options{}))
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: "few"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/services": resource.MustParse("0")}}}
	if err := r.Create(t.Context(), quota); err != nil {
		t.Fatal(err)
	}
	quota.Status = corev1.ResourceQuotaStatus{Hard: quota.Spec.Hard, Used: corev1.ResourceList{"count/services": resource.MustParse("0")}}
	if err := r.Status().Update(t.Context(), quota); err != nil { // nobody counts here
		t.Fatal(err)
	}
	gw := r.gateway(t)
	r.becomes(t, gw, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonRefused)
	r.deployment(t) // the rest is made all the same
	if err := r.Delete(t.Context(), quota); err != nil {
		t.Fatal(err)
	}
	r.becomes(t, gw, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
}
