package controllers

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/keylife"
	"github.com/calfed/calfed/controllers/publish"
	"github.com/calfed/calfed/controllers/publish/primarytest"
)

// objectsOfNeighbours has the gateway have everything that gateways can have, and then as little as they can.
func (w *world) objectsOfNeighbours() {
	w.t.Helper()
	w.make(&corev1.ConfigMap{ObjectMeta: w.meta("roots"), Data: map[string]string{"ca.crt": string(w.ca.PEM())}})
	gw := &v1alpha1.FederationGateway{ObjectMeta: w.meta("edge")}
	edit(w, gw, func(gw *v1alpha1.FederationGateway) {
		httpRoute(gw)
		gw.Spec.TLS = v1alpha1.GatewayTLS{Type: v1alpha1.TLSCertManager, CertManager: &v1alpha1.CertManager{IssuerRef: v1alpha1.IssuerRef{Name: "ca"}}}
		gw.Spec.Autoscaling = &v1alpha1.Autoscaling{MaxReplicas: 4}
		gw.Spec.Egress = &v1alpha1.Egress{CABundleRef: &v1alpha1.BundleRef{Kind: v1alpha1.BundleConfigMap, Name: "roots", Key: "ca.crt"}}
	})
	sometimes := []string{"BackendTLSPolicy edge", "Certificate edge-tls", "HTTPRoute edge", "HorizontalPodAutoscaler edge", "PodDisruptionBudget edge"}
	w.made(true, append(sometimes, "PrometheusRule edge", "ServiceMonitor edge")...)
	w.status(gw, func() []metav1.Condition { return gw.Status.Conditions }, v1alpha1.ConditionAccepted, metav1.ConditionTrue)
	edit(w, gw, func(gw *v1alpha1.FederationGateway) {
		gw.Spec.Exposure, gw.Spec.Autoscaling, gw.Spec.Replicas = nil, nil, new(int32(1))
		gw.Spec.TLS = v1alpha1.GatewayTLS{Type: v1alpha1.TLSSecret, Secret: &v1alpha1.SecretRef{Name: "edge-tls"}}
	})
	w.made(false, sometimes...)
}

// made waits until the gateway has all of these objects, or none of them.
func (w *world) made(want bool, names ...string) {
	w.t.Helper()
	rig := &gatewayRig{Client: w.Client, ns: w.ns}
	eventually(w.t, 2*patience, func(context.Context) string {
		made := rig.made(w.t)
		for _, name := range names {
			if slices.Contains(made, name) != want {
				return fmt.Sprintf("%s: want %t; there are %q", name, want, made)
			}
		}
		return ""
	})
}

// isThere waits until an object is there, or gone.
func (w *world) isThere(want bool, o client.Object) {
	w.t.Helper()
	eventually(w.t, 2*patience, func(ctx context.Context) string {
		err := w.Get(ctx, client.ObjectKeyFromObject(o), o)
		if client.IgnoreNotFound(err) != nil || apierrors.IsNotFound(err) == want {
			return fmt.Sprintf("%T %s: want it there %t: %v", o, o.GetName(), want, err)
		}
		return ""
	})
}

// endpointsForExternalDNS has records published by external-dns, and then not any more.
func (w *world) endpointsForExternalDNS() {
	w.t.Helper()
	d := w.plainDomain("one.example.org")
	d.Spec.Publish = &v1alpha1.Publish{Type: v1alpha1.PublishExternalDNS}
	w.make(d)
	endpoint := &unstructured.Unstructured{}
	endpoint.SetGroupVersionKind(publish.EndpointKind)
	endpoint.SetNamespace(d.Namespace)
	endpoint.SetName(d.Name)
	w.isThere(true, endpoint)
	edit(w, d, func(d *v1alpha1.FederatedDomain) { d.Spec.Publish = nil })
	w.isThere(false, endpoint)
}

// updatesOfNameServers has a key made and published by dynamic updates, once there is the Secret for them, another one asked for, and
// the records taken back from a server that is away at first.
func (w *world) updatesOfNameServers(primary *primarytest.Server) {
	w.t.Helper()
	d := w.plainDomain("two.example.org")
	d.Spec.Signing = &v1alpha1.Signing{Keys: []v1alpha1.KeyRef{{Name: "two"}}, Lookup: []v1alpha1.KeyLookupMethod{v1alpha1.LookupDNS}}
	d.Spec.Publish = &v1alpha1.Publish{Type: v1alpha1.PublishRFC2136, RFC2136: &v1alpha1.RFC2136{
		Server: primary.Addr(), TSIG: v1alpha1.TSIG{KeyName: tsigName, SecretRef: v1alpha1.SecretKeyRef{Name: "tsig", Key: "key"}},
	}}
	key := &v1alpha1.DKIMKey{ObjectMeta: w.meta("two"), Spec: v1alpha1.DKIMKeySpec{Domain: "two.example.org", Source: v1alpha1.KeySource{
		Type: v1alpha1.KeyGenerated, Generated: &v1alpha1.GeneratedKey{Algorithm: v1alpha1.AlgorithmEd25519},
	}}}
	ofDomain := func() []metav1.Condition { return d.Status.Conditions }
	w.make(key, d)
	w.status(d, ofDomain, v1alpha1.ConditionPublished, metav1.ConditionFalse) // said twice, which is one Event: see Accepted
	w.make(&corev1.Secret{ObjectMeta: w.meta("tsig"), Data: map[string][]byte{"key": []byte(tsigSecret)}})
	eventually(w.t, 2*patience, func(context.Context) string {
		if names := primary.Names(); len(names) != 2 { // where the domain's server is, and the key
			return fmt.Sprintf("the name server has %q", names)
		}
		return ""
	})
	edit(w, key, func(k *v1alpha1.DKIMKey) {
		metav1.SetMetaDataAnnotation(&k.ObjectMeta, v1alpha1.AnnotationRotate, "now")
	})
	eventually(w.t, patience, func(ctx context.Context) string {
		var list corev1.SecretList
		if err := w.List(ctx, &list, client.InNamespace(w.ns), client.MatchingLabels{keylife.LabelOwned: keylife.OwnedKey}); err != nil {
			return err.Error()
		}
		if !slices.ContainsFunc(list.Items, func(s corev1.Secret) bool { return s.Annotations[keylife.AnnotationRequest] == "now" }) {
			return fmt.Sprintf("%d keys, none of them asked for", len(list.Items))
		}
		return ""
	})
	primary.SetUnavailable(true)
	w.delete(d)
	w.status(d, ofDomain, v1alpha1.ConditionPublished, metav1.ConditionFalse)
	primary.SetUnavailable(false)
	w.isThere(false, d)
}
