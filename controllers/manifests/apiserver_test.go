package manifests_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/calfed/calfed/controllers/kubetest"
	"github.com/calfed/calfed/controllers/manifests"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Main(m)) }

// A real API server refuses what calfed lint refuses, at the same field and in the same words, and takes what it takes.
func TestTheAPIServerRefusesTheSame(t *testing.T) {
	t.Parallel()
	cluster := kubetest.Shared(t)
	namespace := cluster.Namespace(t)
	create := func(kind, spec string) error {
		kind, name, named := strings.Cut(kind, "/")
		if !named {
			name = "x"
		}
		text := fmt.Sprintf("apiVersion: federation.calfed.dev/v1alpha1\nkind: %s\nmetadata: {name: %s, namespace: %s}\nspec: %s\n", kind, name, namespace, spec)
		var object unstructured.Unstructured
		if err := yaml.Unmarshal([]byte(text), &object.Object); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return cluster.Client.Create(t.Context(), &object, client.DryRunAll, client.FieldValidation("Strict"))
	}
	for kind, spec := range templates {
		if err := create(kind, spec); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	for _, tc := range refusals() {
		kind, spec, _ := strings.Cut(tc.object, " ")
		err := create(kind, spec)
		if !apierrors.IsInvalid(err) {
			t.Errorf("%s: got %v, want Invalid", tc.object, err)
			continue
		}
		if !saysOneOf(err.Error(), tc.field, parseSpec(kind, spec)) {
			t.Errorf("%s: the API server says\n%v\nlint says\n%v", tc.object, err, parseSpec(kind, spec))
		}
	}
}

// What an object stands for cannot be changed; everything else can.
func TestTheAPIServerKeepsWhatObjectsStandFor(t *testing.T) {
	t.Parallel()
	cluster := kubetest.Shared(t)
	namespace := cluster.Namespace(t)
	for _, tc := range []struct{ kind, field, patch string }{
		{"FederatedDomain", "spec.domain", `{"spec": {"domain": "example.net"}}`},
		{"DKIMKey", "spec.domain", `{"spec": {"domain": "example.net"}}`},
		{"DKIMKey", "spec.source", `{"spec": {"source": {"type": "Generated", "generated": {}, "imported": null}}}`},
	} {
		t.Run(tc.kind+" "+tc.field, func(t *testing.T) {
			var object unstructured.Unstructured
			text := fmt.Sprintf("apiVersion: federation.calfed.dev/v1alpha1\nkind: %s\nmetadata: {generateName: x, namespace: %s}\nspec: %s\n", tc.kind, namespace, templates[tc.kind])
			if err := yaml.Unmarshal([]byte(text), &object.Object); err != nil {
				t.Fatal(err)
			}
			if err := cluster.Client.Create(t.Context(), &object); err != nil {
				t.Fatal(err)
			}
			err := cluster.Client.Patch(t.Context(), &object, client.RawPatch(types.MergePatchType, []byte(tc.patch)))
			if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), tc.field) || !strings.Contains(err.Error(), "cannot be changed") || !strings.Contains(err.Error(), "create another") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// saysOneOf says whether what the API server said names the field with a message of lint's.
func saysOneOf(said, field string, problems []manifests.Problem) bool {
	return slices.ContainsFunc(problems, func(p manifests.Problem) bool {
		// lint puts the value before the rule's own words
		_, rule, _ := strings.Cut(p.Message, ": ")
		return p.Field == field && strings.Contains(said, field) && (strings.Contains(said, p.Message) || rule != "" && strings.Contains(said, rule))
	})
}
