//go:build e2e

package e2e_test

import (
	"context"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// An autoscaler adds pods as the load grows, by the figures of the cluster's metrics API; without it the number of the spec is back. Nothing is
// lost meanwhile.
func TestAutoscalingUnderLoad(t *testing.T) {
	x := underLoad(t)
	if x.kubectl(t, "", "get", "apiservice", "v1beta1.metrics.k8s.io", "--ignore-not-found", "--output", "name") == "" {
		t.Skip("this cluster has no metrics API, so nothing can be said about autoscaling")
	}
	nothingLost(t, x.during(t, "autoscaling 2 -> 3", func() {
		// 1 % of the CPU that pods ask for is less than any load needs
		x.kubectl(t, "", "-n", "east", "patch", "fgw/edge", "--type=merge", "--patch",
			`{"spec":{"replicas":null,"autoscaling":{"minReplicas":2,"maxReplicas":3,"targetCPUUtilization":1}}}`)
		x.until(t, "the autoscaler has added a pod", func() string { return x.kubectl(t, "", "-n", "east", "describe", "hpa") }, func(ctx context.Context) bool {
			var d appsv1.Deployment
			return x.c.Get(ctx, client.ObjectKey{Namespace: "east", Name: "edge"}, &d) == nil && d.Status.ReadyReplicas == 3
		})
		t.Logf("\n%s", x.kubectl(t, "", "-n", "east", "get", "hpa,pods", "-o", "wide"))
		x.kubectl(t, "", "-n", "east", "patch", "fgw/edge", "--type=merge", "--patch", `{"spec":{"autoscaling":null,"replicas":2}}`)
		x.settled(t, x.east, 2, nil)
	}))
}
