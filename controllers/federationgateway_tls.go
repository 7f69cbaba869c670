package controllers

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/infra"
	"github.com/calfed/calfed/controllers/keylife"
	"github.com/calfed/calfed/controllers/podtls"
)

// ownedStatusTLS is the value of the label calfed.dev/owned on the Secrets of status listeners.
const ownedStatusTLS = "status-tls"

const dataCA = "ca.crt" // in the Secret of the pods: what they trust

// authorityIn reads the Secret infra.StatusCASecret.
func authorityIn(s *corev1.Secret) podtls.Authority {
	return podtls.Authority{Certificate: s.Data[corev1.TLSCertKey], Key: s.Data[corev1.TLSPrivateKeyKey]}
}

// keepStatusTLS sees to it that the pods' status listeners have a certificate, and renews it and its authority in time.
func (r *gateways) keepStatusTLS(ctx context.Context, gw *v1alpha1.FederationGateway, now time.Time, seen *gatewaySeen) error {
	ca, err := r.keepSecret(ctx, gw, infra.StatusCASecret(gw.Name), seen, func(data map[string][]byte) (map[string][]byte, error) {
		a := podtls.Authority{Certificate: data[corev1.TLSCertKey], Key: data[corev1.TLSPrivateKeyKey]}
		if a.RenewAfter(a.Certificate).After(now) && podtls.Pair(a).Fits() {
			return data, nil
		}
		a, err := podtls.NewAuthority(gw.Namespace, gw.Name, now)
		return map[string][]byte{corev1.TLSCertKey: a.Certificate, corev1.TLSPrivateKeyKey: a.Key}, err
	})
	if err != nil || ca == nil {
		return err
	}
	authority := authorityIn(ca)
	pods, err := r.keepSecret(ctx, gw, infra.StatusSecret(gw.Name), seen, func(data map[string][]byte) (map[string][]byte, error) {
		has := podtls.Pair{Certificate: data[corev1.TLSCertKey], Key: data[corev1.TLSPrivateKeyKey]}
		if authority.RenewAfter(has.Certificate).After(now) && has.Fits() &&
			bytes.Equal(data[dataCA], authority.Certificate) {
			return data, nil
		}
		p, err := authority.Server(gw.Namespace, gw.Name, now)
		return map[string][]byte{corev1.TLSCertKey: p.Certificate, corev1.TLSPrivateKeyKey: p.Key, dataCA: authority.Certificate}, err
	})
	if err != nil || pods == nil {
		return err
	}
	for _, certificate := range [][]byte{authority.Certificate, pods.Data[corev1.TLSCertKey]} {
		seen.lookAgain(authority.RenewAfter(certificate).Sub(now))
	}
	return nil
}

// keepSecret makes a Secret what next makes of its data. It returns nil when the name is somebody else's.
func (r *gateways) keepSecret(ctx context.Context, gw *v1alpha1.FederationGateway, name string, seen *gatewaySeen, next func(data map[string][]byte) (map[string][]byte, error)) (*corev1.Secret, error) {
	key := client.ObjectKey{Namespace: gw.Namespace, Name: name}
	s := &corev1.Secret{}
	err := r.owned.Get(ctx, key, s)
	if apierrors.IsNotFound(err) { // not there, or without our label
		err = r.live.Get(ctx, key, s)
	}
	isNew := apierrors.IsNotFound(err)
	switch {
	case isNew:
		s = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: gw.Namespace, Name: name}, Type: corev1.SecretTypeTLS}
		s.OwnerReferences = []metav1.OwnerReference{infra.Owner(gw)}
	case err != nil:
		return nil, err
	case !ownedBy(s, gw):
		seen.refuse(v1alpha1.ReasonConflict, fmt.Sprintf("Secret %q is there already and not this gateway's: delete it, or give the gateway another name", name))
		seen.lookAgain(retryForeign)
		return nil, nil
	}
	data, err := next(s.Data)
	if err != nil {
		return nil, fmt.Errorf("Secret %s: %w", name, err)
	}
	labels := maps.Clone(s.Labels)
	if s.Labels == nil {
		s.Labels = map[string]string{}
	}
	maps.Copy(s.Labels, infra.Labels(gw.Name))
	s.Labels[keylife.LabelOwned] = ownedStatusTLS
	if !isNew && maps.EqualFunc(data, s.Data, bytes.Equal) && maps.Equal(labels, s.Labels) {
		return s, nil
	}
	s.Data = data
	if isNew {
		err = r.client.Create(ctx, s, client.FieldOwner(fieldOwner))
	} else {
		err = r.client.Update(ctx, s, client.FieldOwner(fieldOwner)) // of this version only
	}
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return nil, nil
	}
	return s, err
}
