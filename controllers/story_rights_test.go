package controllers

import (
	"os"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/calfed/calfed/controllers/kubetest"
)

const account = "calfed-manager"

// asManager gives a ServiceAccount exactly the rules that are generated from the code, and returns who it is.
func asManager(t *testing.T, c *kubetest.Cluster, namespace string) (*rest.Config, rbacv1.ClusterRole) {
	t.Helper()
	text, err := os.ReadFile("../config/rbac/role.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var role rbacv1.ClusterRole
	if err := yaml.UnmarshalStrict(text, &role); err != nil {
		t.Fatal(err)
	}
	for _, o := range []client.Object{
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account}},
		role.DeepCopy(),
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: role.Name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account}},
		},
	} {
		if err := c.Client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	return c.As(t, namespace, account), role
}

// right is what a rule allows, and what a request needs.
type right struct{ group, resource, verb string }

func (r right) String() string { return r.verb + " " + r.resource + "." + r.group }

// checkRules holds what was asked against what is allowed: nothing without a rule, and every right of every rule was used.
func checkRules(t *testing.T, role rbacv1.ClusterRole, requests []kubetest.Request, user string) {
	t.Helper()
	allowed := map[right]bool{}
	for _, rule := range role.Rules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					if slices.Contains([]string{group, resource, verb}, "*") {
						t.Errorf("a rule with a wildcard: %v", rule)
					}
					allowed[right{group, resource, verb}] = true
				}
			}
		}
	}
	used := map[right]bool{}
	for _, r := range requests {
		if r.User != user {
			continue
		}
		resource := r.Resource
		if r.Subresource != "" {
			resource += "/" + r.Subresource
		}
		need := right{r.Group, resource, r.Verb}
		used[need] = true
		if !allowed[need] {
			t.Errorf("asked for without a rule: %s (%s/%s)", need, r.Namespace, r.Name)
		}
	}
	if len(used) == 0 {
		t.Fatalf("no request of %s in the audit log", user)
	}
	for r := range allowed {
		if !used[r] {
			t.Errorf("a right that nothing uses: %s", r)
		}
	}
}
