package kubetest_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

func of(all []kubetest.Request, user string) []kubetest.Request {
	return slices.DeleteFunc(all, func(r kubetest.Request) bool { return r.User != user })
}
