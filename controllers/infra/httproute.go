package infra

import (
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/calfed/calfed/api/v1alpha1"
)

func wantsRoute(gw *v1alpha1.FederationGateway) bool {
	return gw.Spec.Exposure != nil && gw.Spec.Exposure.HTTPRoute != nil
}

// route leads the two resources that peers ask for to the pods, and nothing else.
func route(gw *v1alpha1.FederationGateway, _ Facts) client.Object {
	r := &gatewayv1.HTTPRoute{}
	for _, p := range gw.Spec.Exposure.HTTPRoute.ParentRefs {
		ref := gatewayv1.ParentReference{Name: gatewayv1.ObjectName(p.Name)}
		if p.Namespace != "" {
			ref.Namespace = new(gatewayv1.Namespace(p.Namespace))
		}
		if p.SectionName != "" {
			ref.SectionName = new(gatewayv1.SectionName(p.SectionName))
		}
		r.Spec.ParentRefs = append(r.Spec.ParentRefs, ref)
	}
	r.Spec.Hostnames = []gatewayv1.Hostname{gatewayv1.Hostname(gw.Spec.Host)}
	r.Spec.Rules = []gatewayv1.HTTPRouteRule{{
		Matches: []gatewayv1.HTTPRouteMatch{
			match(gatewayv1.PathMatchExact, "/.well-known/ischedule"),
			match(gatewayv1.PathMatchPathPrefix, "/.well-known/domainkey"),
		},
		BackendRefs: []gatewayv1.HTTPBackendRef{{BackendRef: gatewayv1.BackendRef{BackendObjectReference: gatewayv1.BackendObjectReference{
			Name: gatewayv1.ObjectName(gw.Name), Port: new(gatewayv1.PortNumber(443)),
		}}}},
	}}
	return r
}

func match(how gatewayv1.PathMatchType, path string) gatewayv1.HTTPRouteMatch {
	return gatewayv1.HTTPRouteMatch{Path: &gatewayv1.HTTPPathMatch{Type: &how, Value: &path}}
}

// routeTLS tells the Gateway that the pods speak TLS, with the certificate that peers see without it.
func routeTLS(gw *v1alpha1.FederationGateway, _ Facts) client.Object {
	return &gatewayv1.BackendTLSPolicy{Spec: gatewayv1.BackendTLSPolicySpec{
		TargetRefs: []gatewayv1.LocalPolicyTargetReferenceWithSectionName{{
			LocalPolicyTargetReference: gatewayv1.LocalPolicyTargetReference{Kind: gatewayv1.Kind(Service.Kind), Name: gatewayv1.ObjectName(gw.Name)},
			SectionName:                new(gatewayv1.SectionName(portPublic)),
		}},
		Validation: gatewayv1.BackendTLSPolicyValidation{
			Hostname:                gatewayv1.PreciseHostname(gw.Spec.Host),
			WellKnownCACertificates: new(gatewayv1.WellKnownCACertificatesSystem),
		},
	}}
}
