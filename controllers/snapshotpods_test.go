package controllers

import (
	"testing"

	"github.com/calfed/calfed/gateway/snapshot"
)

// What keeps a pod from the newest snapshot is told; one that serves it has nothing to tell.
func TestWhatKeepsAPodBehindIsTold(t *testing.T) {
	t.Parallel()
	cluster := &stored{index: &storedIndex{uid: "uid", index: snapshot.Index{Serial: 2}}}
	const blind = "it does not reach the API server"
	refused := []snapshot.Rejection{{Secret: "edge-snap-001", Problem: "torn"}}
	for name, tc := range map[string]struct {
		status snapshot.PodStatus
		want   string
	}{
		"on the way":                  {snapshot.PodStatus{IndexUID: "uid", Serial: 1}, ""},
		"it hears of nothing newer":   {snapshot.PodStatus{IndexUID: "uid", Serial: 1, Blind: blind}, blind},
		"nor did it ever":             {snapshot.PodStatus{Blind: blind}, blind},
		"it refuses what it heard of": {snapshot.PodStatus{IndexUID: "uid", Serial: 1, Blind: blind, Rejected: refused}, "rejects Secret edge-snap-001: torn"},
		"there is nothing newer":      {snapshot.PodStatus{IndexUID: "uid", Serial: 2, Blind: blind}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := podSeen{name: "edge-1"}
			p.hear(tc.status, cluster)
			if got := p.post().Problem; got != tc.want {
				t.Errorf("%q", got)
			}
		})
	}
}
