package charts_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/calfed/calfed/hack/deploytest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// with sets values.
func with(values ...string) []string {
	var args []string
	for _, v := range values {
		args = append(args, "--set", v)
	}
	return args
}

// everything is what there is to switch on.
var everything = append([]string{"--api-versions", "monitoring.coreos.com/v1"}, with(
	"replicas=2", "gatewayImage=registry.example/gateway@sha256:0123", "resolver=10.0.0.53:53", "probeCIDRs={10.0.0.0/8,fd00::/8}",
	"dnsUpdateCIDRs={10.0.0.53/32}", "apiServerAddrs={10.0.0.1:6443}",
	"image.repository=registry.example/calfed", "image.pullPolicy=Always", "image.pullSecrets={registry}",
	"image.digest=sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "log.level=debug", "log.format=text",
	"metrics.serviceMonitor.enabled=true", "metrics.prometheusRule.enabled=true", "labels.team=calendar", "annotations.owner=ops",
	"podLabels.zone=a", "podAnnotations.note=b", "nodeSelector.disk=ssd", "priorityClassName=high",
	"tolerations[0].key=dedicated,tolerations[0].operator=Exists",
	"affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight=1",
	"affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].key=disk",
	"affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].operator=Exists",
)...)

// renderings are the ways to use the chart that differ in what comes out.
var renderings = map[string][]string{
	"default":        nil,
	"namespaced":     with("watchNamespaces={team-a,team-b}"),
	"no-definitions": with("crds.install=false"),
	"everything":     everything,
}

// The CustomResourceDefinitions are compared with config/crd, the rest with testdata/golden. The rules of the operator, which come from
// the code, stand in neither: TestRulesAreThoseOfTheCode looks at them.
func TestRendering(t *testing.T) {
	t.Parallel()
	for name, args := range renderings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var rest []string
			kept := map[string]*apiextensionsv1.CustomResourceDefinition{}
			for doc := range strings.SplitSeq(deploytest.Chart(t, "calfed-system", args...), "\n---\n") {
				if !strings.Contains(doc, "kind: CustomResourceDefinition\n") {
					rest = append(rest, doc)
					continue
				}
				d := &apiextensionsv1.CustomResourceDefinition{}
				if err := yaml.UnmarshalStrict([]byte(doc), d); err != nil {
					t.Fatal(err)
				}
				kept[d.Name] = d
			}
			if name == "no-definitions" {
				golden(t, "default.yaml", strings.Join(rest, "\n---\n"))
				if len(kept) > 0 {
					t.Errorf("%d CustomResourceDefinitions", len(kept))
				}
				return
			}
			golden(t, name+".yaml", strings.Join(rest, "\n---\n"))
			checkDefinitions(t, kept)
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	rules, err := os.ReadFile("calfed/files/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got = strings.ReplaceAll(got, string(rules), "# files/rules.yaml\n")
	path := filepath.Join("testdata/golden", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: (-want +got)\n%s", path, diff)
	}
}

// checkDefinitions holds what is rendered against config/crd: the same but for the labels and the annotation by which helm
// leaves them where they are.
func checkDefinitions(t *testing.T, got map[string]*apiextensionsv1.CustomResourceDefinition) {
	t.Helper()
	want := definitions(t)
	if len(got) != len(want) {
		t.Errorf("%d CustomResourceDefinitions, want %d", len(got), len(want))
	}
	for path, text := range want {
		var d apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict([]byte(text), &d); err != nil {
			t.Fatal(err)
		}
		rendered := got[d.Name]
		if rendered == nil {
			t.Errorf("%s is not rendered", path)
			continue
		}
		if rendered.Annotations["helm.sh/resource-policy"] != "keep" {
			t.Errorf("%s would go with the release", d.Name)
		}
		if rendered.Labels["app.kubernetes.io/name"] != "calfed" {
			t.Errorf("%s cannot be found by its label", d.Name)
		}
		if diff := cmp.Diff(d.Spec, rendered.Spec); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", d.Name, diff)
		}
	}
}

// The operator has the rules that controller-gen finds in the code: cluster-wide or in each namespace, never both.
func TestRulesAreThoseOfTheCode(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../config/rbac/role.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var want rbacv1.ClusterRole
	if err := yaml.UnmarshalStrict(text, &want); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		args       []string
		clusterly  int // ClusterRoles and their bindings
		namespaces []string
	}{
		"all namespaces":    {nil, 2, nil},
		"single namespaces": {with("watchNamespaces={team-a,team-b}"), 0, []string{"team-a", "team-b"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clusterly, roles := 0, map[string][]rbacv1.PolicyRule{}
			for _, u := range deploytest.Objects(t, deploytest.Chart(t, "calfed-system", tc.args...)) {
				switch u.GetKind() {
				case "ClusterRoleBinding":
					clusterly++
				case "ClusterRole":
					clusterly++
					checkRules(t, want.Rules, decode[rbacv1.ClusterRole](t, u).Rules)
				case "Role":
					roles[u.GetNamespace()] = decode[rbacv1.Role](t, u).Rules
				}
			}
			if clusterly != tc.clusterly {
				t.Errorf("%d cluster-wide objects of RBAC, want %d", clusterly, tc.clusterly)
			}
			for _, ns := range tc.namespaces {
				checkRules(t, want.Rules, roles[ns])
			}
			if len(roles) != len(tc.namespaces)+1 {
				t.Errorf("Roles in %d namespaces, want one in each that is watched and one for the Lease", len(roles))
			}
		})
	}
}

func checkRules(t *testing.T, want, got []rbacv1.PolicyRule) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-config/rbac +chart)\n%s", diff)
	}
}

func decode[T any](t *testing.T, u *unstructured.Unstructured) T {
	t.Helper()
	var out T
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(u.Object, &out, true); err != nil {
		t.Fatalf("%s %s: %v", u.GetKind(), u.GetName(), err)
	}
	return out
}

// Each argument of the operator is one that it knows.
func TestArgumentsAreFlags(t *testing.T) {
	t.Parallel()
	help, err := exec.CommandContext(t.Context(), "go", "run", "../cmd/calfed", "manager", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range deploytest.Objects(t, deploytest.Chart(t, "calfed-system", everything...)) {
		if u.GetKind() != "Deployment" {
			continue
		}
		for _, arg := range decode[appsv1.Deployment](t, u).Spec.Template.Spec.Containers[0].Args[1:] {
			if flag, _, _ := strings.Cut(arg, "="); !strings.Contains(string(help), flag+" ") {
				t.Errorf("calfed manager knows no %s", flag)
			}
		}
	}
}

// What needs Prometheus Operator is there when that is, and when it was asked for; and has no field that it does not know.
func TestMonitoringOnlyWithItsAPI(t *testing.T) {
	t.Parallel()
	wanted := with("metrics.serviceMonitor.enabled=true", "metrics.prometheusRule.enabled=true")
	api := []string{"--api-versions", "monitoring.coreos.com/v1"}
	for name, tc := range map[string]struct {
		args []string
		want int
	}{
		"wanted, and the API is there": {append(api[:2:2], wanted...), 2},
		"wanted without the API":       {wanted, 0},
		"the API is there, not wanted": {api, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := 0
			for _, u := range deploytest.Objects(t, deploytest.Chart(t, "calfed-system", tc.args...)) {
				switch u.GetKind() {
				case "ServiceMonitor":
					got++
					decode[monitoringv1.ServiceMonitor](t, u)
				case "PrometheusRule":
					got++
					decode[monitoringv1.PrometheusRule](t, u)
				}
			}
			if got != tc.want {
				t.Errorf("%d objects of Prometheus Operator, want %d", got, tc.want)
			}
		})
	}
}

func TestLint(t *testing.T) {
	t.Parallel()
	if out, err := deploytest.Helm(t, "", "lint", "--strict", "calfed"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// definitions reads config/crd, by file name.
func definitions(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("../config/crd/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no definitions: %v", err)
	}
	out := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		out[path] = string(text)
	}
	return out
}
