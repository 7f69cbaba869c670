package infra

import (
	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/calfed/calfed/api/v1alpha1"
)

var gatewayAPI = schema.GroupVersion(gatewayv1.GroupVersion)

// The kinds that reconcilers look into.
var (
	Deployment  = appsv1.SchemeGroupVersion.WithKind("Deployment")
	Service     = corev1.SchemeGroupVersion.WithKind("Service")
	HTTPRoute   = gatewayAPI.WithKind("HTTPRoute")
	Certificate = certmanagerv1.SchemeGroupVersion.WithKind("Certificate")
)

// kind is a kind of object that gateways have.
type kind struct {
	gvk      schema.GroupVersionKind
	optional bool // not every cluster has it
	parts    []part
}

// part is one object of a gateway.
type part struct {
	suffix string // of the name, after that of the gateway
	wanted func(*v1alpha1.FederationGateway) bool
	make   func(*v1alpha1.FederationGateway, Facts) client.Object
}

// kinds are all that gateways have. What pods need to start comes before them, and what limits them too.
var kinds = []kind{
	{gvk: corev1.SchemeGroupVersion.WithKind("ServiceAccount"), parts: []part{{make: serviceAccount}}},
	{gvk: rbacv1.SchemeGroupVersion.WithKind("Role"), parts: []part{{make: role}}},
	{gvk: rbacv1.SchemeGroupVersion.WithKind("RoleBinding"), parts: []part{{make: roleBinding}}},
	{gvk: networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy"), parts: []part{{make: networkPolicy}}},
	{gvk: Certificate, optional: true, parts: []part{{suffix: suffixTLS, wanted: wantsCertificate, make: certificate}}},
	{gvk: Service, parts: []part{{make: publicService}, {suffix: suffixSubmit, make: submitService}}},
	{gvk: Deployment, parts: []part{{make: deployment}}},
	{gvk: policyv1.SchemeGroupVersion.WithKind("PodDisruptionBudget"), parts: []part{{wanted: wantsBudget, make: disruptionBudget}}},
	{gvk: autoscalingv2.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler"), parts: []part{{wanted: wantsAutoscaler, make: autoscaler}}},
	{gvk: HTTPRoute, optional: true, parts: []part{{wanted: wantsRoute, make: route}}},
	{gvk: gatewayAPI.WithKind("BackendTLSPolicy"), optional: true, parts: []part{{wanted: wantsRoute, make: routeTLS}}},
	{gvk: monitoringv1.SchemeGroupVersion.WithKind(monitoringv1.ServiceMonitorsKind), optional: true, parts: []part{{make: serviceMonitor}}},
	{gvk: monitoringv1.SchemeGroupVersion.WithKind(monitoringv1.PrometheusRuleKind), optional: true, parts: []part{{make: prometheusRule}}},
}

// Kinds returns the kinds of all objects that gateways have: those every cluster has, and the others.
func Kinds() (always, optional []schema.GroupVersionKind) {
	for _, k := range kinds {
		if k.optional {
			optional = append(optional, k.gvk)
		} else {
			always = append(always, k.gvk)
		}
	}
	return always, optional
}
