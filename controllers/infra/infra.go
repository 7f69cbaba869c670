// Package infra says which objects a FederationGateway needs in its cluster: Deployment, Services, PodDisruptionBudget,
// HorizontalPodAutoscaler, NetworkPolicy, ServiceAccount with Role, and, where their kinds exist, HTTPRoute, Certificate,
// ServiceMonitor and PrometheusRule. README.md says why each is as it is.
//
// It is pure: resources in, objects out, for server-side apply. It knows no API server; federationgateway.go does.
package infra

import (
	"fmt"
	"net/netip"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
)

// Facts are what the objects depend on beside the FederationGateway.
type Facts struct {
	Image     string           // of the pods
	APIServer []netip.AddrPort // where pods reach the API server: the Service's address and those behind it
	// Kinds are the optional kinds that the cluster has.
	Kinds map[schema.GroupVersionKind]bool
	// Replicas of the Deployment as it is; nil when there is none.
	Replicas *int32
	// Scaled says that somebody else, an autoscaler, owns the Deployment's spec.replicas: see the function Scaled.
	Scaled bool
}

// Object is one thing that a gateway may have in its namespace.
type Object struct {
	Kind     schema.GroupVersionKind
	Optional bool // not every cluster has the kind
	Name     string
	Apply    *unstructured.Unstructured // all that we say of it; nil = it must not be there
}

// Objects says of everything that a gateway may have what it must be, in the order in which it is best made. Objects of
// optional kinds that the cluster does not have are left out.
func Objects(gw *v1alpha1.FederationGateway, f Facts) ([]Object, error) {
	var out []Object
	for _, k := range kinds {
		if k.optional && !f.Kinds[k.gvk] {
			continue
		}
		for _, part := range k.parts {
			o := Object{Kind: k.gvk, Optional: k.optional, Name: gw.Name + part.suffix}
			if part.wanted == nil || part.wanted(gw) {
				typed := part.make(gw, f)
				typed.SetName(o.Name)
				apply, err := toApply(gw, k.gvk, typed)
				if err != nil {
					return nil, fmt.Errorf("%s %s: %w", k.gvk.Kind, o.Name, err)
				}
				o.Apply = apply
			}
			out = append(out, o)
		}
	}
	return out, nil
}

// toApply makes of a typed object what is applied: its kind, our labels, its owner, and no status, which is others' to write.
func toApply(gw *v1alpha1.FederationGateway, kind schema.GroupVersionKind, typed client.Object) (*unstructured.Unstructured, error) {
	typed.SetNamespace(gw.Namespace)
	typed.SetLabels(merged(typed.GetLabels(), Labels(gw.Name)))
	typed.SetOwnerReferences(owner(gw))
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	if err != nil {
		return nil, err
	}
	u := &unstructured.Unstructured{Object: content}
	u.SetGroupVersionKind(kind)
	unstructured.RemoveNestedField(u.Object, "status")
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	return u, nil
}

// Problem is why a part of the spec cannot have an effect in this cluster.
type Problem struct {
	Field   string // JSON path
	Message string // what is wrong and what to do
}

// Missing says which parts of the spec need a kind that the cluster does not have.
func Missing(gw *v1alpha1.FederationGateway, have map[schema.GroupVersionKind]bool) []Problem {
	var out []Problem
	if wantsRoute(gw) && !have[HTTPRoute] {
		out = append(out, Problem{
			"spec.exposure.httpRoute",
			"this cluster has no HTTPRoute (gateway.networking.k8s.io/v1): install the Gateway API, or use spec.exposure.service",
		})
	}
	if wantsCertificate(gw) && !have[Certificate] {
		out = append(out, Problem{
			"spec.tls.certManager",
			"this cluster has no Certificate (cert-manager.io/v1): install cert-manager, or use tls.type Secret",
		})
	}
	return out
}
