package gateway_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// README.md lists every metric there is, and no other.
func TestManualListsTheMetrics(t *testing.T) {
	metric := regexp.MustCompile(`calfed_[a-z_]+`)
	manual, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(manual), "\n## Metrics\n")
	table, _, _ := strings.Cut(rest, "\n\nGo's")
	want := metric.FindAllString(table, -1)

	inQuotes := regexp.MustCompile(`"(calfed_[a-z_]+)"`)
	var got []string
	for _, folder := range []string{".", "../cmd/calfed/secretsource"} {
		err = filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			for _, m := range inQuotes.FindAllSubmatch(source, -1) {
				got = append(got, string(m[1]))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, list := range []*[]string{&want, &got} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-in the manual +in the code):\n%s", diff)
	}
}
