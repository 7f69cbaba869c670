package infra

import (
	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
)

func wantsCertificate(gw *v1alpha1.FederationGateway) bool {
	return gw.Spec.TLS.Type == v1alpha1.TLSCertManager && gw.Spec.TLS.CertManager != nil
}

// certificate is that of the public listener. How long it is valid is for the issuer to say; it is renewed when a third of its
// life is left, with a new key.
func certificate(gw *v1alpha1.FederationGateway, _ Facts) client.Object {
	issuer := gw.Spec.TLS.CertManager.IssuerRef
	return &certmanagerv1.Certificate{Spec: certmanagerv1.CertificateSpec{
		SecretName:            TLSSecret(gw.Name),
		DNSNames:              []string{string(gw.Spec.Host)},
		IssuerRef:             cmmeta.IssuerReference{Name: issuer.Name, Kind: issuer.Kind, Group: issuer.Group},
		RenewBeforePercentage: new(int32(33)),
		RevisionHistoryLimit:  new(int32(1)),
		PrivateKey: &certmanagerv1.CertificatePrivateKey{
			Algorithm: certmanagerv1.ECDSAKeyAlgorithm, Size: 256, RotationPolicy: certmanagerv1.RotationPolicyAlways,
		},
		Usages: []certmanagerv1.KeyUsage{certmanagerv1.UsageDigitalSignature, certmanagerv1.UsageServerAuth},
	}}
}
