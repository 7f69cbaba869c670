package snapshot_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/snapshot"
)

func TestWidest(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ patterns, want []string }{
		"none":                               {nil, nil},
		"all includes the rest":              {[]string{"a.example", "*", "*.example"}, []string{"*"}},
		"a suffix includes what is below it": {[]string{"*.b.a.example", "x.a.example", "*.a.example"}, []string{"*.a.example"}},
		"and neither itself nor its like":    {[]string{"a.example", "*.a.example", "b.example", "*.ba.example"}, []string{"a.example", "*.a.example", "b.example", "*.ba.example"}},
		"one below all":                      {[]string{"*.example", "example"}, []string{"*.example", "example"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, snapshot.Widest(tc.patterns)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
