package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is generated is as make generate would write it now, and there is nothing else beside it.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	t.Parallel()
	root := "../.."
	want, err := generate(root)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range want {
		has, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(string(text), string(has)); diff != "" {
			t.Errorf("%s is stale, run make generate: (-want +got)\n%s", name, diff)
		}
	}
	definitions, err := filepath.Glob(filepath.Join(root, chart, "files/crds/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range definitions {
		if name, _ := filepath.Rel(root, path); want[name] == nil {
			t.Errorf("%s is no definition of config/crd any more: remove it", name)
		}
	}
}

func TestTableOfValues(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ values, want, err string }{
		"one row a leaf": {
			values: "# how\n# many\nreplicas: 1\nimage:\n  # where from\n  tag: \"\"\n# any\nlabels: {}\n# whole\nmap:\n  a: [\"b\"]\n",
			want: "| value | default | meaning |\n|---|---|---|\n| `replicas` | `1` | how many |\n| `image.tag` | `\"\"` | where from |\n" +
				"| `labels` | `{}` | any |\n| `map` | `{a: [\"b\"]}` | whole |\n",
		},
		"what is not explained is refused": {values: "replicas: 1\n", err: "line 1: replicas has no comment"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := table([]byte(tc.values))
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
