//go:build e2e

package e2e_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/hack/deploytest"
)

// What Argo CD compares is equal: of what was applied, what Git has and what there is, by its client-side diff and by its server-side one.
func TestArgoSeesNoDifference(t *testing.T) {
	w := shared(t)
	t.Run("what is there", func(t *testing.T) {
		objects := w.git(t)
		for _, want := range objects {
			live := &unstructured.Unstructured{}
			live.SetGroupVersionKind(want.GroupVersionKind())
			if err := w.c.Get(t.Context(), client.ObjectKeyFromObject(want), live); err != nil {
				t.Fatal(err)
			}
			checkThreeWay(t, want, live)
			predicted := w.dryRun(t, want)
			for _, u := range []*unstructured.Unstructured{predicted, live} {
				u.SetManagedFields(nil)
			}
			if diff := cmp.Diff(live.Object, predicted.Object); diff != "" {
				t.Errorf("%s %s: server-side: (-live +predicted)\n%s", want.GetKind(), want.GetName(), diff)
			}
		}
		t.Logf("%d objects", len(objects))
	})
	// values that the API server writes otherwise than we do, and every field of our kinds: what would be there is compared
	t.Run("quantities, lists and defaults", func(t *testing.T) {
		w.wouldDiffer(t, deploytest.Objects(t, deploytest.Chart(t, "west", "--set", oddValues)))
	})
	t.Run("every field", func(t *testing.T) { w.wouldDiffer(t, samples(t)) })
}

// oddValues are those that are no canonical form, or fill lists that others fill up.
const oddValues = "crds.install=false,replicas=2,resources.requests.cpu=1000m,resources.limits.cpu=1.5,resources.limits.memory=1024Mi,resources.requests.memory=0.25Gi," +
	"tolerations[0].key=dedicated,tolerations[0].operator=Exists,nodeSelector.disk=ssd,image.pullSecrets={registry},apiServerAddrs={10.0.0.1:6443}," +
	"affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight=1," +
	"affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.topologyKey=zone," +
	"labels.team=calendar,annotations.owner=ops,podLabels.zone=a,podAnnotations.note=b"

// samples are those of config/samples, under names that nothing in west has.
func samples(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	var out []*unstructured.Unstructured
	files, err := filepath.Glob("../../config/samples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range deploytest.Objects(t, string(text)) {
			if u.GetKind() == "Namespace" {
				continue
			}
			u.SetNamespace("west")
			u.SetName("sample-" + u.GetName())
			out = append(out, u)
		}
	}
	return out
}

// wouldDiffer compares objects with what the API server would make of them.
func (w *world) wouldDiffer(t *testing.T, objects []*unstructured.Unstructured) {
	t.Helper()
	for _, want := range objects {
		checkThreeWay(t, want, w.dryRun(t, want))
	}
	t.Logf("%d objects", len(objects))
}

// dryRun is what would be there once an object is applied.
func (w *world) dryRun(t *testing.T, want *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	out := want.DeepCopy()
	if err := w.c.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(out), gitops, client.DryRunAll); err != nil {
		t.Fatalf("apply %s %s: %v", want.GetKind(), want.GetName(), err)
	}
	return out
}
