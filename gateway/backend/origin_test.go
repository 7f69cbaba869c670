package backend_test

import (
	"net/url"
	"testing"

	"github.com/calfed/calfed/gateway/backend"
)

// Proves: IS-BACK-3
func TestSameOrigin(t *testing.T) {
	parse := func(s string) *url.URL {
		t.Helper()
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	for _, tc := range []struct {
		from, to string
		want     bool
	}{
		{"https://cal.example/dav/", "https://cal.example/other", true},
		{"https://cal.example/", "https://CAL.example:443/", true},
		{"http://cal.example:80/", "http://cal.example/", true},
		{"https://cal.example/", "http://cal.example/", false},
		{"https://cal.example/", "http://cal.example:443/", false},
		{"https://cal.example/", "https://cal.example:8443/", false},
		{"https://cal.example/", "https://evil.example/", false},
		{"https://cal.example/", "https://cal.example.evil.example/", false},
		{"https://cal.example/", "https://eve@cal.example/", false},
		{"https://cal.example/", "https:cal.example", false},
	} {
		if got := backend.SameOrigin(parse(tc.from), parse(tc.to)); got != tc.want {
			t.Errorf("from %s to %s: %v", tc.from, tc.to, got)
		}
	}
}
