package charts_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/kubetest"
	"github.com/calfed/calfed/hack/deploytest"
)

const (
	system = "calfed-system"
	ours   = "federation" // namespace of the resources

	// what the API server takes is 1 MiB, and a release's Secret grows with every definition
	maxRelease = 512 << 10
)

// resources are one of each kind; the domain publishes by RFC 2136, which is what has a finalizer.
const resources = `
apiVersion: federation.calfed.dev/v1alpha1
kind: FederationGateway
metadata: {name: edge, namespace: federation}
spec:
  host: calendar.example.org
  tls: {type: Secret, secret: {name: edge-tls}}
---
apiVersion: federation.calfed.dev/v1alpha1
kind: DKIMKey
metadata: {name: example-org, namespace: federation}
spec: {domain: example.org, source: {type: Generated, generated: {}}}
---
apiVersion: federation.calfed.dev/v1alpha1
kind: FederatedDomain
metadata: {name: example-org, namespace: federation, finalizers: [calfed.dev/dns]}
spec:
  domain: example.org
  gatewayRef: {name: edge}
  backend: {type: ISchedule, iSchedule: {url: "https://calendars.example.org/ischedule"}}
---
apiVersion: federation.calfed.dev/v1alpha1
kind: PeerPolicy
metadata: {name: everyone, namespace: federation}
spec: {peers: ["*"], action: Allow}
`

// rig is an API server that knows nothing of calfed but what helm brings.
type rig struct {
	*kubetest.Cluster
	kubeconfig string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{kubetest.New(t, kubetest.Options{}), filepath.Join(t.TempDir(), "kubeconfig")}
	config := r.Kubectl(t, "", "config", "view", "--raw", "--flatten")
	if err := os.WriteFile(r.kubeconfig, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	r.Kubectl(t, "", "delete", "-f", "../config/crd", "--wait")
	for _, ns := range []string{system, ours} {
		r.Kubectl(t, "", "create", "namespace", ns)
	}
	return r
}

// helm runs helm, which must succeed.
func (r *rig) helm(t *testing.T, args ...string) string {
	t.Helper()
	out, err := deploytest.Helm(t, r.kubeconfig, append(args, "--namespace", system)...)
	if err != nil {
		t.Fatalf("helm %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// versions returns the UID and the resourceVersion of everything of calfed there is, by kind and name.
func (r *rig) versions(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, kind := range []string{"crd", "clusterrole", "clusterrolebinding", "role", "rolebinding", "serviceaccount", "deployment", "service", "networkpolicy"} {
		r.add(t, out, kind, "--selector=app.kubernetes.io/name=calfed")
	}
	if r.known(t) {
		r.add(t, out, "fgw,fdom,dkey,ppol")
	}
	return out
}

func (r *rig) add(t *testing.T, to map[string]string, args ...string) {
	t.Helper()
	list := &unstructured.UnstructuredList{}
	text := r.Kubectl(t, "", append([]string{"get", "--all-namespaces", "--output=yaml"}, args...)...)
	if err := yaml.Unmarshal([]byte(text), list); err != nil {
		t.Fatal(err)
	}
	for _, u := range list.Items {
		to[u.GetKind()+" "+u.GetName()] = string(u.GetUID()) + " " + u.GetResourceVersion()
	}
}

func (r *rig) known(t *testing.T) bool {
	t.Helper()
	err := r.Client.List(t.Context(), &v1alpha1.FederationGatewayList{})
	if err != nil && !apimeta.IsNoMatchError(err) && client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	return err == nil
}

// custom are those of versions that are resources of ours.
func custom(versions map[string]string) map[string]string {
	out := map[string]string{}
	for name, version := range versions {
		switch kind, _, _ := strings.Cut(name, " "); kind {
		case v1alpha1.KindFederationGateway, v1alpha1.KindFederatedDomain, v1alpha1.KindDKIMKey, v1alpha1.KindPeerPolicy:
			out[name] = version
		}
	}
	return out
}

// established has all definitions served, so that resources can be applied.
func (r *rig) established(t *testing.T) {
	t.Helper()
	r.Kubectl(t, "", "wait", "crd", "--selector=app.kubernetes.io/name=calfed", "--for=condition=Established", "--timeout=30s")
}

func TestUpgradeFromThePreviousChart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	previous, err := filepath.Glob("testdata/previous/calfed-*.tgz")
	if err != nil || len(previous) != 1 {
		t.Fatalf("%v: %v", previous, err)
	}
	r.helm(t, "install", "calfed", previous[0])
	r.established(t)
	r.Kubectl(t, resources, "apply", "-f", "-")
	before := custom(r.versions(t))
	if len(before) != 4 {
		t.Fatalf("resources: %v", before)
	}

	r.helm(t, "upgrade", "calfed", "calfed")
	after := r.versions(t)
	if diff := cmp.Diff(before, custom(after)); diff != "" {
		t.Errorf("the upgrade touched resources: (-before +after)\n%s", diff)
	}
	for path, text := range definitions(t) {
		var want, got apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		if err := r.Client.Get(t.Context(), client.ObjectKeyFromObject(&want), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.Spec.Versions, got.Spec.Versions); diff != "" {
			t.Errorf("%s was not upgraded: (-config/crd +cluster)\n%s", path, diff)
		}
	}

	r.helm(t, "upgrade", "calfed", "calfed")
	if diff := cmp.Diff(after, r.versions(t)); diff != "" {
		t.Errorf("an upgrade to the same changed something: (-before +after)\n%s", diff)
	}
	r.checkReleaseSize(t)
}

// checkReleaseSize holds the Secrets in which helm keeps releases against what the API server takes.
func (r *rig) checkReleaseSize(t *testing.T) {
	t.Helper()
	var secrets corev1.SecretList
	if err := r.Client.List(t.Context(), &secrets, client.InNamespace(system), client.MatchingLabels{"owner": "helm"}); err != nil {
		t.Fatal(err)
	}
	if len(secrets.Items) != 3 {
		t.Errorf("%d revisions, want 3", len(secrets.Items))
	}
	for _, s := range secrets.Items {
		size := len(s.Data["release"])
		t.Logf("%s: %d bytes", s.Name, size)
		if size > maxRelease {
			t.Errorf("%s has %d bytes, more than %d", s.Name, size, maxRelease)
		}
	}
}

func TestReleaseGoesAndResourcesStay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.helm(t, "install", "calfed", "calfed")
	r.established(t)
	r.Kubectl(t, resources, "apply", "-f", "-")
	before := r.versions(t)

	out := r.helm(t, "uninstall", "calfed")
	if !strings.Contains(out, "kept due to the resource policy") {
		t.Errorf("helm does not say what it kept:\n%s", out)
	}
	left := r.versions(t)
	want := map[string]string{}
	for name, version := range before {
		if kind, _, _ := strings.Cut(name, " "); kind == "CustomResourceDefinition" || custom(before)[name] != "" {
			want[name] = version
		}
	}
	if diff := cmp.Diff(want, left); diff != "" {
		t.Errorf("(-want +left)\n%s", diff)
	}

	r.helm(t, "install", "calfed", "calfed") // the same name and namespace: it adopts what was left
	again := r.versions(t)
	if diff := cmp.Diff(custom(before), custom(again)); diff != "" {
		t.Errorf("resources changed: (-before +after)\n%s", diff)
	}
	if len(again) != len(before) {
		t.Errorf("%d objects, want %d", len(again), len(before))
	}

	r.helm(t, "uninstall", "calfed")
	out, err := deploytest.Helm(t, r.kubeconfig, "install", "other", "calfed", "--namespace", system)
	if err == nil || !strings.Contains(out, "cannot be imported into the current release") {
		t.Errorf("another release took over what is not its own: %v\n%s", err, out)
	}
	r.helm(t, "install", "other", "calfed", "--take-ownership")
	if diff := cmp.Diff(custom(before), custom(r.versions(t))); diff != "" {
		t.Errorf("resources changed: (-before +after)\n%s", diff)
	}
}

// Resources first, then the release, then the definitions: nothing is left. No operator runs here, so this is also the way out for
// one that is gone: the finalizer of a domain with published records is removed by hand, as the README says.
func TestUninstallLeavesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.helm(t, "install", "calfed", "calfed")
	r.established(t)
	r.Kubectl(t, resources, "apply", "-f", "-")

	r.Kubectl(t, "", "delete", "calfed", "--all", "--all-namespaces", "--wait=false")
	var stuck v1alpha1.FederatedDomain
	if err := r.Client.Get(t.Context(), client.ObjectKey{Namespace: ours, Name: "example-org"}, &stuck); err != nil {
		t.Fatal(err)
	}
	if stuck.DeletionTimestamp.IsZero() {
		t.Error("the domain is not being deleted")
	}
	r.helm(t, "uninstall", "calfed")
	r.Kubectl(t, "", "-n", ours, "patch", "fdom", "example-org", "--type=merge", "--patch", `{"metadata":{"finalizers":null}}`)
	if left := custom(r.versions(t)); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	r.Kubectl(t, "", "delete", "crd", "--selector=app.kubernetes.io/name=calfed", "--timeout=60s")
	if left := r.versions(t); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// What the notes tell to apply can be applied, in the namespace that they name.
func TestNotesCanBeFollowed(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, []byte(c.Kubectl(t, "", "config", "view", "--raw", "--flatten")), 0o600); err != nil {
		t.Fatal(err)
	}
	ns := c.Namespace(t)
	for name, tc := range map[string]struct {
		args  []string
		says  []string
		never []string
	}{
		"all namespaces": {
			says:  []string{"watches all namespaces", "create namespace federation", "-n federation describe fdom example-org"},
			never: []string{"crds.install=false", "Prometheus"},
		},
		"one namespace, and nothing else": {
			args:  with("watchNamespaces={"+ns+"}", "crds.install=false"),
			says:  []string{"watches " + ns, "-n " + ns + " apply", "crds.install=false"},
			never: []string{"create namespace"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"install", "calfed", "calfed", "--namespace", ns, "--dry-run=client", "--take-ownership"}, tc.args...)
			out, err := deploytest.Helm(t, kubeconfig, args...)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			_, notes, _ := strings.Cut(out, "\nNOTES:\n")
			for _, text := range tc.says {
				if !strings.Contains(notes, text) {
					t.Errorf("nothing says %q:\n%s", text, notes)
				}
			}
			for _, text := range tc.never {
				if strings.Contains(notes, text) {
					t.Errorf("it says %q:\n%s", text, notes)
				}
			}
			_, text, _ := strings.Cut(strings.ReplaceAll(notes, "\n  ", "\n"), "<<END\n") // it is indented
			manifest, _, found := strings.Cut(text, "\nEND\n")
			if !found {
				t.Fatalf("nothing to apply:\n%s", notes)
			}
			c.Kubectl(t, manifest, "-n", ns, "apply", "--validate=strict", "--dry-run=server", "-f", "-")
		})
	}
}
