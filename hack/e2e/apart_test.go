//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/hack/admintest"
	"github.com/calfed/calfed/hack/calendartest"
	"github.com/calfed/calfed/hack/e2e/peer/tally"
)

// Two releases, each for one namespace, the second without definitions: what is in each namespace becomes Ready by its own operator, which
// has no rights in the other's, nor in the cluster; and the two exchange messages. The file comes, with apart_readme_test.go, before those
// whose tests share a release, as one for all namespaces must not be there yet.
func TestReleasesForOneNamespaceEach(t *testing.T) {
	g := onGround(t)
	dumpIfFailed(t)
	g.none(t)
	t.Cleanup(func() {
		if err := g.uninstall(context.Background(), map[string]string{"calfed-south": "calfed", "calfed-north": "calfed"}); err != nil {
			t.Error(err)
		}
		left, err := g.tryKubectl(context.Background(), "", "get", "crd,clusterrole,clusterrolebinding", "--selector", "app.kubernetes.io/name=calfed", "--output", "name")
		if left != "" || err != nil {
			t.Errorf("uninstalled, it left %v\n%s", err, left)
		}
	})
	begin := time.Now()
	for _, name := range []string{"south", "north"} {
		g.namespace(t, name)
		g.namespace(t, "calfed-"+name)
	}
	g.helm(t, "install", "calfed", chart, "--namespace", "calfed-south", "--set", "watchNamespaces={south}")
	g.helm(t, "install", "calfed", chart, "--namespace", "calfed-north", "--set", "watchNamespaces={north},crds.install=false")
	south, north := g.apart(t, "south", "north"), g.apart(t, "north", "south")
	g.publishUntilReady(t, "south", "north")
	t.Logf("every resource of both is Ready %s after the first helm install began", since(begin))

	for _, names := range [][2]string{{"south", "north"}, {"north", "south"}} {
		g.confined(t, names[0], names[1])
	}
	for _, way := range [][2]*apart{{south, north}, {north, south}} {
		from, to := way[0], way[1]
		g.listening(t, g.serviceIP(t, from.name, "edge-submit")+":8080")
		g.reaches(t, from.name, "submit."+from.domain, "submit-token-of-"+from.name, "alice@"+from.domain, "bob@"+to.domain)
	}
	g.sends(t, south, north)
	g.sends(t, north, south)
}

// apart is what is in the namespace of one release.
type apart struct {
	name, domain string
	got          *tally.Tally // by its back end
}

// apart makes it: a gateway, a domain, a key, a policy.
func (g *ground) apart(t *testing.T, name, peer string) *apart {
	t.Helper()
	a := &apart{name: name, domain: name + ".example", got: &tally.Tally{}}
	backend := g.serve(t, a.got)
	t.Cleanup(backend.Close)

	g.Certificate(t, name, "edge-tls", "gw."+a.domain, "submit."+a.domain)
	private, _ := admintest.Key(t, "ed25519")
	g.Secret(t, name, "edge", map[string]string{"ca.crt": string(g.CA.PEM()), "private.key": private, "token": "submit-token-of-" + name})
	g.apply(t, strings.NewReplacer("{name}", name, "{peer}", peer, "{dns}", g.hostIP, "{backend}", backend.URL).Replace(`apiVersion: federation.calfed.dev/v1alpha1
kind: FederationGateway
metadata: {name: edge, namespace: {name}}
spec:
  host: gw.{name}.example
  tls: {type: Secret, secret: {name: edge-tls}}
  egress:
    backendCIDRs: &private ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]
    peerCIDRs: *private
    resolver: "{dns}:53"
    caBundleRef: {kind: Secret, name: edge, key: ca.crt}
---
apiVersion: federation.calfed.dev/v1alpha1
kind: FederatedDomain
metadata: {name: edge, namespace: {name}}
spec:
  domain: {name}.example
  gatewayRef: {name: edge}
  signing: {keys: [{name: edge}]}
  backend: {type: ISchedule, iSchedule: {url: "{backend}"}}
  submitters: [{name: tools, tokenRef: {name: edge, key: token}}]
---
apiVersion: federation.calfed.dev/v1alpha1
kind: DKIMKey
metadata: {name: edge, namespace: {name}}
spec:
  domain: {name}.example
  source: {type: Imported, imported: {selector: cal1, secretRef: {name: edge, key: private.key}}}
---
apiVersion: federation.calfed.dev/v1alpha1
kind: PeerPolicy
metadata: {name: edge, namespace: {name}}
spec: {peers: ["{peer}.example"], action: Allow}
`))
	g.Set(t, "gw."+a.domain, "A", g.serviceIP(t, name, "edge"))
	g.Set(t, "submit."+a.domain, "A", g.serviceIP(t, name, "edge-submit"))
	return a
}

// confined holds the operator of a namespace to its rights: all that its Role says, there and nowhere else.
func (g *ground) confined(t *testing.T, own, other string) {
	t.Helper()
	as := "system:serviceaccount:calfed-" + own + ":calfed"
	may := func(namespace, verb, group, resource string) bool {
		resource, sub, _ := strings.Cut(resource, "/")
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: as, Groups: []string{"system:serviceaccounts", "system:serviceaccounts:calfed-" + own, "system:authenticated"},
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: verb, Group: group, Resource: resource, Subresource: sub},
		}}
		if err := g.c.Create(t.Context(), review); err != nil {
			t.Fatal(err)
		}
		return review.Status.Allowed
	}
	var roles rbacv1.RoleList
	if err := g.c.List(t.Context(), &roles, client.InNamespace(own), client.MatchingLabels{"app.kubernetes.io/name": "calfed", "app.kubernetes.io/managed-by": "Helm"}); err != nil {
		t.Fatal(err)
	}
	asked := 0
	var wrong []string
	for _, role := range roles.Items {
		for _, rule := range role.Rules {
			if len(rule.ResourceNames) > 0 {
				continue
			}
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						asked++
						if !may(own, verb, group, resource) {
							wrong = append(wrong, fmt.Sprintf("not %s %s in %s", verb, resource, own))
						}
						for _, elsewhere := range []string{other, "calfed-" + other, "kube-system", ""} {
							if may(elsewhere, verb, group, resource) {
								wrong = append(wrong, fmt.Sprintf("%s %s in %q", verb, resource, elsewhere))
							}
						}
					}
				}
			}
		}
	}
	if asked < 30 || len(wrong) > 0 {
		t.Errorf("the operator of %s: %d rights, of which wrong: %v", own, asked, wrong)
	}
	out, _ := g.tryKubectl(t.Context(), "", "auth", "can-i", "list", "secrets", "--namespace", other, "--as", as)
	t.Logf("the operator of %s has its %d rights there, and in no other namespace; kubectl auth can-i list secrets --namespace %s: %s", own, asked, other, strings.TrimSpace(out))
}

// sends hands an invitation to the gateway of one namespace, for a user in the other, and looks whether it came.
func (g *ground) sends(t *testing.T, from, to *apart) {
	t.Helper()
	uid := "apart-from-" + from.name
	event := calendartest.Meeting(uid, "Apart", calendartest.Day, "alice@"+from.domain, "bob@"+to.domain)
	message, token := g.file(uid+".ics"), g.file(uid+".token")
	for file, data := range map[string]string{
		message: calendartest.Request(event),
		token:   "submit-token-of-" + from.name,
	} {
		if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := g.run(t, "send", message, "--to", "bob@"+to.domain, "--submit", "https://submit."+from.domain+":8080/", "--ca", g.file("ca.pem"), "--token-file", token)
	if got := to.got.Deliveries(); got[uid+" REQUEST"] != 1 {
		t.Errorf("%s got %v\n%s", to.name, got, out)
	}
}
