//go:build e2e

package e2e_test

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/jsonmergepatch"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
)

// checkThreeWay compares as Argo CD does: it merges what Git has, which is what was applied last, into what there is, and looks whether
// that changes anything. Kinds of Kubernetes are merged by their strategy and compared as types, others as JSON; status is left out.
func checkThreeWay(t *testing.T, want, live *unstructured.Unstructured) {
	t.Helper()
	live = live.DeepCopy()
	live.SetManagedFields(nil)
	unstructured.RemoveNestedField(live.Object, "status")
	applied, there := mustJSON(t, want.Object), mustJSON(t, live.Object)
	typed, err := clientgoscheme.Scheme.New(want.GroupVersionKind())
	var merged []byte
	switch {
	case runtime.IsNotRegisteredError(err):
		merged, err = mergeJSON(applied, there)
	case err == nil:
		if merged, err = mergeTyped(applied, there, typed); err == nil {
			there, merged = throughType(t, there, typed), throughType(t, merged, typed)
		}
	}
	if err != nil {
		t.Fatalf("%s %s: %v", want.GetKind(), want.GetName(), err)
	}
	if diff := cmp.Diff(parsed(t, there), parsed(t, merged)); diff != "" {
		t.Errorf("%s %s: three-way: (-live +merged)\n%s", want.GetKind(), want.GetName(), diff)
	}
}

// mergeJSON merges by RFC 7396.
func mergeJSON(applied, there []byte) ([]byte, error) {
	text, err := jsonmergepatch.CreateThreeWayJSONMergePatch(applied, applied, there)
	if err != nil {
		return nil, err
	}
	var target, patch map[string]any
	if err := json.Unmarshal(there, &target); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &patch); err != nil {
		return nil, err
	}
	return json.Marshal(merge(target, patch))
}

func merge(target, patch map[string]any) map[string]any {
	out := maps.Clone(target)
	for key, value := range patch {
		members, isObject := value.(map[string]any)
		switch {
		case value == nil:
			delete(out, key)
		case isObject:
			was, _ := out[key].(map[string]any)
			if was == nil {
				was = map[string]any{}
			}
			out[key] = merge(was, members)
		default:
			out[key] = value
		}
	}
	return out
}

// mergeTyped merges by the strategy that the type has.
func mergeTyped(applied, there []byte, typed runtime.Object) ([]byte, error) {
	lookup, err := strategicpatch.NewPatchMetaFromStruct(typed)
	if err != nil {
		return nil, err
	}
	patch, err := strategicpatch.CreateThreeWayMergePatch(applied, applied, there, lookup, true)
	if err != nil {
		return nil, err
	}
	return strategicpatch.StrategicMergePatchUsingLookupPatchMeta(there, patch, lookup)
}

// throughType writes values as the type does: 1000m is 1.
func throughType(t *testing.T, text []byte, typed runtime.Object) []byte {
	t.Helper()
	into := typed.DeepCopyObject()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
	return mustJSON(t, into)
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func parsed(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
