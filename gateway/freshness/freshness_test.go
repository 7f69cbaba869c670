package freshness_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/freshness"
)

// Proves: IS-CAP-5, IS-DKIM-12
func TestOf(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for _, tc := range []struct {
		name string
		h    http.Header
		want time.Duration
	}{
		{"nothing said", http.Header{}, 5 * time.Minute},
		{"max-age", http.Header{"Cache-Control": {"public, Max-Age=60"}}, time.Minute},
		{"max-age in quotes", http.Header{"Cache-Control": {`max-age="60"`}}, time.Minute},
		{"max-age less Age", http.Header{"Cache-Control": {"max-age=60"}, "Age": {"20"}}, 40 * time.Second},
		{"older than max-age", http.Header{"Cache-Control": {"max-age=60"}, "Age": {"61"}}, 0},
		{"the first max-age counts", http.Header{"Cache-Control": {"max-age=60", "max-age=90"}}, time.Minute},
		{"max-age beats Expires", http.Header{"Cache-Control": {"max-age=60"}, "Expires": {at(time.Hour)}}, time.Minute},
		{"max-age that cannot be read", http.Header{"Cache-Control": {"max-age=soon"}}, 0},
		{"max-age that is negative", http.Header{"Cache-Control": {"max-age=-1"}}, 0},
		{"max-age in a second field", http.Header{"Cache-Control": {"private", "max-age=60"}}, time.Minute},
		{"a year is a day", http.Header{"Cache-Control": {"max-age=31536000"}}, 24 * time.Hour},
		{"a year, two days old", http.Header{"Cache-Control": {"max-age=31536000"}, "Age": {"172800"}}, 24 * time.Hour},
		{"Expires in a year is a day", http.Header{"Expires": {at(365 * 24 * time.Hour)}}, 24 * time.Hour},
		{"max-age beyond 64 bits", http.Header{"Cache-Control": {"max-age=99999999999999999999999"}}, 24 * time.Hour},
		{"no-store", http.Header{"Cache-Control": {"max-age=60, no-store"}}, 0},
		{"no-cache", http.Header{"Cache-Control": {"no-cache"}}, 0},
		{"Expires by our clock", http.Header{"Expires": {at(time.Minute)}}, time.Minute},
		{"Expires by their clock", http.Header{"Expires": {at(time.Hour)}, "Date": {at(59 * time.Minute)}}, time.Minute},
		{"Expires in the past", http.Header{"Expires": {at(-time.Minute)}}, 0},
		{"Expires: 0", http.Header{"Expires": {"0"}}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := freshness.Of(tc.h, now); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

// Proves: IS-CAP-5, IS-DKIM-12
func FuzzOf(f *testing.F) {
	f.Add("max-age=60, no-transform", "10", "", "")
	f.Add("", "", "Sun, 22 Nov 2026 12:00:00 GMT", "Sun, 22 Nov 2026 11:00:00 GMT")
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, cacheControl, age, expires, date string) {
		h := http.Header{"Cache-Control": {cacheControl}, "Age": {age}, "Expires": {expires}, "Date": {date}}
		got := freshness.Of(h, now)
		if got < 0 || got > 24*time.Hour {
			t.Errorf("got %v", got)
		}
		if got > 0 && (strings.EqualFold(cacheControl, "no-store") || strings.EqualFold(cacheControl, "no-cache")) {
			t.Errorf("%s: got %v", cacheControl, got)
		}
		h.Set("Cache-Control", cacheControl+", no-store")
		if got := freshness.Of(h, now); got != 0 {
			t.Errorf("with no-store: %v", got)
		}
	})
}

func BenchmarkOf(b *testing.B) {
	h := http.Header{"Cache-Control": {"private, max-age=600"}, "Age": {"20"}}
	now := time.Unix(1_800_000_000, 0)
	b.ReportAllocs()
	for b.Loop() {
		if freshness.Of(h, now) == 0 {
			b.Fatal("stale")
		}
	}
}
