package controllers

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/controllers/infra"
	"github.com/calfed/calfed/controllers/keylife"
	"github.com/calfed/calfed/controllers/kubetest"
	"github.com/calfed/calfed/controllers/podtls"
)

func (r *gatewayRig) secret(t *testing.T, name string) *corev1.Secret {
	t.Helper()
	s := &corev1.Secret{}
	r.eventually(t, "there is a Secret "+name, func(ctx context.Context) bool {
		return r.Get(ctx, client.ObjectKey{Namespace: r.ns, Name: name}, s) == nil
	})
	return s
}

func TestStatusCertificatesAreRenewedInTime(t *testing.T) {
	t.Parallel()
	r := newGatewayRig(t, kubetest.Shared(t))
	gw := r.gateway(t)
	ca, pods := r.secret(t, infra.StatusCASecret("edge")), r.secret(t, infra.StatusSecret("edge"))
	for _, s := range []*corev1.Secret{ca, pods} {
		if s.Labels[keylife.LabelOwned] != ownedStatusTLS || s.Labels[labelInstance] != "edge" || !ownedBy(s, gw) {
			t.Errorf("Secret %s has labels %v and owners %v", s.Name, s.Labels, s.OwnerReferences)
		}
	}
	if bytes.Contains(pods.Data[dataCA], []byte("PRIVATE")) || !bytes.Equal(pods.Data[dataCA], ca.Data[corev1.TLSCertKey]) {
		t.Error("the pods' Secret does not hold the certificate of the authority, and that alone")
	}
	r.verifies(t, ca, pods)

	day := 24 * time.Hour
	steps := []struct {
		name           string
		after          time.Duration // the step before
		newCA, newPods bool
	}{
		{"after 59 days", 59 * day, false, false},
		{"two days later", 2 * day, false, true},
		{"after seven years", 7 * 365 * day, true, true},
	}
	for _, step := range steps {
		r.clock.Step(step.after)
		r.touch(t, gw, step.name)
		if step.newPods {
			old := pods.ResourceVersion
			r.eventually(t, step.name+" the certificate is renewed", func(ctx context.Context) bool {
				return r.secret(t, pods.Name).ResourceVersion != old
			})
		}
		r.settled(t, gw)
		ca2, pods2 := r.secret(t, ca.Name), r.secret(t, pods.Name)
		if got := ca2.ResourceVersion != ca.ResourceVersion; got != step.newCA {
			t.Errorf("%s the authority is new: %v, want %v", step.name, got, step.newCA)
		}
		if got := pods2.ResourceVersion != pods.ResourceVersion; got != step.newPods {
			t.Errorf("%s the pods' certificate is new: %v, want %v", step.name, got, step.newPods)
		}
		ca, pods = ca2, pods2
		r.verifies(t, ca, pods)
	}
}

// verifies checks the pods' certificate as a client would.
func (r *gatewayRig) verifies(t *testing.T, ca, pods *corev1.Secret) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.Data[corev1.TLSCertKey])
	block, _ := pem.Decode(pods.Data[corev1.TLSCertKey])
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: podtls.ServerName(r.ns, "edge"), CurrentTime: r.clock.Now()}); err != nil {
		t.Error(err)
	}
}
