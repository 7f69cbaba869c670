package crd_test

import (
	"context"
	"io/fs"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apimachinery/pkg/runtime"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"sigs.k8s.io/yaml"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/config/crd"
)

// definitions reads the embedded definitions as the API server decodes and defaults them.
func definitions(t *testing.T) map[string]*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	names, err := fs.Glob(crd.Files, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, name := range names {
		text, err := crd.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var d apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(text, &d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		apiextensionsv1.SetDefaults_CustomResourceDefinition(&d)
		apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&d.Spec)
		out[d.Spec.Names.Kind] = &d
	}
	return out
}

func internal(t *testing.T, d *apiextensionsv1.CustomResourceDefinition) *apiextensions.CustomResourceDefinition {
	t.Helper()
	var out apiextensions.CustomResourceDefinition
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(d, &out, nil); err != nil {
		t.Fatal(err)
	}
	return &out
}

// The API server's limits for the estimated cost of one rule, and of all rules of a definition.
const (
	maxRuleCost       = 10_000_000
	maxDefinitionCost = 100_000_000
)

func TestTheAPIServerTakesTheDefinitions(t *testing.T) {
	t.Parallel()
	for kind, d := range definitions(t) {
		in := internal(t, d)
		root, err := schema.NewStructural(in.Spec.Validation.OpenAPIV3Schema)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		for _, err := range schema.ValidateStructural(nil, root) {
			t.Errorf("%s: %v", kind, err)
		}
		if total := checkRules(t, kind, root, 1); total > maxDefinitionCost {
			t.Errorf("%s: all rules cost %d, at most %d is allowed", kind, total, maxDefinitionCost)
		}
	}
}

// checkRules compiles the rules of a node and of all below, and returns what they may cost together. A node occurs as
// often as the lists above it may be long.
func checkRules(t *testing.T, path string, node *schema.Structural, occurs uint64) (total uint64) {
	t.Helper()
	if len(node.XValidations) > 0 {
		isRoot := !strings.Contains(path, ".") // whose rules see metadata
		results, err := cel.Compile(node, model.SchemaDeclType(node, isRoot), celconfig.PerCallLimit,
			environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()), cel.NewExpressionsEnvLoader())
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for i, r := range results {
			if r.Error != nil {
				t.Errorf("%s: rule %d: %s", path, i, r.Error.Detail)
			}
			if node.XValidations[i].Message == "" {
				t.Errorf("%s: rule %d has no message a person could act on", path, i)
			}
			if cost := r.MaxCost * occurs; cost > maxRuleCost {
				t.Errorf("%s: rule %d may cost %d, at most %d is allowed", path, i, cost, maxRuleCost)
			}
			total += r.MaxCost * occurs
		}
	}
	for name, inner := range node.Properties {
		total += checkRules(t, path+"."+name, &inner, occurs)
	}
	if node.Items != nil && node.ValueValidation != nil && node.ValueValidation.MaxItems != nil {
		total += checkRules(t, path+"[]", node.Items, occurs*uint64(*node.ValueValidation.MaxItems))
	}
	return total
}

func TestNamesAreAsDocumented(t *testing.T) {
	t.Parallel()
	short := map[string]string{
		v1alpha1.KindFederationGateway: "fgw",
		v1alpha1.KindFederatedDomain:   "fdom",
		v1alpha1.KindDKIMKey:           "dkey",
		v1alpha1.KindPeerPolicy:        "ppol",
	}
	found := definitions(t)
	if len(found) != len(short) {
		t.Errorf("%d kinds, want %d", len(found), len(short))
	}
	for kind, want := range short {
		d, ok := found[kind]
		if !ok {
			t.Errorf("%s is missing", kind)
			continue
		}
		n := d.Spec.Names
		if len(n.ShortNames) != 1 || n.ShortNames[0] != want || len(n.Categories) != 1 || n.Categories[0] != "calfed" {
			t.Errorf("%s: short names %v, categories %v", kind, n.ShortNames, n.Categories)
		}
		if d.Spec.Scope != apiextensionsv1.NamespaceScoped || d.Spec.Group != v1alpha1.GroupVersion.Group {
			t.Errorf("%s: scope %s, group %s", kind, d.Spec.Scope, d.Spec.Group)
		}
		columns := map[string]bool{}
		for _, c := range d.Spec.Versions[0].AdditionalPrinterColumns {
			columns[c.Name] = true
		}
		if !columns["Ready"] || !columns["Age"] || len(columns) < 3 {
			t.Errorf("%s: printer columns %v", kind, columns)
		}
		if d.Spec.Versions[0].Subresources == nil || d.Spec.Versions[0].Subresources.Status == nil {
			t.Errorf("%s: no status subresource", kind)
		}
	}
}

func TestSpecHasNoDefaultsAndStatusOne(t *testing.T) {
	t.Parallel()
	for kind, d := range definitions(t) {
		root := d.Spec.Versions[0].Schema.OpenAPIV3Schema
		spec, status := root.Properties["spec"], root.Properties["status"]
		walk("spec", spec, func(path string, p apiextensionsv1.JSONSchemaProps) {
			if p.Default != nil {
				t.Errorf("%s: %s has the default %s: what Git holds is what the cluster holds", kind, path, p.Default.Raw)
			}
		})
		if status.Default == nil || string(status.Default.Raw) != `{"observedGeneration":-1}` {
			t.Errorf("%s: status defaults to %v, want observedGeneration -1, so that kstatus reads no fresh object as Current", kind, status.Default)
		}
		conditions := status.Properties["conditions"]
		if conditions.XListType == nil || *conditions.XListType != "map" || len(conditions.XListMapKeys) != 1 || conditions.XListMapKeys[0] != "type" {
			t.Errorf("%s: conditions are no map by type", kind)
		}
	}
}

func TestEverythingInASpecIsBounded(t *testing.T) {
	t.Parallel()
	for kind, d := range definitions(t) {
		walk("spec", d.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"], func(path string, p apiextensionsv1.JSONSchemaProps) {
			switch {
			case strings.HasPrefix(path, "spec.allowedDomains[].selector.") || strings.HasPrefix(path, "spec.podTemplate.tolerations[].") ||
				strings.HasPrefix(path, "spec.podTemplate.affinity."):
				// types of Kubernetes itself, which its API server bounds nowhere either
			case p.Type == "array" && p.MaxItems == nil:
				t.Errorf("%s: %s has no maxItems", kind, path)
			case p.Type == "array" && p.XListType == nil:
				t.Errorf("%s: %s has no list type", kind, path)
			case p.Type == "string" && p.MaxLength == nil && len(p.Enum) == 0 && p.Format != "date-time":
				t.Errorf("%s: %s has no maxLength", kind, path)
			case p.Type == "integer" && (p.Minimum == nil || p.Maximum == nil):
				t.Errorf("%s: %s has no minimum and maximum", kind, path)
			case p.Type == "object" && len(p.Properties) == 0 && (p.AdditionalProperties == nil || p.MaxProperties == nil):
				t.Errorf("%s: %s takes anything", kind, path)
			case p.Description == "" && path != "spec" && !strings.HasSuffix(path, "]"):
				t.Errorf("%s: %s has no description", kind, path)
			}
		})
	}
}

func TestUnionsHaveAMemberForEveryType(t *testing.T) {
	t.Parallel()
	for kind, d := range definitions(t) {
		walk("spec", d.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"], func(path string, p apiextensionsv1.JSONSchemaProps) {
			discriminator, isUnion := p.Properties["type"]
			if !isUnion || len(p.Properties) == 1 || path == "spec.exposure.service" { // a type that needs nothing said has no members
				return
			}
			for _, value := range discriminator.Enum {
				member := strings.Trim(string(value.Raw), `"`)
				switch member {
				case "ExternalDNS": // needs nothing said
					continue
				case "RFC2136":
					member = "rfc2136"
				}
				member = strings.ToLower(member[:1]) + member[1:]
				if _, ok := p.Properties[member]; !ok {
					t.Errorf("%s: %s has the type %s and no member %s", kind, path, value.Raw, member)
				}
			}
			if len(p.XValidations) == 0 {
				t.Errorf("%s: nothing holds type and member of %s together", kind, path)
			}
		})
	}
}

func walk(path string, p apiextensionsv1.JSONSchemaProps, visit func(string, apiextensionsv1.JSONSchemaProps)) {
	visit(path, p)
	for name, inner := range p.Properties {
		walk(path+"."+name, inner, visit)
	}
	if p.Items != nil && p.Items.Schema != nil {
		walk(path+"[]", *p.Items.Schema, visit)
	}
}

// A rule that compares with what was before.
func TestTheDomainCannotBeChanged(t *testing.T) {
	t.Parallel()
	in := internal(t, definitions(t)[v1alpha1.KindFederatedDomain])
	structural, err := schema.NewStructural(in.Spec.Validation.OpenAPIV3Schema)
	if err != nil {
		t.Fatal(err)
	}
	object := func(domain string) map[string]any {
		return map[string]any{
			"apiVersion": v1alpha1.GroupVersion.String(), "kind": v1alpha1.KindFederatedDomain,
			"spec": map[string]any{"domain": domain},
		}
	}
	validator := cel.NewValidator(structural, true, celconfig.PerCallLimit)
	errs, _ := validator.Validate(context.Background(), nil, structural, object("b.example"), object("a.example"), celconfig.RuntimeCELCostBudget)
	if len(errs) != 1 || errs[0].Field != "spec.domain" || !strings.Contains(errs[0].Detail, "cannot be changed") {
		t.Errorf("got %v", errs)
	}
	errs, _ = validator.Validate(context.Background(), nil, structural, object("a.example"), object("a.example"), celconfig.RuntimeCELCostBudget)
	if len(errs) != 0 {
		t.Errorf("unchanged: %v", errs)
	}
}

func TestTypesAndDefinitionsNameTheSameKinds(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	for kind, d := range definitions(t) {
		for _, name := range []string{kind, d.Spec.Names.ListKind} {
			if !scheme.Recognizes(v1alpha1.GroupVersion.WithKind(name)) {
				t.Errorf("%s is not registered", name)
			}
		}
	}
}
