//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// Pods come and go with spec.replicas, and no message is lost or delivered twice.
func TestScaleUnderLoad(t *testing.T) {
	x := underLoad(t)
	for _, step := range []struct{ from, to int }{{2, 6}, {6, 2}} {
		nothingLost(t, x.during(t, fmt.Sprintf("scale %d -> %d, both gateways", step.from, step.to), func() {
			for _, s := range x.sides() {
				x.kubectl(t, "", "-n", s.name, "patch", "fgw/edge", "--type=merge", "--patch", fmt.Sprintf(`{"spec":{"replicas":%d}}`, step.to))
			}
			for _, s := range x.sides() {
				x.settled(t, s, step.to, nil)
			}
		}))
	}
}

// settled waits until a gateway has exactly n pods, all of them ready and such as they should be, and is Ready.
func (x *traffic) settled(t testing.TB, s *side, n int, such func(corev1.Pod) bool) {
	t.Helper()
	x.until(t, fmt.Sprintf("%s has %d pods as they should be, and no other", s.name, n), func() string {
		return x.kubectl(t, "", "-n", s.name, "get", "pods,fgw", "-o", "wide")
	}, func(ctx context.Context) bool {
		pods := x.gatewayPods(ctx, t, s.name)
		for _, p := range pods {
			if !podReady(&p) || such != nil && !such(p) {
				return false
			}
		}
		return len(pods) == n && len(x.notReady(ctx, s.name)) == 0
	})
}

func podReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue && p.DeletionTimestamp == nil
		}
	}
	return false
}
