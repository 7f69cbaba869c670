//go:build e2e

package e2e_test

import (
	"context"
	"testing"
	"time"
)

// away is how long the API server is gone.
const away = time.Minute

// Gateways serve on with what they have while there is no API server, and what changes after it is back arrives.
func TestNoAPIServerUnderLoad(t *testing.T) {
	x := underLoad(t)
	before := x.serials(t)
	answers := func(ctx context.Context) bool {
		_, err := x.tryKubectl(ctx, "", "get", "--raw", "/readyz", "--request-timeout=2s")
		return err == nil
	}
	t.Cleanup(func() { x.hook(t, "api-up") }) // however this ends
	var back time.Time
	nothingLost(t, x.during(t, "no API server for a minute", func() {
		x.hook(t, "api-down")
		x.until(t, "the API server is gone", func() string { return "" }, func(ctx context.Context) bool { return !answers(ctx) })
		gone := time.Now()
		x.until(t, "a minute is over", func() string { return "" }, func(context.Context) bool { return time.Since(gone) > away })
		x.hook(t, "api-up")
		x.until(t, "the API server answers", func() string { return "" }, answers)
		back = time.Now()
		x.Certificate(t, "east", "edge-tls", x.east.host, x.east.submitHost)
		x.renewed(t, before)
		t.Logf("both pods of east serve what changed %s after the API server was back", since(back))
		for _, s := range x.sides() {
			x.settled(t, s, 2, nil)
			t.Logf("%s is as it should be after %s", s.name, since(back))
		}
	}))
	x.nodesFollow(t)
	t.Logf("the nodes hear of Services again %s after the API server was back", since(back))
}

const freshService = `
apiVersion: v1
kind: Service
metadata: {name: fresh, namespace: peers}
spec: {selector: {peer: signed}, ports: [{port: 8090}]}
`

// nodesFollow waits until a Service that is new can be reached by way of this machine's node, and of those where gateway pods of west are.
// kube-proxy asks a lost API server again ever more rarely: until it does, its node goes by what was before.
func (x *traffic) nodesFollow(t *testing.T) {
	t.Helper()
	x.apply(t, freshService)
	defer x.kubectl(t, freshService, "delete", "-f", "-")
	ip := x.serviceIP(t, peersNS, "fresh")
	x.listening(t, ip+":8090")
	for _, pod := range x.gatewayPods(t.Context(), t, "west") {
		var last error
		x.until(t, "pod "+pod.Name+" reaches a new Service", func() string { return openOr(last) }, func(ctx context.Context) bool {
			last = x.fromPod(&pod, ip, 8090)(ctx)
			return last == nil
		})
	}
}
