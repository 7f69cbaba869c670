package charts_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/controllers/kubetest"
	"github.com/calfed/calfed/hack/deploytest"
)

// A real API server takes all that can be rendered, without a word about fields that it does not know.
func TestAPIServerTakesEveryRendering(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	ns, other := c.Namespace(t), c.Namespace(t)
	for name, args := range renderings {
		if name == "namespaced" {
			args = with("watchNamespaces={" + ns + "," + other + "}")
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			manifest := deploytest.Chart(t, ns, args...)
			out := c.Kubectl(t, manifest, "apply", "--server-side", "--force-conflicts", "--validate=strict", "--dry-run=server", "-f", "-")
			if took, want := strings.Count(out, "(server dry run)"), len(deploytest.Objects(t, manifest)); took != want {
				t.Errorf("took %d of %d objects:\n%s", took, want, out)
			}
		})
	}
}

// What helm made, a tool that applies takes over as it is: nothing is in conflict, and nothing goes when the tool lets go of it. A value that
// the API server fills up (a part of what is owned as one) would be.
func TestAnotherManagerAppliesTheSame(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	for _, u := range deploytest.Objects(t, deploytest.Chart(t, ns, append(with("crds.install=false"), everything...)...)) {
		if err := c.Client.Create(t.Context(), u.DeepCopy(), client.FieldOwner("helm")); err != nil {
			t.Fatal(err)
		}
		apply := func(u *unstructured.Unstructured) *unstructured.Unstructured {
			t.Helper()
			u = u.DeepCopy()
			if err := c.Client.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(u), client.FieldOwner("gitops")); err != nil {
				t.Errorf("%s %s: %v", u.GetKind(), u.GetName(), err)
			}
			for _, others := range []string{"metadata", "status"} { // controllers write there meanwhile
				unstructured.RemoveNestedField(u.Object, others)
			}
			return u
		}
		nothing := &unstructured.Unstructured{}
		nothing.SetGroupVersionKind(u.GroupVersionKind())
		nothing.SetNamespace(u.GetNamespace())
		nothing.SetName(u.GetName())
		if diff := cmp.Diff(apply(u).Object, apply(nothing).Object); diff != "" {
			t.Errorf("%s %s: (-applied +let go)\n%s", u.GetKind(), u.GetName(), diff)
		}
	}
}

// The operator's pods are let into a namespace that enforces the strictest of the Pod Security Standards.
func TestPodsAreRestricted(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: c.Namespace(t)}}
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted"}}}`))
	if err := c.Client.Patch(t.Context(), ns, patch); err != nil {
		t.Fatal(err)
	}
	for _, u := range deploytest.Objects(t, deploytest.Chart(t, ns.Name)) {
		if u.GetKind() != "Deployment" {
			continue
		}
		d := decode[appsv1.Deployment](t, u)
		pod := &corev1.Pod{ObjectMeta: d.Spec.Template.ObjectMeta, Spec: d.Spec.Template.Spec}
		pod.Namespace, pod.Name, pod.Spec.ServiceAccountName = ns.Name, "manager", "default"
		if err := c.Client.Create(t.Context(), pod, client.DryRunAll); err != nil {
			t.Error(err)
		}
		if fs := pod.Spec.Containers[0].SecurityContext.ReadOnlyRootFilesystem; fs == nil || !*fs {
			t.Error("the root filesystem can be written")
		}
		return
	}
	t.Error("no Deployment")
}
