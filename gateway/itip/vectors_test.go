package itip_test

import (
	"os"
	"testing"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
)

// What other implementations really send passes, and its parties match.
//
// Proves: IS-RECV-4, IS-RECV-5
func TestMessagesOfOtherImplementations(t *testing.T) {
	for _, c := range []struct {
		file, method, component, originator string
		recipients                          []string
	}{
		{"cyrus-vevent", "REQUEST", "VEVENT", "mailto:cyrus@example.org", []string{"guest@gw.example"}},
		{"cyrus-vfreebusy-2rcpt", "REQUEST", "VFREEBUSY", "mailto:cyrus@example.org", []string{"mailto:guest2@gw.example", "mailto:guest@gw.example"}},
		{"davical-vevent-simple-http", "REQUEST", "VEVENT", "mailto:dave@dav.example.net", []string{"guest@gw.example"}},
	} {
		t.Run(c.file, func(t *testing.T) {
			body, err := os.ReadFile("testdata/vectors/" + c.file + ".ics")
			if err != nil {
				t.Fatal(err)
			}
			m, err := itip.Inspect(body, itip.Limits{}, 0)
			if err != nil {
				t.Fatal(err)
			}
			if m.Method != c.method || m.Component != c.component || len(m.Violations) > 0 {
				t.Errorf("%s %s, violations %v", m.Method, m.Component, m.Violations)
			}
			if err := m.CheckParties(cua.MustParse(c.originator), addresses(c.recipients...)); err != nil {
				t.Error(err)
			}
		})
	}
}
