package infra

import (
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/gateway/snapshot"
)

// serviceAccount is who the pods are. No token is mounted unasked: deployment asks for one.
func serviceAccount(*v1alpha1.FederationGateway, Facts) client.Object {
	return &corev1.ServiceAccount{AutomountServiceAccountToken: new(false)}
}

// role lets the pods read their own snapshot, Secret by Secret, and nothing else: they face the internet.
func role(gw *v1alpha1.FederationGateway, _ Facts) client.Object {
	shards := make([]string, snapshot.Shards)
	for i := range shards {
		shards[i] = snapshot.ShardName(gw.Name, i)
	}
	return &rbacv1.Role{Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{snapshot.IndexName(gw.Name)}, Verbs: []string{"get", "list", "watch"}},
		{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: shards, Verbs: []string{"get"}},
	}}
}

func roleBinding(gw *v1alpha1.FederationGateway, _ Facts) client.Object {
	return &rbacv1.RoleBinding{
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: gw.Name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: gw.Namespace, Name: gw.Name}},
	}
}
