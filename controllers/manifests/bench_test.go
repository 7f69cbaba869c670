package manifests_test

import (
	"os"
	"testing"

	"github.com/calfed/calfed/controllers/manifests"
)

func BenchmarkParse(b *testing.B) {
	data, err := os.ReadFile("testdata/standalone.yaml")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, problems := manifests.Parse(manifests.File{Name: "x.yaml", Data: data}); len(problems) > 0 {
			b.Fatal(problems)
		}
	}
}
