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
	nothingLost(t, x.during(t, "no API server for a minute", func() {
		x.hook(t, "api-down")
		x.until(t, "the API server is gone", func() string { return "" }, func(ctx context.Context) bool { return !answers(ctx) })
		gone := time.Now()
		x.until(t, "a minute is over", func() string { return "" }, func(context.Context) bool { return time.Since(gone) > away })
		x.hook(t, "api-up")
		x.until(t, "the API server answers", func() string { return "" }, answers)
		back := time.Now()
		x.Certificate(t, "east", "edge-tls", x.east.host, x.east.submitHost)
		x.renewed(t, before)
		t.Logf("both pods of east serve what changed %s after the API server was back", since(back))
		for _, s := range x.sides() {
			x.settled(t, s, 2, nil)
			t.Logf("%s is as it should be after %s", s.name, since(back))
		}
	}))
}
