package controllers

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	"github.com/calfed/calfed/controllers/board"
)

// README.md lists every metric of the operator's own, and no other.
func TestManualListsTheMetrics(t *testing.T) {
	manual, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(manual), "\n## Metrics\n")
	table, _, _ := strings.Cut(rest, "\n## ")
	want := regexp.MustCompile(`calfed_[a-z_]+`).FindAllString(table, -1)

	registry := prometheus.NewRegistry()
	m, err := newMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	edge := types.NamespacedName{Namespace: "calendars", Name: "edge"}
	m.gateway(edge, board.Gateway{Domains: 3, Held: []string{"a", "b"}, Pods: []board.Pod{{Programmed: true}, {Problem: "unreachable"}, {}}})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	values := map[string]float64{}
	for _, f := range families {
		got = append(got, f.GetName())
		if g := f.GetMetric()[0].GetGauge(); g != nil {
			values[f.GetName()] = g.GetValue()
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := gocmp.Diff(slices.Compact(want), got); diff != "" {
		t.Errorf("metrics (-in the manual +registered):\n%s", diff)
	}
	wantValues := map[string]float64{
		"calfed_manager_domains": 3, "calfed_manager_held_removals": 2,
		"calfed_manager_pods": 3, "calfed_manager_pods_programmed": 1, "calfed_manager_pods_blocking": 1,
	}
	if diff := gocmp.Diff(wantValues, values); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	m.forget(edge)
	if families, err = registry.Gather(); err != nil || len(families) != len(got)-len(wantValues) {
		t.Errorf("%d families are left of a gateway that is gone, err %v", len(families), err)
	}
}
