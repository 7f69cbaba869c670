//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// Policies change while messages flow that they go on to allow: another level of free/busy, another peer, a policy that comes and goes.
func TestPolicyChangeUnderLoad(t *testing.T) {
	x := underLoad(t)
	ready := func(what string) {
		t.Helper()
		x.until(t, what, func() string { return strings.Join(x.notReady(context.Background(), "east"), "\n") }, func(ctx context.Context) bool {
			return len(x.notReady(ctx, "east")) == 0
		})
	}
	nothingLost(t, x.during(t, "20 changes of policies of east", func() {
		for i := range 5 {
			for _, level := range []string{"Full", "BusyOnly"} {
				x.kubectl(t, "", "-n", "east", "patch", "ppol/partners", "--type=merge", "--patch", fmt.Sprintf(`{"spec":{"inbound":{"freeBusy":%q}}}`, level))
				ready("free/busy " + level)
			}
			x.apply(t, fmt.Sprintf(`{apiVersion: federation.calfed.dev/v1alpha1, kind: PeerPolicy, metadata: {name: another, namespace: east},
 spec: {peers: [another%d.example], action: Deny}}`, i))
			ready("another policy")
			x.kubectl(t, "", "-n", "east", "delete", "ppol/another")
			ready("no other policy")
		}
	}))
}
