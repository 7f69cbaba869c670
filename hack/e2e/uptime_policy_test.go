//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Policies change while messages flow that they go on to allow: another level of free/busy, another policy that comes and goes. Each change is
// in a snapshot of its own that every pod serves before the next is made.
func TestPolicyChangeUnderLoad(t *testing.T) {
	x := underLoad(t)
	index := func(ctx context.Context) string {
		var s corev1.Secret
		if err := x.c.Get(ctx, client.ObjectKey{Namespace: "east", Name: "edge-snap-index"}, &s); err != nil {
			t.Log(err)
			return ""
		}
		return s.ResourceVersion
	}
	changes := 0
	change := func(what string, make func()) {
		t.Helper()
		before := index(t.Context())
		if before == "" {
			t.Fatal("there is no index")
		}
		make()
		x.until(t, "every pod serves "+what, func() string { return strings.Join(x.notReady(context.Background(), "east"), "\n") }, func(ctx context.Context) bool {
			now := index(ctx)
			return now != "" && now != before && len(x.notReady(ctx, "east")) == 0
		})
		changes++
	}
	nothingLost(t, x.during(t, "20 changes of policies of east", func() {
		for i := range 5 {
			for _, level := range []string{"Full", "BusyOnly"} {
				change("free/busy "+level, func() {
					x.kubectl(t, "", "-n", "east", "patch", "ppol/partners", "--type=merge", "--patch", fmt.Sprintf(`{"spec":{"inbound":{"freeBusy":%q}}}`, level))
				})
			}
			change("another policy", func() {
				x.apply(t, fmt.Sprintf(`{apiVersion: federation.calfed.dev/v1alpha1, kind: PeerPolicy, metadata: {name: another, namespace: east},
 spec: {peers: [another%d.example], action: Deny}}`, i))
			})
			change("no other policy", func() { x.kubectl(t, "", "-n", "east", "delete", "ppol/another") })
		}
	}))
	if changes != 20 {
		t.Errorf("%d changes", changes)
	}
}
