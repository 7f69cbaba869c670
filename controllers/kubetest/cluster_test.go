package kubetest_test

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/kubetest"
)

// eventually waits until f holds; it fails the test after a minute.
func eventually(t *testing.T, what string, f func(ctx context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, func(ctx context.Context) (bool, error) { return f(ctx), nil })
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func TestSharedKnowsOurKindsAndNeighbours(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	key := &v1alpha1.DKIMKeyList{}
	if err := c.Client.List(t.Context(), key, client.InNamespace(ns)); err != nil {
		t.Error(err)
	}
	endpoints := &unstructured.UnstructuredList{}
	endpoints.SetAPIVersion("externaldns.k8s.io/v1alpha1")
	endpoints.SetKind("DNSEndpointList")
	if err := c.Client.List(t.Context(), endpoints, client.InNamespace(ns)); err != nil {
		t.Error(err)
	}
	out := c.Kubectl(t, "", "api-resources", "-o", "name")
	for _, want := range []string{
		"federationgateways.federation.calfed.dev", "httproutes.gateway.networking.k8s.io", "certificates.cert-manager.io",
		"servicemonitors.monitoring.coreos.com", "prometheusrules.monitoring.coreos.com", "dnsendpoints.externaldns.k8s.io",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("kubectl api-resources has no %s", want)
		}
	}
}

func TestNamespaceDeletionCompletes(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	c.Kubectl(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: inside}\n", "apply", "-n", ns, "-f", "-")
	c.Kubectl(t, "", "delete", "namespace", ns, "--wait=false")
	eventually(t, "the namespace is still there", func(ctx context.Context) bool {
		return apierrors.IsNotFound(c.Client.Get(ctx, client.ObjectKey{Name: ns}, &corev1.Namespace{}))
	})
}

func TestAsIsBoundedByRBAC(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "reader"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"list"}}},
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "reader"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: ns, Name: "default"}},
	}
	for _, o := range []client.Object{role, binding} {
		if err := c.Client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	as, err := client.New(c.As(t, ns, "default"), client.Options{Scheme: c.Client.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a granted right is refused", func(ctx context.Context) bool {
		return as.List(ctx, &corev1.ConfigMapList{}, client.InNamespace(ns)) == nil
	})
	if err := as.List(t.Context(), &corev1.SecretList{}, client.InNamespace(ns)); !apierrors.IsForbidden(err) {
		t.Errorf("listing Secrets without the right: %v, want Forbidden", err)
	}
}

func TestRestartOfTheAPIServerKeepsData(t *testing.T) {
	c := kubetest.New(t, kubetest.Options{})
	ns := c.Namespace(t)
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "kept"}}
	if err := c.Client.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	c.StopAPIServer(t)
	if err := c.Client.Get(t.Context(), client.ObjectKeyFromObject(m), m); err == nil {
		t.Error("a stopped API server answers")
	}
	c.StartAPIServer(t)
	if err := c.Client.Get(t.Context(), client.ObjectKeyFromObject(m), m); err != nil {
		t.Error(err)
	}
	if err := c.Client.List(t.Context(), &v1alpha1.FederationGatewayList{}); err != nil {
		t.Error(err)
	}
}
