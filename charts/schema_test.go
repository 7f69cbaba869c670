package charts_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/calfed/calfed/hack/deploytest"
)

// A mistake in the values is refused before anything is applied, and the message names the value.
func TestMistakesInValuesAreRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ set, want string }{
		"misspelt at the top":               {"replica=2", "'replica' not allowed"},
		"misspelt below":                    {"image.repo=calfed", "at '/image': additional properties 'repo' not allowed"},
		"a namespace where there are many":  {"watchNamespaces=team-a", "at '/watchNamespaces': got string, want array"},
		"a name that no namespace can have": {"watchNamespaces={Team_A}", "at '/watchNamespaces/0'"},
		"no number":                         {"replicas=two", "at '/replicas': got string, want integer"},
		"a tag with its colon":              {"image.tag=:v1", "at '/image/tag'"},
		"half a digest":                     {"image.digest=sha256:abc", "at '/image/digest'"},
		"a pull policy of no such name":     {"image.pullPolicy=Sometimes", "at '/image/pullPolicy'"},
		"a resolver by name":                {"resolver=dns.example.org:53", "at '/resolver'"},
		"a resolver without port":           {"resolver=10.0.0.53", "at '/resolver'"},
		"an address for a range":            {"probeCIDRs={10.0.0.1}", "at '/probeCIDRs/0'"},
		"an API server without port":        {"apiServerAddrs={10.0.0.1}", "at '/apiServerAddrs/0'"},
		"a log level of no such name":       {"log.level=verbose", "at '/log/level'"},
		"a switch that is neither":          {"metrics.serviceMonitor.enabled=maybe", "at '/metrics/serviceMonitor/enabled': got string, want boolean"},
		"a toleration's misspelt key":       {"tolerations[0].efect=NoSchedule", "at '/tolerations/0'"},
		"resources of Kubernetes misspelt":  {"resources.request.cpu=1", "at '/resources'"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := deploytest.Helm(t, "", "template", "calfed", "calfed", "--kube-version", "1.31.0", "--set", tc.set)
			if err == nil {
				t.Fatal("it was taken")
			}
			if !strings.Contains(out, tc.want) {
				t.Errorf("nothing says %q:\n%s", tc.want, out)
			}
		})
	}
}

func TestOldKubernetesIsRefused(t *testing.T) {
	t.Parallel()
	out, err := deploytest.Helm(t, "", "template", "calfed", "calfed", "--kube-version", "1.30.9")
	if err == nil || !strings.Contains(out, "incompatible with Kubernetes") {
		t.Errorf("%v\n%s", err, out)
	}
}

// Each value has a place in the schema, and there is no place without a value.
func TestSchemaKnowsTheValues(t *testing.T) {
	t.Parallel()
	var schema struct {
		Properties  map[string]json.RawMessage
		Definitions map[string]json.RawMessage
	}
	text, err := os.ReadFile("calfed/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	text, err = os.ReadFile("calfed/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.UnmarshalStrict(text, &values); err != nil {
		t.Fatal(err)
	}
	delete(schema.Properties, "global") // helm puts it in
	if diff := cmp.Diff(keys(values), keys(schema.Properties)); diff != "" {
		t.Errorf("(-values +schema)\n%s", diff)
	}
	for name, value := range values {
		members, ok := value.(map[string]any)
		var property struct {
			Ref        string `json:"$ref"`
			Properties map[string]json.RawMessage
		}
		if err := json.Unmarshal(schema.Properties[name], &property); err != nil {
			t.Fatal(err)
		}
		if definition, found := strings.CutPrefix(property.Ref, "#/definitions/"); found {
			if err := json.Unmarshal(schema.Definitions[definition], &property); err != nil {
				t.Fatal(err)
			}
		}
		if !ok || len(property.Properties) == 0 || len(members) == 0 {
			continue
		}
		if diff := cmp.Diff(keys(members), keys(property.Properties)); diff != "" {
			t.Errorf("%s: (-values +schema)\n%s", name, diff)
		}
	}
}

func keys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
