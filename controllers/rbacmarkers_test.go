package controllers

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

const rbacMarker = "+kubebuilder:rbac:"

// What the code says it may do is what config/rbac, and with it the chart, gives the operator. controller-gen passes over
// markers in the doc comment of a type without a word: an empty line must part them.
func TestRBACMarkersAreInTheRole(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok && strings.Contains(g.Doc.Text(), rbacMarker) {
				t.Errorf("%s: RBAC markers in the doc comment of a declaration are not read: put an empty line after them", path)
			}
		}
		for _, group := range file.Comments {
			for line := range strings.Lines(group.Text()) {
				if marker, ok := strings.CutPrefix(strings.TrimSpace(line), rbacMarker); ok {
					maps.Insert(want, maps.All(rightsOf(t, path, marker)))
				}
			}
		}
	}
	text, err := os.ReadFile("../config/rbac/role.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var role rbacv1.ClusterRole
	if err := yaml.UnmarshalStrict(text, &role); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, r := range role.Rules {
		maps.Insert(got, maps.All(rights(r.APIGroups, r.Resources, r.Verbs)))
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("config/rbac/role.yaml is stale, run make generate: (-markers +role)\n%s", diff)
	}
}

func rightsOf(t *testing.T, path, marker string) map[string]bool {
	t.Helper()
	fields := map[string][]string{}
	for field := range strings.SplitSeq(marker, ",") {
		name, value, _ := strings.Cut(field, "=")
		fields[name] = strings.Split(strings.Trim(value, `"`), ";")
	}
	if len(fields) != 3 {
		t.Errorf("%s: %s%s: this test knows groups, resources and verbs", path, rbacMarker, marker)
	}
	return rights(fields["groups"], fields["resources"], fields["verbs"])
}

func rights(groups, resources, verbs []string) map[string]bool {
	out := map[string]bool{}
	for _, g := range groups {
		for _, r := range resources {
			for _, v := range verbs {
				out[v+" "+r+"."+g] = true
			}
		}
	}
	return out
}
