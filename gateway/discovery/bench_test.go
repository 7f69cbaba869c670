package discovery_test

import (
	"testing"

	"github.com/calfed/calfed/gateway/discovery"
)

func BenchmarkTXTPath(b *testing.B) {
	records := [][]string{{"v=1", "x"}, {"v=1", "path=/caldav/schedule"}}
	b.ReportAllocs()
	for b.Loop() {
		if path, _ := discovery.TXTPath(records); path == "" {
			b.Fatal("no path")
		}
	}
}
