package controllers

import (
	"context"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/infra"
	"github.com/calfed/calfed/controllers/keylife"
	"github.com/calfed/calfed/controllers/kubetest"
	"github.com/calfed/calfed/controllers/podtls"
)

// What has the name of an object of ours and is somebody else's is left as it is, labelled like ours or not.
func TestObjectsOfOthersAreNotTouched(t *testing.T) {
	t.Parallel()
	c := kubetest.New(t, kubetest.Options{}) // without a garbage collector, which would take what has an owner that never was
	owner := []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "other", UID: "0a0a0a0a-0000-0000-0000-000000000000", Controller: new(true)}}
	for name, foreign := range map[string]client.Object{
		"Service":               &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "edge-submit"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}},
		"Service, like ours":    &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "edge", Labels: infra.Labels("edge")}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}},
		"Role, owned":           &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "edge", OwnerReferences: owner}},
		"Secret":                &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "edge-status"}, Data: map[string][]byte{"a": []byte("b")}},
		"Secret, like ours":     &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "edge-status-ca", Labels: map[string]string{keylife.LabelOwned: ownedStatusTLS}}},
		"ServiceAccount, bound": &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "edge"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newGatewayRig(t, c)
			foreign.SetNamespace(r.ns)
			if err := r.Create(t.Context(), foreign); err != nil {
				t.Fatal(err)
			}
			version := foreign.GetResourceVersion()
			gw := r.gateway(t)
			message := r.becomes(t, gw, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonConflict)
			if !strings.Contains(message, foreign.GetName()) || !strings.Contains(message, "delete it") {
				t.Errorf("the message does not say what and what to do: %s", message)
			}
			if err := r.Get(t.Context(), client.ObjectKeyFromObject(foreign), foreign); err != nil || foreign.GetResourceVersion() != version {
				t.Errorf("it was touched: %v", err)
			}
			if err := r.Delete(t.Context(), foreign); err != nil {
				t.Fatal(err)
			}
			r.touch(t, gw, "it is gone")
			r.becomes(t, gw, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
		})
	}
}

// Whoever changes what we say is put right; what we say nothing about is theirs.
func TestDriftIsPutBack(t *testing.T) {
	t.Parallel()
	r := newGatewayRig(t, kubetest.Shared(t))
	gw := r.gateway(t)
	r.becomesMade(t, everyGatewayHas)
	key := client.ObjectKey{Namespace: r.ns, Name: "edge"}

	patch := func(o client.Object, json string) {
		t.Helper()
		o.SetNamespace(r.ns)
		if err := r.Patch(t.Context(), o, client.RawPatch("application/strategic-merge-patch+json", []byte(json))); err != nil {
			t.Fatal(err)
		}
	}
	edge := metav1.ObjectMeta{Name: "edge"}
	patch(&appsv1.Deployment{ObjectMeta: edge}, `{"metadata":{"annotations":{"example.org/note":"theirs"}},"spec":{"minReadySeconds":3,"template":{"spec":{"containers":[{"name":"gateway","image":"evil"}]}}}}`)
	r.eventually(t, "the image is put back", func(ctx context.Context) bool {
		d := r.deployment(t)
		return d.Spec.Template.Spec.Containers[0].Image == "registry.example.org/calfed:v1" && d.Spec.MinReadySeconds == 3 && d.Annotations["example.org/note"] == "theirs"
	})

	// a label moves no generation
	policy := &networkingv1.NetworkPolicy{ObjectMeta: edge}
	patch(policy, `{"metadata":{"labels":{"app.kubernetes.io/name":"other"}}}`)
	r.eventually(t, "the label of the NetworkPolicy is put back", func(ctx context.Context) bool {
		return r.Get(ctx, key, policy) == nil && policy.Labels["app.kubernetes.io/name"] == "calfed"
	})

	patch(&corev1.Service{ObjectMeta: edge}, `{"metadata":{"labels":{"app.kubernetes.io/managed-by":null}}}`)
	r.eventually(t, "the label is put back", func(ctx context.Context) bool {
		s := &corev1.Service{}
		return r.Get(ctx, key, s) == nil && s.Labels[labelManagedBy] == "calfed"
	})

	role := &rbacv1.Role{}
	if err := r.Get(t.Context(), key, role); err != nil {
		t.Fatal(err)
	}
	role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"*"}})
	if err := r.Update(t.Context(), role); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, "the rule is taken away", func(ctx context.Context) bool {
		return r.Get(ctx, key, role) == nil && len(role.Rules) == 2
	})

	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: "edge"}}
	if err := r.Get(t.Context(), key, account); err != nil {
		t.Fatal(err)
	}
	old := account.UID
	if err := r.Delete(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, "the account is there again", func(ctx context.Context) bool {
		return r.Get(ctx, key, account) == nil && account.UID != old
	})
	patch(&corev1.ServiceAccount{ObjectMeta: edge}, `{"imagePullSecrets":[{"name":"registry"}]}`)

	putBack := []string{"Deployment edge", "NetworkPolicy edge", "Role edge", "Service edge", "ServiceAccount edge"}
	r.becomesTold(t, "PutBack", putBack...)
	r.touch(t, gw, "nothing was changed")
	r.settled(t, gw)
	r.becomesTold(t, "PutBack", putBack...)
	if err := r.Get(t.Context(), key, account); err != nil || len(account.ImagePullSecrets) != 1 {
		t.Errorf("what pods pull their image with is gone: %v %v", account.ImagePullSecrets, err)
	}

	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: "edge-status"}}
	if err := r.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil {
		t.Fatal(err)
	}
	secret.Data[corev1.TLSPrivateKeyKey], secret.Labels = []byte("nonsense"), nil
	if err := r.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, "the certificate is good again", func(ctx context.Context) bool {
		return r.Get(ctx, client.ObjectKeyFromObject(secret), secret) == nil && podtls.Pair{Certificate: secret.Data[corev1.TLSCertKey], Key: secret.Data[corev1.TLSPrivateKeyKey]}.Fits() &&
			secret.Labels[keylife.LabelOwned] == ownedStatusTLS
	})
}

// Two that do not agree do not wear out the API server: who is put right again and again has his way for ever longer.
func TestStubbornWritersAreMetWithPatience(t *testing.T) {
	t.Parallel()
	r := newGatewayRig(t, kubetest.Shared(t))
	gw := r.gateway(t)
	r.becomesMade(t, everyGatewayHas)
	evil := func() {
		t.Helper()
		d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: "edge"}}
		if err := r.Patch(t.Context(), d, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"revisionHistoryLimit":9}}`))); err != nil {
			t.Fatal(err)
		}
	}
	limit := func() int32 { return *r.deployment(t).Spec.RevisionHistoryLimit }
	evil()
	r.eventually(t, "it is put back at once", func(context.Context) bool { return limit() == 3 })
	for wait := putBackSoon; wait < 20*putBackSoon; wait *= 2 {
		evil()
		r.touch(t, gw, "look at "+wait.String())
		r.settled(t, gw)
		if limit() != 9 {
			t.Errorf("it is put back before %v are over", wait)
		}
		r.clock.Step(wait)
		r.touch(t, gw, "look again after "+wait.String())
		r.eventually(t, "it is put back after "+wait.String(), func(context.Context) bool { return limit() == 3 })
	}

	evil()
	r.annotate(t, gw, v1alpha1.AnnotationResetBackoff, strings.Repeat("ü", 300))
	r.eventually(t, "it is put back when the annotation asks", func(context.Context) bool { return limit() == 3 })
	r.eventually(t, "the status has the echo", func(ctx context.Context) bool {
		return r.Get(ctx, client.ObjectKeyFromObject(gw), gw) == nil && gw.Status.ResetBackoffRequestedAt == strings.Repeat("ü", 256)
	})
	r.settled(t, gw)
	evil()
	r.touch(t, gw, "once is once")
	r.settled(t, gw)
	if limit() != 9 {
		t.Error("the annotation is obeyed twice")
	}
}

// What the API server does not take is said, and only an edit helps.
func TestAnInvalidPodTemplateStalls(t *testing.T) {
	t.Parallel()
	r := newGatewayRig(t, kubetest.Shared(t))
	gw := r.gateway(t, func(gw *v1alpha1.FederationGateway) {
		gw.Spec.PodTemplate = &v1alpha1.PodTemplate{Metadata: &v1alpha1.PodMetadata{Labels: map[string]string{"team": "not a label!"}}}
	})
	message := r.becomes(t, gw, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonInvalidValue)
	if !strings.Contains(message, "not a label!") {
		t.Errorf("the message does not say what is wrong: %s", message)
	}
	r.becomes(t, gw, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonInvalidValue)
	r.edit(t, gw, func(gw *v1alpha1.FederationGateway) { gw.Spec.PodTemplate = nil })
	r.becomes(t, gw, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	if err := r.Get(t.Context(), client.ObjectKeyFromObject(gw), &appsv1.Deployment{}); apierrors.IsNotFound(err) {
		t.Error("there is no Deployment")
	}
}
