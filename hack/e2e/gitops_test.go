//go:build e2e

package e2e_test

import (
	"context"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/hack/deploytest"
)

// gitops is the field manager under which Argo CD applies.
const gitops = client.FieldOwner("argocd-controller")

// git is all that a repository would hold: what the chart renders, and the manifests of both organisations.
func (w *world) git(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	out := deploytest.Objects(t, w.helm(t, "get", "manifest", "calfed", "--namespace", systemNS))
	for _, s := range w.sides() {
		out = append(out, deploytest.Objects(t, w.manifest(s, w.other(s), w.backend))...)
	}
	return out
}

// A tool that applies the same manifests again and again changes nothing: not the objects, not what the operator made of them, no status.
func TestAppliedAHundredTimes(t *testing.T) {
	const rounds = 100
	w := shared(t)
	objects, all := w.git(t), w.newCensus(t)
	w.applyAll(t, objects) // notes whose the fields are, too; nothing is forced, as nothing differs
	t.Cleanup(func() { w.letGo(t, objects) })
	before := w.calm(t, all)
	begin := time.Now()
	for range rounds {
		w.applyAll(t, objects)
	}
	took := since(begin)
	if diff := cmp.Diff(before, all.mustVersions(t)); diff != "" {
		t.Errorf("%d times applied, and changed: (-before +after)\n%s", rounds, diff)
	}
	t.Logf("%d objects applied %d times in %s; %d objects are as they were, status included", len(objects), rounds, took, len(before))
}

func (w *world) applyAll(t *testing.T, objects []*unstructured.Unstructured) {
	t.Helper()
	var done sync.WaitGroup
	for _, o := range objects {
		done.Go(func() {
			if err := w.c.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(o.DeepCopy()), gitops); err != nil {
				t.Errorf("apply %s %s: %v", o.GetKind(), o.GetName(), err)
			}
		})
	}
	done.Wait()
}

// letGo gives the fields back to those who have them too.
func (w *world) letGo(t *testing.T, objects []*unstructured.Unstructured) {
	t.Helper()
	for _, o := range objects {
		nothing := &unstructured.Unstructured{}
		nothing.SetGroupVersionKind(o.GroupVersionKind())
		nothing.SetNamespace(o.GetNamespace())
		nothing.SetName(o.GetName())
		if err := w.c.Apply(context.Background(), client.ApplyConfigurationFromUnstructured(nothing), gitops); err != nil {
			t.Errorf("let go of %s %s: %v", o.GetKind(), o.GetName(), err)
		}
	}
}

// helm upgrade without a change changes nothing but helm's own notes.
func TestUpgradeToTheSame(t *testing.T) {
	w := shared(t)
	all := w.newCensus(t)
	before := w.calm(t, all)
	manifest := w.helm(t, "get", "manifest", "calfed", "--namespace", systemNS)
	out := w.helm(t, "upgrade", "calfed", chart, "--namespace", systemNS, "--reset-then-reuse-values")
	if again := w.helm(t, "get", "manifest", "calfed", "--namespace", systemNS); again != manifest {
		t.Errorf("another manifest: %s", cmp.Diff(manifest, again))
	}
	after := w.calm(t, all)
	for _, versions := range []map[string]string{before, after} {
		maps.DeleteFunc(versions, func(name, _ string) bool {
			return strings.HasPrefix(name, "secrets "+systemNS+"/sh.helm.release.v1.calfed.")
		})
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("helm upgrade to the same chart and values changed: (-before +after)\n%s", diff)
	}
	_, revision, _ := strings.Cut(out, "REVISION: ")
	revision, _, _ = strings.Cut(revision, "\n")
	t.Logf("revision %s: the manifest is the same, and %d objects are as they were, pods included", revision, len(before))
}
