package manifests_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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

// What a domain is for cannot be changed; everything else can.
func TestTheAPIServerKeepsDomainsAsTheyAre(t *testing.T) {
	t.Parallel()
	cluster := kubetest.Shared(t)
	namespace := cluster.Namespace(t)
	for kind, field := range map[string]string{"FederatedDomain": "domain", "DKIMKey": "domain"} {
		var object unstructured.Unstructured
		text := fmt.Sprintf("apiVersion: federation.calfed.dev/v1alpha1\nkind: %s\nmetadata: {name: x, namespace: %s}\nspec: %s\n", kind, namespace, templates[kind])
		if err := yaml.Unmarshal([]byte(text), &object.Object); err != nil {
			t.Fatal(err)
		}
		if err := cluster.Client.Create(t.Context(), &object); err != nil {
			t.Fatal(err)
		}
		if err := unstructured.SetNestedField(object.Object, "example.net", "spec", field); err != nil {
			t.Fatal(err)
		}
		err := cluster.Client.Update(t.Context(), &object)
		if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "cannot be changed: create another") {
			t.Errorf("%s: got %v", kind, err)
		}
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
