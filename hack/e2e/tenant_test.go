//go:build e2e

package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/hack/deploytest"
)

// tenant is a user who may do everything with our kinds, Secrets and ConfigMaps in the namespace of his name, and nothing elsewhere.
type tenant struct {
	*ground
	name string
	c    client.Client // as he
}

const tenantManifest = `
{apiVersion: v1, kind: Namespace, metadata: {name: %[1]s, labels: {calfed.test/e2e: "", pod-security.kubernetes.io/enforce: restricted, lives-in: %[2]s}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: tenant, namespace: %[1]s}
rules:
- apiGroups: [federation.calfed.dev]
  resources: [federationgateways, federateddomains, dkimkeys, peerpolicies]
  verbs: ["*"]
- apiGroups: [""]
  resources: [secrets, configmaps]
  verbs: ["*"]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: tenant, namespace: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: tenant}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %[1]s}]
`

// tenant makes one whose namespace has a label. Who calls deletes it.
func (g *ground) tenant(t *testing.T, name, livesIn string) *tenant {
	t.Helper()
	g.apply(t, fmt.Sprintf(tenantManifest, name, livesIn))
	config := rest.CopyConfig(g.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: []string{"system:authenticated"}}
	c, err := client.New(config, client.Options{Scheme: g.c.Scheme(), Mapper: g.c.RESTMapper()})
	if err != nil {
		t.Fatal(err)
	}
	return &tenant{ground: g, name: name, c: c}
}

// apply applies a manifest as the tenant, into his namespace.
func (n *tenant) apply(t *testing.T, manifest string) {
	t.Helper()
	for _, u := range deploytest.Objects(t, manifest) {
		u.SetNamespace(n.name)
		var err error
		n.until(t, n.name+" may apply "+u.GetKind()+" "+u.GetName(), func() string { return openOr(err) }, func(ctx context.Context) bool {
			err = n.c.Apply(ctx, client.ApplyConfigurationFromUnstructured(u.DeepCopy()), client.FieldOwner("git"), client.ForceOwnership)
			return !apierrors.IsForbidden(err) // the API server hears of a new RoleBinding a little later
		})
		if err != nil {
			t.Fatalf("%s: apply %s %s: %v", n.name, u.GetKind(), u.GetName(), err)
		}
	}
}

func (n *tenant) secret(t *testing.T, name string, data map[string]string) {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]string{"name": name}, "stringData": data,
	})
	if err != nil {
		t.Fatal(err)
	}
	n.apply(t, string(text))
}

// delete deletes an object of ours, and waits until it is gone.
func (n *tenant) delete(t *testing.T, kind, name string) {
	t.Helper()
	u := n.object(kind, name)
	if err := client.IgnoreNotFound(n.c.Delete(t.Context(), u)); err != nil {
		t.Fatal(err)
	}
	n.until(t, kind+" "+name+" is gone", func() string { return "" }, func(ctx context.Context) bool {
		return apierrors.IsNotFound(n.c.Get(ctx, client.ObjectKeyFromObject(u), u))
	})
}

func (n *tenant) object(kind, name string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	u.SetNamespace(n.name)
	u.SetName(name)
	return u
}

// sees waits until the tenant sees a condition of one of his objects, as it is now, with the status and the reason, and shows it.
func (n *tenant) sees(t *testing.T, kind, name, condition, status, reason string) string {
	t.Helper()
	var last []metav1.Condition
	var message string
	n.until(t, fmt.Sprintf("%s sees %s=%s, %s, of %s %s", n.name, condition, status, reason, kind, name), func() string { return fmt.Sprintf("%+v", last) }, func(ctx context.Context) bool {
		u := n.object(kind, name)
		if n.c.Get(ctx, client.ObjectKeyFromObject(u), u) != nil {
			return false
		}
		last = conditionsOf(u)
		c := apimeta.FindStatusCondition(last, condition)
		if c == nil || c.ObservedGeneration != u.GetGeneration() || string(c.Status) != status || c.Reason != reason {
			return false
		}
		message = c.Message
		return true
	})
	t.Logf("%s sees of %s %s: %s=%s %s: %s", n.name, kind, name, condition, status, reason, message)
	return message
}

func conditionsOf(u *unstructured.Unstructured) []metav1.Condition {
	var object struct {
		Status struct{ Conditions []metav1.Condition }
	}
	raw, _ := json.Marshal(u.Object)
	_ = json.Unmarshal(raw, &object)
	return object.Status.Conditions
}

// mayNot fails unless the API server refused the tenant.
func (n *tenant) mayNot(t *testing.T, what string, err error) {
	t.Helper()
	if !apierrors.IsForbidden(err) {
		t.Errorf("%s may %s: %v", n.name, what, err)
	}
}
