//go:build e2e

package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/gateway/snapshot"
)

// everyAccount is what Kubernetes lets each ServiceAccount do (system:basic-user), and no calfed.
var everyAccount = []string{
	"create selfsubjectaccessreviews.v1.authorization.k8s.io",
	"create selfsubjectreviews.v1.authentication.k8s.io",
	"create selfsubjectrulesreviews.v1.authorization.k8s.io",
}

// everyAccountPaths are the paths that it lets each ServiceAccount get: system:discovery, system:public-info-viewer and
// system:service-account-issuer-discovery.
var everyAccountPaths = []string{
	"/.well-known/openid-configuration", "/.well-known/openid-configuration/", "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez",
	"/openapi", "/openapi/*", "/openid/v1/jwks", "/openid/v1/jwks/", "/readyz", "/version", "/version/",
}

// A pod of a gateway faces the internet: whoever takes it over has its token, and with it the pod's own snapshot, which the pod has
// anyway.
func TestPodsTokenReadsItsSnapshotAlone(t *testing.T) {
	w := shared(t)
	const namespace, gateway, other = "west", "edge", "east"
	pod := w.running(t, namespace)[0]
	config := rest.AnonymousClientConfig(w.config)
	config.BearerToken = w.podToken(t, namespace, gateway, pod.Name)
	k, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	w.isTokenOf(t, config.BearerToken, "system:serviceaccount:"+namespace+":"+gateway, pod)

	s := &sweep{t: t, as: k, tried: map[access]bool{}}
	s.everything(w, namespace, other, systemNS, "kube-system", "default")
	s.whatDiscoveryHidesFrom(namespace)
	secrets := w.secretNames(t, namespace, gateway)
	for _, name := range secrets {
		s.add(access{resource: "secrets", version: "v1", namespace: namespace, name: name})
		s.add(access{resource: "secrets", version: "v1", namespace: other, name: name})
	}
	s.ask()

	want := slices.Clone(everyAccount)
	index := snapshot.IndexName(gateway)
	for _, verb := range []string{"get", "list", "watch"} {
		want = append(want, verb+" secrets.v1 "+namespace+"/"+index)
	}
	for i := range snapshot.Shards {
		want = append(want, "get secrets.v1 "+namespace+"/"+snapshot.ShardName(gateway, i))
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, s.allowed); diff != "" {
		t.Errorf("what the token of a pod may do: (-want +got)\n%s", diff)
	}
	checkRules(t, k, namespace, gateway)
	t.Logf("asked of the token of pod %s: %d combinations of verb, resource, namespace and name, %d Secrets by name among them; allowed %d: %d of its snapshot, and\n%s",
		pod.Name, len(s.tried), len(secrets), len(s.allowed), len(s.allowed)-len(everyAccount), strings.Join(everyAccount, "\n"))
	s.checkWrites(namespace)
	s.checkReads(namespace, other, gateway, secrets)
}

// isTokenOf has the API server say whose token it is.
func (g *ground) isTokenOf(t *testing.T, token, user string, pod corev1.Pod) {
	t.Helper()
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}
	if err := g.c.Create(t.Context(), review); err != nil {
		t.Fatal(err)
	}
	who := review.Status.User
	if !review.Status.Authenticated || who.Username != user || !slices.Equal(who.Extra["authentication.kubernetes.io/pod-uid"], []string{string(pod.UID)}) {
		t.Fatalf("the token is not that of pod %s: %+v", pod.Name, review.Status)
	}
	t.Logf("the pod speaks as %s, groups %s", who.Username, strings.Join(who.Groups, ", "))
}

// secretNames are those of all Secrets of a namespace, all that the gateway may ever read, and one that is not there.
func (g *ground) secretNames(t *testing.T, namespace, gateway string) []string {
	t.Helper()
	var list corev1.SecretList
	if err := g.c.List(t.Context(), &list, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	out := []string{snapshot.IndexName(gateway), snapshot.ShardName(gateway, snapshot.Shards), "none"}
	for i := range snapshot.Shards {
		out = append(out, snapshot.ShardName(gateway, i))
	}
	for _, s := range list.Items {
		out = append(out, s.Name)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// checkRules holds what the API server says of all rules that apply in a namespace against what is meant: no wildcard is among them.
func checkRules(t *testing.T, as kubernetes.Interface, namespace, gateway string) {
	t.Helper()
	review, err := as.AuthorizationV1().SelfSubjectRulesReviews().Create(t.Context(), &authorizationv1.SelfSubjectRulesReview{
		Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var got, paths []string
	for _, r := range review.Status.ResourceRules {
		slices.Sort(r.Resources)
		slices.Sort(r.Verbs)
		names := "any"
		if n := len(r.ResourceNames); n > 0 {
			names = fmt.Sprintf("%s … %s (%d)", r.ResourceNames[0], r.ResourceNames[n-1], n)
		}
		got = append(got, fmt.Sprintf("%v %v %v %s", r.Verbs, r.Resources, r.APIGroups, names))
	}
	for _, r := range review.Status.NonResourceRules {
		if !slices.Equal(r.Verbs, []string{"get"}) {
			t.Errorf("%v on %v", r.Verbs, r.NonResourceURLs)
		}
		paths = append(paths, r.NonResourceURLs...)
	}
	slices.Sort(paths)
	slices.Sort(got)
	want := []string{
		"[create] [selfsubjectaccessreviews selfsubjectrulesreviews] [authorization.k8s.io] any",
		"[create] [selfsubjectreviews] [authentication.k8s.io] any",
		fmt.Sprintf("[get list watch] [secrets] [] %s … %[1]s (1)", snapshot.IndexName(gateway)),
		fmt.Sprintf("[get] [secrets] [] %s … %s (%d)", snapshot.ShardName(gateway, 0), snapshot.ShardName(gateway, snapshot.Shards-1), snapshot.Shards),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the rules that apply to pods: (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(everyAccountPaths, slices.Compact(paths)); diff != "" {
		t.Errorf("the paths that pods may get: (-want +got)\n%s", diff)
	}
}
