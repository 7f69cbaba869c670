//go:build e2e

package e2e_test

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// A node is drained as for its maintenance: its pods leave one after the other, as the budget wants it, and others serve.
func TestDrainUnderLoad(t *testing.T) {
	x := underLoad(t)
	node := x.victim(t)
	t.Cleanup(func() {
		// the test's own context is over
		if out, err := x.tryKubectl(context.Background(), "", "uncordon", node); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	nothingLost(t, x.during(t, "drain of "+node, func() {
		x.kubectl(t, "", "drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=150s")
		for _, s := range x.sides() {
			x.settled(t, s, 2, func(p corev1.Pod) bool { return p.Spec.NodeName != node })
		}
	}))
}

// victim is a node that has one of the two pods of east, and none of the load's. Where there is none, pods of east are made to move until
// one has.
func (x *traffic) victim(t testing.TB) string {
	t.Helper()
	for range 5 {
		on := map[string]int{}
		for _, p := range x.gatewayPods(t.Context(), t, "east") {
			if podReady(&p) {
				on[p.Spec.NodeName]++
			}
		}
		for node, n := range on {
			if node != x.node && n == 1 && len(on) == 2 {
				return node
			}
		}
		x.kubectl(t, "", "-n", "east", "rollout", "restart", "deployment/edge")
		x.settled(t, x.east, 2, nil)
	}
	t.Fatal("both pods of east are on one node, again and again")
	return ""
}
