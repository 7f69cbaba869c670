package keys_test

import (
	"testing"

	"github.com/calfed/calfed/gateway/keys"
)

// What a message costs whose key is cached.
func BenchmarkFindCached(b *testing.B) {
	l := keys.New(keys.Config{DNS: &countingDNS{txt: [][]string{{record(b)}}}})
	defer l.Close()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Find(b.Context(), request()); err != nil {
			b.Fatal(err)
		}
	}
}

// A document of two keys.
func BenchmarkKeyDocument(b *testing.B) {
	doc := record(b) + "\r\n" + record(b) + "\r\n"
	b.ReportAllocs()
	for b.Loop() {
		if n, _ := keys.Read(keys.Lines(doc)); n != 2 {
			b.Fatal(n)
		}
	}
}
