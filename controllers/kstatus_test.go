package controllers_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/yaml"

	"github.com/calfed/calfed/api/v1alpha1"
)

// health is what a tool that waits makes of an object: kstatus, and Argo CD by the script in config/argocd.
type health struct {
	kstatus status.Status
	argo    string
}

var (
	waits   = health{status.InProgressStatus, "Progressing"}
	current = health{status.CurrentStatus, "Healthy"}
	failed  = health{status.FailedStatus, "Degraded"}
	leaving = health{status.TerminatingStatus, "Progressing"}
)

// seen makes an object of the second generation with a status; its conditions are written Type=Status.
func seen(kind string, observed int64, conditions ...string) *unstructured.Unstructured {
	list := []any{}
	for _, c := range conditions {
		name, value, _ := strings.Cut(c, "=")
		list = append(list, map[string]any{"type": name, "status": value, "reason": "Because", "message": name + " is " + value})
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": kind,
		"metadata": map[string]any{"name": "a", "namespace": "b", "generation": int64(2)},
		"status":   map[string]any{"observedGeneration": observed, "conditions": list},
	}}
}

func TestToolsThatWaitUnderstandTheStatus(t *testing.T) {
	t.Parallel()
	scripts := argoScripts(t)
	for _, kind := range kinds {
		fresh := seen(kind, -1)
		unstructured.RemoveNestedField(fresh.Object, "status", "conditions")
		deleted := seen(kind, 2, "Ready=True")
		if err := unstructured.SetNestedField(deleted.Object, "2026-01-01T00:00:00Z", "metadata", "deletionTimestamp"); err != nil {
			t.Fatal(err)
		}
		for name, tc := range map[string]struct {
			object *unstructured.Unstructured
			want   health
		}{
			"fresh, as the API server defaults it": {fresh, waits},
			"at work":                              {seen(kind, 2, "Ready=False", "Reconciling=True"), waits},
			"at work, whatever was before":         {seen(kind, 2, "Ready=True", "Reconciling=True"), waits},
			"not known yet":                        {seen(kind, 2, "Ready=Unknown"), waits},
			"not ready, without a cure in sight":   {seen(kind, 2, "Ready=False"), waits},
			"ready":                                {seen(kind, 2, "Ready=True"), current},
			"ready, and no more at work":           {seen(kind, 2, "Reconciling=False", "Stalled=False", "Ready=True"), current},
			"only an edit helps":                   {seen(kind, 2, "Ready=False", "Stalled=True"), failed},
			"edited, and not looked at again":      {seen(kind, 1, "Ready=True"), waits},
			"edited after it stalled":              {seen(kind, 1, "Ready=False", "Stalled=True"), waits},
			"being deleted":                        {deleted, leaving},
		} {
			t.Run(kind+"/"+name, func(t *testing.T) { checkHealth(t, scripts[kind], tc.object, tc.want) })
		}
	}
}

// Whatever else a kind says stands behind Ready: no condition of its own makes a tool wait or fail.
func TestNoOtherConditionMakesToolsWait(t *testing.T) {
	t.Parallel()
	scripts := argoScripts(t)
	for _, kind := range kinds {
		for _, condition := range conditionTypes(t) {
			switch condition {
			case v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled:
				continue
			}
			for _, value := range []corev1.ConditionStatus{corev1.ConditionTrue, corev1.ConditionFalse, corev1.ConditionUnknown} {
				other := condition + "=" + string(value)
				t.Run(kind+"/"+other, func(t *testing.T) {
					checkHealth(t, scripts[kind], seen(kind, 2, other, "Ready=True"), current)
					checkHealth(t, scripts[kind], seen(kind, 2, other, "Ready=False"), waits)
					checkHealth(t, scripts[kind], seen(kind, 2, other, "Ready=False", "Stalled=True"), failed)
				})
			}
		}
	}
}

var kinds = []string{v1alpha1.KindFederationGateway, v1alpha1.KindFederatedDomain, v1alpha1.KindDKIMKey, v1alpha1.KindPeerPolicy}

func checkHealth(t *testing.T, script string, object *unstructured.Unstructured, want health) {
	t.Helper()
	result, err := status.Compute(object)
	if err != nil {
		t.Fatal(err)
	}
	if result.Status != want.kstatus {
		t.Errorf("kstatus says %s: %s; want %s", result.Status, result.Message, want.kstatus)
	}
	argo, message := runArgo(t, script, object)
	if argo != want.argo {
		t.Errorf("Argo CD says %s: %s; want %s", argo, message, want.argo)
	}
	if message == "" {
		t.Error("Argo CD has nothing to show")
	}
}

// argoScripts reads the health check of every kind.
func argoScripts(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../config/argocd/argocd-cm.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var cm corev1.ConfigMap
	if err := yaml.UnmarshalStrict(text, &cm); err != nil {
		t.Fatal(err)
	}
	if len(cm.Data) != len(kinds) {
		t.Errorf("%d entries, want one a kind", len(cm.Data))
	}
	out := map[string]string{}
	for _, kind := range kinds {
		out[kind] = cm.Data["resource.customizations.health."+v1alpha1.GroupVersion.Group+"_"+kind]
		if out[kind] == "" {
			t.Fatalf("no health check for %s", kind)
		}
	}
	return out
}

// runArgo runs a health check as Argo CD does: the object is the global obj, the table returned has status and message. Only
// the basic library is there.
func runArgo(t *testing.T, script string, object *unstructured.Unstructured) (healthStatus, message string) {
	t.Helper()
	l := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer l.Close()
	if err := l.CallByParam(lua.P{Fn: l.NewFunction(lua.OpenBase), Protect: true}, lua.LString(lua.BaseLibName)); err != nil {
		t.Fatal(err)
	}
	l.SetGlobal("obj", luaValue(l, object.Object))
	if err := l.DoString(script); err != nil {
		t.Fatal(err)
	}
	table, ok := l.Get(-1).(*lua.LTable)
	if !ok {
		t.Fatalf("the health check returns %s, no table", l.Get(-1).Type())
	}
	return table.RawGetString("status").String(), table.RawGetString("message").String()
}

func luaValue(l *lua.LState, value any) lua.LValue {
	switch v := value.(type) {
	case string:
		return lua.LString(v)
	case int64:
		return lua.LNumber(v)
	case []any:
		list := l.NewTable()
		for _, item := range v {
			list.Append(luaValue(l, item))
		}
		return list
	case map[string]any:
		table := l.NewTable()
		for key, item := range v {
			table.RawSetString(key, luaValue(l, item))
		}
		return table
	}
	return lua.LNil
}

// conditionTypes returns the values of all constants named Condition…: a new one is tested without being listed here.
func conditionTypes(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../api/v1alpha1/conditions.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Condition") {
			return true
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, value)
		return true
	})
	if len(out) < 10 {
		t.Fatalf("only found %v", out)
	}
	return out
}
