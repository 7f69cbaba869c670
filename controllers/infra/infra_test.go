package infra_test

import (
	"bytes"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/infra"
)

var update = flag.Bool("update", false, "rewrite testdata/*.out.yaml")

// facts are the second document of an input: what is there beside the gateway, and which kinds to show (all when none is named).
type facts struct {
	APIServer []netip.AddrPort `json:"apiServer"`
	Optional  []string         `json:"optional"` // kinds that the cluster has; "all"
	Replicas  *int32           `json:"replicas"`
	Scaled    bool             `json:"scaled"`
	Show      []string         `json:"show"`
}

func (f facts) facts() infra.Facts {
	out := infra.Facts{Image: "registry.example.org/calfed:v1", APIServer: f.APIServer, Replicas: f.Replicas, Scaled: f.Scaled, Kinds: map[schema.GroupVersionKind]bool{}}
	_, optional := infra.Kinds()
	for _, kind := range optional {
		out.Kinds[kind] = slices.Contains(f.Optional, kind.Kind) || slices.Contains(f.Optional, "all")
	}
	return out
}

// TestGolden makes the objects of every testdata/NAME.in.yaml and compares them with NAME.out.yaml. Regenerate with -update
// and read the difference.
func TestGolden(t *testing.T) {
	t.Parallel()
	inputs, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no inputs: %v", err)
	}
	for _, input := range inputs {
		t.Run(strings.TrimSuffix(filepath.Base(input), ".in.yaml"), func(t *testing.T) {
			t.Parallel()
			got := render(t, input)
			file := strings.TrimSuffix(input, ".in.yaml") + ".out.yaml"
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
		})
	}
}

func render(t *testing.T, input string) []byte {
	t.Helper()
	text, err := os.ReadFile(input)
	if err != nil {
		t.Fatal(err)
	}
	docs := bytes.SplitN(text, []byte("\n---\n"), 2)
	var gw v1alpha1.FederationGateway
	var f facts
	if err := yaml.UnmarshalStrict(docs[0], &gw); err != nil {
		t.Fatal(err)
	}
	if len(docs) > 1 {
		if err := yaml.UnmarshalStrict(docs[1], &f); err != nil {
			t.Fatal(err)
		}
	}
	gw.UID = "00000000-0000-0000-0000-000000000001"
	var out bytes.Buffer
	for _, p := range infra.Missing(&gw, f.facts().Kinds) {
		fmt.Fprintf(&out, "# %s: %s\n", p.Field, p.Message)
	}
	for _, o := range objects(t, &gw, f.facts()) {
		if o.Apply == nil {
			fmt.Fprintf(&out, "# no %s %s\n", o.Kind.Kind, o.Name)
			continue
		}
		if len(f.Show) > 0 && !slices.Contains(f.Show, o.Kind.Kind) {
			continue
		}
		b, err := yaml.Marshal(o.Apply.Object)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "---\n%s", b)
	}
	return out.Bytes()
}

func objects(t *testing.T, gw *v1alpha1.FederationGateway, f infra.Facts) []infra.Object {
	t.Helper()
	all, err := infra.Objects(gw, f)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
