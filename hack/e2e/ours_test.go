//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
)

// mark is the label of every namespace that the tests make: they take away no other.
const mark = "calfed.test/e2e"

// ours are all namespaces that the tests make.
var ours = []string{
	systemNS, "west", "east", peersNS, "calfed-south", "calfed-north", southNS, "north", "federation", "landlord", "a", "b", "stranger", "fenced",
}

// foreign are the definitions of calfed and the namespaces of our names that are there and were not made by these tests: definitions are
// theirs when the release is that they are of.
func (g *ground) foreign(ctx context.Context) ([]string, error) {
	var namespaces corev1.NamespaceList
	var definitions apiextensionsv1.CustomResourceDefinitionList
	if err := errors.Join(g.c.List(ctx, &namespaces), g.c.List(ctx, &definitions)); err != nil {
		return nil, err
	}
	var out []string
	marked := map[string]bool{}
	for _, ns := range namespaces.Items {
		if _, marked[ns.Name] = ns.Labels[mark]; !marked[ns.Name] && slices.Contains(ours, ns.Name) {
			out = append(out, "namespace "+ns.Name)
		}
	}
	for _, d := range definitions.Items {
		if d.Spec.Group == v1alpha1.GroupVersion.Group && !marked[d.Annotations["meta.helm.sh/release-namespace"]] {
			out = append(out, "definition "+d.Name)
		}
	}
	return out, nil
}

// none skips a test that installs a release of its own where one was kept (-keep), and fails it where one is there anyhow.
func (g *ground) none(t *testing.T) {
	t.Helper()
	var definitions apiextensionsv1.CustomResourceDefinitionList // by no kubectl, which would remember for long that our kinds are unknown
	err := g.c.List(t.Context(), &definitions, client.MatchingLabels{"app.kubernetes.io/name": "calfed"})
	switch {
	case err != nil:
		t.Fatal(err)
	case len(definitions.Items) == 0:
	case *keep:
		t.Skip("a release was kept in the cluster, and this test makes its own: run it once without -keep, or on another cluster")
	default:
		t.Fatal("a release is in the cluster, and this test makes its own: it comes first, or alone; a run of another test without -keep takes the release away")
	}
}

// deleteNamespaces deletes those of the names that these tests made; it waits until they are gone, unless flags say otherwise.
func (g *ground) deleteNamespaces(ctx context.Context, names []string, flags ...string) error {
	for _, name := range names {
		out, err := g.tryKubectl(ctx, "", append([]string{"delete", "namespace", "--selector", mark + ",kubernetes.io/metadata.name=" + name}, flags...)...)
		if err != nil {
			return fmt.Errorf("delete namespace %s: %w\n%s", name, err, out)
		}
	}
	return nil
}
