//go:build e2e

package e2e_test

import (
	"context"
	"testing"
	"time"
)

// away is how long the API server is gone.
const away = time.Minute

// Gateways serve on with what they have while there is no API server, and changes that were made before it went and after it is back arrive.
func TestNoAPIServerUnderLoad(t *testing.T) {
	x := underLoad(t)
	nothingLost(t, x.during(t, "no API server for a minute", func() {
		x.hook(t, "api-down")
		gone := time.Now()
		x.until(t, "a minute is over", func() string { return "" }, func(context.Context) bool { return time.Since(gone) > away })
		x.hook(t, "api-up")
		x.until(t, "the API server answers", func() string { return "" }, func(ctx context.Context) bool {
			_, err := x.tryKubectl(ctx, "", "get", "--raw", "/readyz")
			return err == nil
		})
		back := time.Now()
		x.Certificate(t, "east", "edge-tls", x.east.host, x.east.submitHost)
		for _, s := range x.sides() {
			x.settled(t, s, 2, nil)
			t.Logf("%s is as it should be %s after the API server was back", s.name, since(back))
		}
	}))
}
