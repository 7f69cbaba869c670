//go:build e2e

package e2e_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/hack/e2e/peer/load"
)

// A node loses its power. What was on its way to a pod there may fail until the cluster has taken the pod's endpoints away, and what is sent
// again arrives; afterwards nothing fails.
func TestPowerOffUnderLoad(t *testing.T) {
	x := underLoad(t)
	node := x.victim(t)
	pods := x.gatewayPods(t.Context(), t, "east")
	there := 0
	for _, p := range pods {
		if p.Spec.NodeName == node {
			there++
		}
	}
	booted := true
	t.Cleanup(func() {
		if !booted {
			x.hook(t, "node-up", node)
		}
	})
	var dark, removed, quiet time.Time // quiet: from when nothing may fail
	outcomes := x.during(t, "power-off of "+node, func() {
		dark, booted = time.Now(), false
		x.hook(t, "node-kill", node)
		x.until(t, "the endpoints on "+node+" are taken away", func() string { return x.kubectl(t, "", "get", "endpointslices,nodes", "-A", "-o", "wide") }, func(ctx context.Context) bool {
			return !x.endpointsOn(ctx, t, node)
		})
		removed = time.Now()
		quiet = removed.Add(max(programmed, kept-removed.Sub(dark)))
		x.until(t, "nobody knows the pods there any more", func() string { return "" }, func(context.Context) bool { return time.Now().After(quiet) })
		for range 3 { // two seconds of each stream
			x.flow(t)
		}
	})
	t.Logf("the endpoints on %s were taken away after %s", node, removed.Sub(dark).Round(time.Second))
	for _, o := range outcomes {
		name := o.stream.name
		if o.Unresolved > 0 || o.Resent != o.Failed || o.Answered != o.Sent || len(o.missing) > 0 {
			t.Errorf("%s: %d were never answered, %d of %d that failed when they were sent again, %v answered and lost", name, o.Unresolved, o.Resent, o.Failed, o.missing)
		}
		// each connection is to any of the pods; a fifth more is for chance
		dead := float64(there)/float64(len(pods)) + 0.2
		if most := dead * o.stream.rate * (removed.Sub(dark) + programmed).Seconds(); name == "signed" && (float64(o.Failed) > most || o.Failed == 0) {
			t.Errorf("%s: %d failed, which should be some, and at most the %.0f that were on their way to %d of %d pods", name, o.Failed, most, there, len(pods))
		}
		for text, n := range kinds(o.Failures) {
			t.Logf("%s: %d tries failed: %s", name, n, text)
		}
		failed := map[string]bool{}
		late := 0
		for _, f := range o.Failures {
			failed[f.UID] = true
			// a new connection must not lead there once the endpoints are gone; one that was made before may last a little longer
			gone := removed.Add(programmed)
			if onward := dark.Add(noticed); name == "submitted" && onward.After(gone) {
				gone = onward
			}
			if f.At.After(quiet) || f.At.After(gone) && !strings.HasPrefix(f.Error, load.OnKept) {
				late++
				t.Errorf("%s: failed though it was sent %s after the endpoints were taken away: %+v", name, f.At.Sub(removed).Round(time.Millisecond), f)
			}
			if late == 3 {
				break
			}
		}
		for _, d := range o.doubled {
			if uid, _, _ := strings.Cut(d, " "); !failed[uid] {
				t.Errorf("%s: doubled though it did not fail: %s", name, d)
			}
		}
	}
	x.hook(t, "node-up", node)
	booted = true
	for _, s := range x.sides() {
		x.settled(t, s, 2, nil)
	}
	nothingLost(t, x.during(t, node+" is back", func() {}))
}

// kinds counts failed tries by their end.
func kinds(failures []load.Failure) map[string]int {
	out := map[string]int{}
	for _, f := range failures {
		out[f.Error[strings.LastIndex(f.Error, ": ")+1:]]++
	}
	return out
}

const (
	programmed = 3 * time.Second  // for kube-proxy to follow a change of endpoints: 0.9 s here
	noticed    = 16 * time.Second // for a gateway to notice that the peer at the other end of a connection has no power
	kept       = 40 * time.Second // for a connection to a dead pod: clients keep one for 30 s without use, and wait 10 s for an answer
)

// endpointsOn says whether a Service of a gateway still leads to a node.
func (x *traffic) endpointsOn(ctx context.Context, t testing.TB, node string) bool {
	for _, s := range x.sides() {
		var list discoveryv1.EndpointSliceList
		if err := x.c.List(ctx, &list, client.InNamespace(s.name)); err != nil {
			t.Logf("list the endpoints of %s: %v", s.name, err)
			return true
		}
		for _, slice := range list.Items {
			if slices.ContainsFunc(slice.Endpoints, func(e discoveryv1.Endpoint) bool {
				return e.NodeName != nil && *e.NodeName == node && e.Conditions.Ready != nil && *e.Conditions.Ready
			}) {
				return true
			}
		}
	}
	return false
}
