// Package config_test builds the folders for kustomize, has a real API server take what comes out, and holds it against the Helm chart.
package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/calfed/calfed/controllers/kubetest"
	"github.com/calfed/calfed/hack/deploytest"
)

func TestMain(m *testing.M) {
	os.Exit(kubetest.Main(m))
}

// A real API server with the definitions of the neighbours takes all that is built, without a word about unknown fields. What each
// overlay is for is in it.
func TestAPIServerTakesEveryFolder(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	for _, ns := range []string{"calfed-system", "federation"} {
		c.Kubectl(t, "", "create", "namespace", ns)
	}
	for folder, holds := range map[string][]string{
		"crd":                   {"kind: CustomResourceDefinition"},
		"default":               {"kind: Deployment", "kind: ClusterRole", "kind: CustomResourceDefinition", "kind: Namespace"},
		"overlays/cert-manager": {"type: CertManager", "kind: Issuer"},
		"overlays/external-dns": {"type: ExternalDNS", "type: Generated", "interval: 2160h"},
		"overlays/gateway-api":  {"httpRoute:", "kind: Gateway"},
		"overlays/prometheus":   {"release: kube-prometheus-stack", "kind: ServiceMonitor"},
	} {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			manifest := deploytest.Kustomize(t, folder)
			for _, text := range holds {
				if !strings.Contains(manifest, text+"\n") {
					t.Errorf("no %q in it", text)
				}
			}
			out := c.Kubectl(t, manifest, "apply", "--server-side", "--force-conflicts", "--validate=strict", "--dry-run=server", "-f", "-")
			if took, want := strings.Count(out, "(server dry run)"), len(deploytest.Objects(t, manifest)); took != want {
				t.Errorf("took %d of %d objects:\n%s", took, want, out)
			}
		})
	}
}

// config/default and the Helm chart with its defaults are the same operator.
func TestDefaultIsWhatTheChartMakes(t *testing.T) {
	t.Parallel()
	want, got := contents(t, deploytest.Chart(t, "calfed-system")), contents(t, deploytest.Kustomize(t, "default"))
	delete(got, "Namespace calfed-system") // helm makes it with --create-namespace
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-chart +config/default)\n%s", diff)
	}
}

// contents are the objects of a manifest without labels and annotations, by kind and name, save definitions, which the tests of
// the chart look at. Names of ClusterRoles differ: a chart may be installed twice.
func contents(t *testing.T, manifest string) map[string]any {
	t.Helper()
	out := map[string]any{}
	for _, u := range deploytest.Objects(t, manifest) {
		if u.GetKind() == "CustomResourceDefinition" {
			continue
		}
		u.SetLabels(nil)
		u.SetAnnotations(nil)
		if strings.HasPrefix(u.GetKind(), "ClusterRole") {
			u.SetName("manager")
		}
		if u.GetKind() == "ClusterRoleBinding" {
			if err := unstructured.SetNestedField(u.Object, "manager", "roleRef", "name"); err != nil {
				t.Fatal(err)
			}
		}
		out[u.GetKind()+" "+u.GetName()] = u.Object
	}
	return out
}

// An image that is set in config/default is that of gateway pods too.
func TestImageOfGatewaysFollows(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, folder := range []string{"default", "crd", "rbac", "manager"} {
		if err := os.CopyFS(filepath.Join(dir, folder), os.DirFS(folder)); err != nil {
			t.Fatal(err)
		}
	}
	const image = "registry.example:5000/calfed@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	path := filepath.Join(dir, "default/kustomization.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	name, digest, _ := strings.Cut(image, "@")
	edited := strings.Replace(string(text), "  newTag: 0.1.0\n", fmt.Sprintf("  newName: %s\n  digest: %s\n", name, digest), 1)
	if err := os.WriteFile(path, []byte(edited), 0o644); err != nil {
		t.Fatal(err)
	}
	manifest := deploytest.Kustomize(t, filepath.Dir(path))
	for _, want := range []string{"image: " + image, "- --image=" + image} {
		if !strings.Contains(manifest, want+"\n") {
			t.Errorf("no %q", want)
		}
	}
}

// The example for Flux leads to folders that there are, and waits.
func TestFluxExample(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("flux/calfed.yaml")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, u := range deploytest.Objects(t, string(text)) {
		if u.GetKind() != "Kustomization" {
			continue
		}
		found++
		folder, _, _ := unstructured.NestedString(u.Object, "spec", "path")
		if _, err := os.Stat(filepath.Join("..", folder, "kustomization.yaml")); err != nil {
			t.Errorf("%s: %v", u.GetName(), err)
		}
		if waits, _, _ := unstructured.NestedBool(u.Object, "spec", "wait"); !waits {
			t.Errorf("%s is ready before what is in it", u.GetName())
		}
		// a first key waits for an hour after its record is out (rotation.publishBefore)
		timeout, _, _ := unstructured.NestedString(u.Object, "spec", "timeout")
		if d, err := time.ParseDuration(timeout); u.GetName() == "federation" && (err != nil || d <= time.Hour) {
			t.Errorf("%s is given up after %s, before a key can sign", u.GetName(), timeout)
		}
	}
	if found != 2 {
		t.Errorf("%d Kustomizations", found)
	}
}
