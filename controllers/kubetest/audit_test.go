package kubetest_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/controllers/kubetest"
)

func TestRequestsAreEachSaidOnce(t *testing.T) {
	c := kubetest.New(t, kubetest.Options{Audit: true})
	ns := c.Namespace(t)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "somebody"}}
	if err := c.Client.Create(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	as, err := client.NewWithWatch(c.As(t, ns, "somebody"), client.Options{Scheme: c.Client.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // refused, which is said as well
		_ = as.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "a"}, &corev1.Secret{})
		_ = as.List(t.Context(), &corev1.ConfigMapList{}, client.InNamespace(ns))
		_, _ = as.Watch(t.Context(), &corev1.ConfigMapList{}, client.InNamespace(ns))
	}
	_ = as.SubResource("token").Create(t.Context(), account, &authenticationv1.TokenRequest{})
	user := "system:serviceaccount:" + ns + ":somebody"
	want := []kubetest.Request{
		{User: user, Verb: "list", Resource: "configmaps", Namespace: ns},
		{User: user, Verb: "watch", Resource: "configmaps", Namespace: ns},
		{User: user, Verb: "get", Resource: "secrets", Namespace: ns, Name: "a"},
		{User: user, Verb: "create", Resource: "serviceaccounts", Subresource: "token", Namespace: ns, Name: "somebody"},
	}
	eventually(t, "requests are missing", func(context.Context) bool { return len(of(c.Requests(t), user)) >= len(want) })
	if diff := cmp.Diff(want, of(c.Requests(t), user)); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// The API server authorizes an apply as a patch and, where there is nothing yet, as a creation as well.
func TestAnApplyThatCreatesIsTwoRequests(t *testing.T) {
	c := kubetest.New(t, kubetest.Options{Audit: true})
	ns := c.Namespace(t)
	for account, tt := range map[string]struct {
		verbs   []string
		refused string
	}{
		"both":  {[]string{"patch", "create"}, ""},
		"patch": {[]string{"patch"}, "cannot create"},
	} {
		meta := metav1.ObjectMeta{Namespace: ns, Name: account}
		for _, o := range []client.Object{
			&corev1.ServiceAccount{ObjectMeta: meta},
			&rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: tt.verbs}}},
			&rbacv1.RoleBinding{
				ObjectMeta: meta,
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: account},
				Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: ns, Name: account}},
			},
		} {
			if err := c.Client.Create(t.Context(), o); err != nil {
				t.Fatal(err)
			}
		}
		as, err := client.New(c.As(t, ns, account), client.Options{Scheme: c.Client.Scheme()})
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the apply by "+account+" does not end as it should", func(ctx context.Context) bool {
			err := as.Apply(ctx, corev1ac.ConfigMap(account, ns), client.FieldOwner(account))
			return tt.refused == "" && err == nil || tt.refused != "" && err != nil && strings.Contains(err.Error(), tt.refused)
		})
		user := "system:serviceaccount:" + ns + ":" + account
		var want []string
		if tt.refused == "" {
			want = append(want, "create")
		}
		want = append(want, "patch")
		var got []string
		eventually(t, "requests by "+account+" are missing", func(context.Context) bool {
			got = nil
			for _, r := range of(c.Requests(t), user) {
				got = append(got, r.Verb)
			}
			return len(got) >= len(want)
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("requests by %s (-want +got):\n%s", account, diff)
		}
	}
}

func of(all []kubetest.Request, user string) []kubetest.Request {
	return slices.DeleteFunc(all, func(r kubetest.Request) bool { return r.User != user })
}
