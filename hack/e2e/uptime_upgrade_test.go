//go:build e2e

package e2e_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// helm upgrade to a new image replaces the operator and, by it, the pods of all gateways.
func TestUpgradeUnderLoad(t *testing.T) {
	x := underLoad(t)
	x.hook(t, "load", env("CALFED_NEXT_IMAGE", "../../bin/calfed-next-image.tar"))
	nothingLost(t, x.during(t, "upgrade to another image", func() {
		x.helm(t, "upgrade", "calfed", chart, "--namespace", systemNS, "--reset-then-reuse-values", "--set", "image.tag=next")
		x.kubectl(t, "", "-n", systemNS, "rollout", "status", "deployment/calfed", "--timeout=120s")
		for _, s := range x.sides() {
			x.settled(t, s, 2, func(p corev1.Pod) bool { return strings.HasSuffix(p.Spec.Containers[0].Image, ":next") })
		}
	}))
}
