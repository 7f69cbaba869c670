package infra

import (
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/calfed/calfed/api/v1alpha1"
)

// What follows the gateway's name in the names of its objects.
const (
	suffixTLS      = "-tls"
	suffixSubmit   = "-submit"
	suffixStatus   = "-status"
	suffixStatusCA = "-status-ca"
)

// TLSSecret is the Secret into which cert-manager writes the certificate of a gateway.
func TLSSecret(gateway string) string { return gateway + suffixTLS }

// StatusSecret holds what the pods' status listener shows and trusts: tls.crt, tls.key and ca.crt.
func StatusSecret(gateway string) string { return gateway + suffixStatus }

// StatusCASecret holds the authority of a gateway's status listeners, tls.crt and tls.key. No pod can read it.
func StatusCASecret(gateway string) string { return gateway + suffixStatusCA }

// Labels of everything that is made for a gateway.
func Labels(gateway string) map[string]string {
	return merged(PodLabels(gateway), map[string]string{"app.kubernetes.io/managed-by": "calfed"})
}

// PodLabels are those by which the pods of a gateway are found. They never change: a Deployment's selector cannot.
func PodLabels(gateway string) map[string]string {
	return map[string]string{
		"app.kubernetes.io/name":      "calfed",
		"app.kubernetes.io/instance":  gateway,
		"app.kubernetes.io/component": "gateway",
	}
}

// merged is a with b, which wins.
func merged(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, b)
	return out
}

func podSelector(gw *v1alpha1.FederationGateway) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: PodLabels(gw.Name)}
}

// Owner refers to the gateway.
func Owner(gw *v1alpha1.FederationGateway) metav1.OwnerReference {
	return v1alpha1.OwnedBy(v1alpha1.KindFederationGateway, gw)
}

func owner(gw *v1alpha1.FederationGateway) []metav1.OwnerReference {
	return []metav1.OwnerReference{Owner(gw)}
}
