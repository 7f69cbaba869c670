package controllers

import (
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/snapshot"
)

// Of each namespace but the gateway's own the largest domains go, until what stays takes no more than the share; a policy counts once.
func TestWhoHasToMakeRoom(t *testing.T) {
	t.Parallel()
	domain := func(source string, size float64, policies ...string) sized {
		return sized{&snapshot.Domain{Name: source, Source: source, Policies: policies}, size}
	}
	for name, tc := range map[string]struct {
		domains  map[string][]sized // the smallest first
		policies map[string]float64
		want     []string
		total    float64
	}{
		"the largest go": {
			domains: map[string][]sized{"a": {domain("a/1", .125), domain("a/2", .25), domain("a/3", .5)}, "b": {domain("b/1", .25)}},
			want:    []string{"a/3"}, total: .625,
		},
		"nobody who takes less": {domains: map[string][]sized{"a": {domain("a/1", .5)}, "b": {domain("b/1", .5)}, "c": {domain("c/1", .5)}}, total: 1.5},
		"not the gateway's":     {domains: map[string][]sized{"home": {domain("home/1", 2)}, "a": {domain("a/1", 2)}}, want: []string{"a/1"}, total: 2},
		"a policy counts once": {
			domains:  map[string][]sized{"a": {domain("a/1", .0625, "p"), domain("a/2", .0625, "p"), domain("a/3", .0625, "p", "q")}},
			policies: map[string]float64{"p": .25, "q": .25}, want: []string{"a/3"}, total: .375,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sizes{tc.domains, tc.policies}
			excess, total := s.excess("home", .5)
			var got []string
			for id := range excess {
				got = append(got, id)
			}
			slices.Sort(got)
			if diff := gocmp.Diff(tc.want, got); diff != "" || total != tc.total {
				t.Errorf("%s total %v, want %v", diff, total, tc.total)
			}
		})
	}
}
