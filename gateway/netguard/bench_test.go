package netguard_test

import (
	"testing"

	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/netguard/catest"
)

func BenchmarkReadSRVIDs(b *testing.B) {
	ca, err := catest.New()
	if err != nil {
		b.Fatal(err)
	}
	c, err := ca.Issue(catest.Leaf{DNS: []string{"cal.test"}, SRV: []string{"_ischedules.example.test"}})
	if err != nil {
		b.Fatal(err)
	}
	for _, ext := range c.Leaf.Extensions {
		if ext.Id.String() != "2.5.29.17" {
			continue
		}
		b.ReportAllocs()
		for b.Loop() {
			if len(netguard.ReadSRVIDs(ext.Value)) != 1 {
				b.Fatal("no SRV-ID read")
			}
		}
	}
}
