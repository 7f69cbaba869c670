package controllers

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/infra"
)

// addresses are those at which the cluster says that the gateway can be reached: of the load balancer, or of the Gateways that
// its HTTPRoute is attached to, or else the Service's own.
func (r *gateways) addresses(ctx context.Context, gw *v1alpha1.FederationGateway) ([]string, error) {
	var s corev1.Service
	if err := r.objects.Get(ctx, client.ObjectKeyFromObject(gw), &s); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	var out []string
	if ownedBy(&s, gw) {
		for _, in := range s.Status.LoadBalancer.Ingress {
			out = append(out, cmp.Or(in.Hostname, in.IP))
		}
	}
	if gw.Spec.Exposure != nil && gw.Spec.Exposure.HTTPRoute != nil {
		for _, ref := range gw.Spec.Exposure.HTTPRoute.ParentRefs {
			found, err := r.addressesOf(ctx, cmp.Or(ref.Namespace, gw.Namespace), ref.Name)
			if err != nil {
				return nil, err
			}
			out = append(out, found...)
		}
	} else if len(out) == 0 && ownedBy(&s, gw) {
		out = serviceAddresses(&s)
	}
	slices.Sort(out)
	out = slices.DeleteFunc(slices.Compact(out), func(a string) bool { return a == "" })
	return first(out), nil
}

func serviceAddresses(s *corev1.Service) []string {
	switch s.Spec.Type {
	case corev1.ServiceTypeNodePort:
		var out []string
		for _, p := range s.Spec.Ports {
			out = append(out, fmt.Sprintf("*:%d", p.NodePort)) // of every node
		}
		return out
	case corev1.ServiceTypeClusterIP:
		return slices.Clone(s.Spec.ClusterIPs)
	}
	return nil // a load balancer that is being made
}

// addressesOf are those of a Gateway of the Gateway API; none when it cannot be read.
func (r *gateways) addressesOf(ctx context.Context, namespace, name string) ([]string, error) {
	var g unstructured.Unstructured
	g.SetGroupVersionKind(infra.HTTPRoute.GroupVersion().WithKind("Gateway"))
	err := r.live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &g)
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) || apimeta.IsNoMatchError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list, _, err := unstructured.NestedSlice(g.Object, "status", "addresses")
	if err != nil {
		return nil, nil // not as its definition has it
	}
	var out []string
	for _, item := range list {
		if address, ok := item.(map[string]any); ok {
			value, _ := address["value"].(string)
			out = append(out, value)
		}
	}
	return out, nil
}
