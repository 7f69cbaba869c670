package manifests

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/calfed/calfed/config/crd"
)

// kindSchema checks objects of one kind.
type kindSchema struct {
	structural *schema.Structural
	validator  validation.SchemaValidator
	cel        *cel.Validator
}

// schemas are the embedded definitions by kind, made ready once: they never change.
var schemas = sync.OnceValue(func() map[string]*kindSchema {
	out, err := loadSchemas()
	if err != nil {
		panic("embedded definitions: " + err.Error()) // a broken build: the tests of config/crd hold it
	}
	return out
})

func loadSchemas() (map[string]*kindSchema, error) {
	names, err := fs.Glob(crd.Files, "*.yaml")
	if err != nil {
		return nil, err
	}
	out := map[string]*kindSchema{}
	for _, name := range names {
		text, err := crd.Files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var v1 apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(text, &v1); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		var internal apiextensions.CustomResourceDefinition
		if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(&v1, &internal, nil); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		// conversion lifts the one version's schema to the top
		props := internal.Spec.Validation.OpenAPIV3Schema
		structural, err := schema.NewStructural(props)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		validator, _, err := validation.NewSchemaValidator(props)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out[v1.Spec.Names.Kind] = &kindSchema{
			structural: structural,
			validator:  validator,
			cel:        cel.NewValidator(structural, true, celconfig.PerCallLimit),
		}
	}
	return out, nil
}

// unknown returns the fields that the kind does not have, metadata apart, and removes them from obj.
func (k *kindSchema) unknown(obj map[string]any) []string {
	return pruning.PruneWithOptions(obj, k.structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
}

// validate does what the API server does on create, in its order.
func (k *kindSchema) validate(obj map[string]any) field.ErrorList {
	defaulting.PruneNonNullableNullsWithoutDefaults(obj, k.structural)
	defaulting.Default(obj, k.structural)
	errs := validation.ValidateCustomResource(nil, obj, k.validator)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, k.structural, obj)...)
	if k.cel == nil || slices.ContainsFunc(errs, stopsCEL) {
		return errs
	}
	celErrs, _ := k.cel.Validate(context.Background(), nil, k.structural, obj, nil, celconfig.RuntimeCELCostBudget)
	return append(errs, celErrs...)
}

// stopsCEL says whether rules cannot be judged any more: values are missing, of the wrong type or too large.
func stopsCEL(e *field.Error) bool {
	switch e.Type {
	case field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
		return true
	}
	return false
}

// siblings are the names of the fields that could stand where path stands.
func (k *kindSchema) siblings(path string) []string {
	at := k.structural
	all := steps(path)
	for _, step := range all[:max(len(all)-1, 0)] {
		switch {
		case at.Items != nil:
			at = at.Items
		default:
			next, ok := at.Properties[step]
			if !ok {
				return nil
			}
			at = &next
		}
	}
	return slices.Collect(maps.Keys(at.Properties))
}

// complaint words an error of the API server's packages for a person. Values of our kinds are no secrets.
func complaint(e *field.Error) string {
	detail := strings.TrimPrefix(e.Detail, e.Field+" in body ")
	switch {
	case e.Type == field.ErrorTypeRequired && detail == "":
		return "is required"
	case e.Type == field.ErrorTypeTypeInvalid:
		detail, _, _ = strings.Cut(detail, ": ")
		return fmt.Sprintf("%s, not %v", detail, e.BadValue)
	case e.Type == field.ErrorTypeRequired:
		return detail
	case e.Type == field.ErrorTypeInvalid && detail != "":
		// rules about objects come with the type's name in place of a value
		value, ok := e.BadValue.(string)
		if ok && value != "" && value != "object" && value != "array" && len(value) <= maxTypo && !strings.Contains(value, "\n") {
			return fmt.Sprintf("%q: %s", value, detail)
		}
		return detail
	}
	return strings.ReplaceAll(e.ErrorBody(), "\n", " ")
}
