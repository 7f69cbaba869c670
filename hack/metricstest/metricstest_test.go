package metricstest_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/hack/metricstest"
)

const text = `# HELP calls of ours
# TYPE calls counter
calls{pod="a",container="x"} 2 1795403403203
calls{pod="b",pods="c"} 0.5
depth 3
size{le="+Inf"} 1e+06

nonsense
calls{pod="d"} many
`

func TestSamplesAreReadAsTheyAre(t *testing.T) {
	got := slices.Collect(metricstest.Samples(strings.NewReader(text)))
	if len(got) != 4 {
		t.Fatalf("%d samples: %+v", len(got), got)
	}
	first := got[0]
	if first.Name != "calls" || first.Value != 2 || !first.At.Equal(time.UnixMilli(1795403403203)) {
		t.Errorf("%+v", first)
	}
	labels := []string{first.Label("pod"), first.Label("container"), first.Label("tainer"), got[1].Label("pods"), got[2].Label("pod")}
	if diff := cmp.Diff([]string{"a", "x", "", "c", ""}, labels); diff != "" {
		t.Error(diff)
	}
	if !got[1].At.IsZero() {
		t.Errorf("a sample without a time is of %s", got[1].At)
	}
}

func TestSumsAreOverLabels(t *testing.T) {
	if diff := cmp.Diff(map[string]float64{"calls": 2.5, "depth": 3, "size": 1e6}, metricstest.Sums(strings.NewReader(text))); diff != "" {
		t.Error(diff)
	}
}
