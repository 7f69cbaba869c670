package infra

import (
	"cmp"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
)

// The pods' listeners: names of the ports, and numbers. Unprivileged ones: the pods have no capabilities.
const (
	portPublic = "https"
	portSubmit = "submit"
	portSMTP   = "smtp"
	portAdmin  = "admin"
	portStatus = "status"

	numberPublic = 8443
	numberSubmit = 8080
	numberSMTP   = 2525
	numberAdmin  = 8081
	numberStatus = 8444
)

// publicService is where other organisations reach the pods.
func publicService(gw *v1alpha1.FederationGateway, _ Facts) client.Object {
	s := &corev1.Service{Spec: corev1.ServiceSpec{
		Type:     corev1.ServiceTypeClusterIP,
		Selector: PodLabels(gw.Name),
		Ports: []corev1.ServicePort{{
			Name: portPublic, Port: 443, TargetPort: intstr.FromString(portPublic),
			Protocol: corev1.ProtocolTCP, AppProtocol: new("https"),
		}},
	}}
	if gw.Spec.Exposure == nil || gw.Spec.Exposure.Service == nil {
		return s
	}
	e := gw.Spec.Exposure.Service
	s.Annotations = maps.Clone(e.Annotations)
	s.Spec.Type = cmp.Or(e.Type, s.Spec.Type)
	if s.Spec.Type != corev1.ServiceTypeClusterIP {
		// Local keeps the addresses of peers, which the limits per source need
		s.Spec.ExternalTrafficPolicy = cmp.Or(e.ExternalTrafficPolicy, corev1.ServiceExternalTrafficPolicyLocal)
	}
	return s
}

// submitService is for the calendar systems in the cluster, and for Prometheus.
func submitService(gw *v1alpha1.FederationGateway, _ Facts) client.Object {
	ports := []corev1.ServicePort{
		{Name: portSubmit, Port: numberSubmit, TargetPort: intstr.FromString(portSubmit), Protocol: corev1.ProtocolTCP},
		{Name: portAdmin, Port: numberAdmin, TargetPort: intstr.FromString(portAdmin), Protocol: corev1.ProtocolTCP},
	}
	if wantsSMTP(gw) {
		ports = append(ports, corev1.ServicePort{Name: portSMTP, Port: numberSMTP, TargetPort: intstr.FromString(portSMTP), Protocol: corev1.ProtocolTCP})
	}
	return &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, Selector: PodLabels(gw.Name), Ports: ports}}
}

func wantsSMTP(gw *v1alpha1.FederationGateway) bool {
	return gw.Spec.Submission != nil && gw.Spec.Submission.SMTP != nil
}
