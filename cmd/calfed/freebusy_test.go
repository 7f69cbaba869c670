package main

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // Vienna has summer time wherever the tests run

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/itip"
)

func vienna(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Vienna")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestParseWhen(t *testing.T) {
	zone := vienna(t)
	now := time.Date(2026, 11, 22, 14, 30, 15, 0, zone)
	tests := []struct{ in, want string }{
		{"now", "2026-11-22T14:30:15+01:00"},
		{"+8h", "2026-11-22T22:30:15+01:00"},
		{"+90m", "2026-11-22T16:00:15+01:00"},
		{"+2d", "2026-11-24T14:30:15+01:00"},
		{"+127d", "2027-03-29T14:30:15+02:00"}, // over the change to summer time
		{"2026-11-25", "2026-11-25T00:00:00+01:00"},
		{"2026-07-25", "2026-07-25T00:00:00+02:00"},
		{"2026-11-25T14:00", "2026-11-25T14:00:00+01:00"},
		{"2026-11-25T14:00:05", "2026-11-25T14:00:05+01:00"},
		{"2026-11-25T14:00:00Z", "2026-11-25T14:00:00Z"},
		{"2026-11-25T14:00:00-05:00", "2026-11-25T14:00:00-05:00"},
		{" now ", "2026-11-22T14:30:15+01:00"},
		{"tomorrow", ""}, {"+", ""}, {"+8", ""}, {"+-8h", ""}, {"-8h", ""}, {"+1.5d", ""}, {"25.11.2026", ""}, {"", ""}, {"2026-13-01", ""},
	}
	for _, test := range tests {
		got, err := parseWhen(test.in, now, zone)
		if test.want == "" {
			if err == nil {
				t.Errorf("%q: %v, want an error", test.in, got)
			}
			continue
		}
		if err != nil || got.Format(time.RFC3339) != test.want {
			t.Errorf("%q: %s, %v; want %s", test.in, got.Format(time.RFC3339), err, test.want)
		}
	}
}

// FuzzParseWhen: what is read is a time that can be asked about, or refused.
func FuzzParseWhen(f *testing.F) {
	for _, seed := range []string{"now", "+8h", "+2d", "2026-11-25", "2026-11-25T14:00:00+01:00", "+9999999h", "+65536d"} {
		f.Add(seed)
	}
	base := time.Date(2026, 11, 22, 14, 30, 15, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseWhen(s, base, time.UTC)
		if err == nil && (got.Year() < 0 || got.Year() > 9999) {
			t.Errorf("%q: %v", s, got)
		}
		if err == nil && strings.HasPrefix(s, "+") && got.Before(base) {
			t.Errorf("%q lies before its base: %v", s, got)
		}
	})
}

// TestFreeBusyQuestion: what is asked is a proper VFREEBUSY REQUEST, in UTC, whatever the zone.
func TestFreeBusyQuestion(t *testing.T) {
	now := time.Date(2026, 11, 22, 14, 30, 15, 999, vienna(t))
	opt := freeBusyOptions{from: "2026-11-25T08:00", to: "+10h", as: "alice@example.org"}
	q, err := opt.question([]string{"bob@example.net", "mailto:eve@example.com", "BOB@example.net", "mailto:bob@EXAMPLE.net"}, now)
	if err != nil {
		t.Fatal(err)
	}
	req := q.request()
	m, err := itip.Inspect(req.Body, itip.Limits{}, 0)
	if err != nil {
		t.Fatalf("%v\n%s", err, req.Body)
	}
	if len(m.Violations) > 0 {
		t.Errorf("violations %v", m.Violations)
	}
	if err := m.CheckParties(req.Originator, req.Recipients); err != nil {
		t.Error(err)
	}
	if m.Component != "VFREEBUSY" || m.Method != "REQUEST" || m.Organizer.String() != "mailto:alice@example.org" || m.UID == "" {
		t.Errorf("%+v", m)
	}
	if got := m.Start.Format(time.RFC3339) + " " + m.End.Format(time.RFC3339); got != "2026-11-25T07:00:00Z 2026-11-25T17:00:00Z" {
		t.Errorf("range %s", got)
	}
	var to []string
	for _, a := range req.Recipients {
		to = append(to, a.String())
	}
	if diff := cmp.Diff([]string{"bob@example.net", "mailto:eve@example.com", "BOB@example.net"}, to); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}

	for name, bad := range map[string]freeBusyOptions{
		"a range that ends before it begins": {from: "now", to: "2026-11-01", as: "alice@example.org"},
		"an empty range":                     {from: "now", to: "now", as: "alice@example.org"},
		"nobody asks":                        {from: "now", to: "+1h", as: ""},
		"a time that is none":                {from: "soon", to: "+1h", as: "alice@example.org"},
	} {
		if _, err := bad.question([]string{"bob@example.net"}, now); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := opt.question([]string{"bob"}, now); err == nil {
		t.Error("an address that is none: accepted")
	}
}

// TestChart draws for people; the pictures are the specification.
func TestChart(t *testing.T) {
	zone := vienna(t)
	at := func(s string) time.Time {
		v, err := time.ParseInLocation("2006-01-02 15:04", s, zone)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	period := func(kind, from, to string) periodReport {
		return periodReport{Type: kind, Start: at(from), End: at(to)}
	}
	working := []attendeeReport{
		{Address: "mailto:bob@example.net", Answered: true, Periods: []periodReport{
			period("BUSY", "2026-11-25 09:00", "2026-11-25 10:30"), period("BUSY-TENTATIVE", "2026-11-25 11:00", "2026-11-25 12:00"),
			period("BUSY-UNAVAILABLE", "2026-11-25 16:00", "2026-11-25 18:00"),
		}},
		{Address: "mailto:a-very-long-name-of-somebody@example.com", Answered: true},
		{Address: "mailto:eve\x1b[2J@example.com", Status: "3.7", Meaning: "Invalid calendar user"},
	}
	tests := []struct {
		name  string
		chart chart
		who   []attendeeReport
		want  string
	}{
		{"a working day", chart{from: at("2026-11-25 08:00"), to: at("2026-11-25 18:00"), zone: zone, width: 80, glyphs: unicodeGlyphs}, working, `
Wed 25 Nov 2026, 08:00 to 18:00 CET
█ busy  ▒ tentative  ░ away  · free

                            08:00     10:00     12:00      14:00     16:00
                            ┬─────────┬─────────┬──────────┬─────────┬──────────
bob@example.net             ·····████████··▒▒▒▒▒▒····················░░░░░░░░░░░
a-very-long-name-of-someb…  ····················································
eve [2J@example.com         ????????????????????????????????????????????????????

bob@example.net
  09:00 - 10:30  busy
  11:00 - 12:00  tentative
  16:00 - 18:00  away

a-very-long-name-of-somebody@example.com
  free all the time

eve [2J@example.com
  no answer: 3.7 Invalid calendar user
`},
		{"the same in 60 columns of ASCII", chart{from: at("2026-11-25 08:00"), to: at("2026-11-25 18:00"), zone: zone, width: 60, glyphs: asciiGlyphs}, working, `
Wed 25 Nov 2026, 08:00 to 18:00 CET
# busy  ~ tentative  x away  . free

                      08:00  10:00   12:00  14:00   16:00
                      +------+-------+------+-------+-------
bob@example.net       ...#######.~~~~~..............xxxxxxxx
a-very-long-name-of~  ......................................
eve [2J@example.com   ??????????????????????????????????????

bob@example.net
  09:00 - 10:30  busy
  11:00 - 12:00  tentative
  16:00 - 18:00  away

a-very-long-name-of-somebody@example.com
  free all the time

eve [2J@example.com
  no answer: 3.7 Invalid calendar user
`},
		{"three days", chart{from: at("2026-11-25 12:00"), to: at("2026-11-28 12:00"), zone: zone, width: 80, glyphs: unicodeGlyphs}, []attendeeReport{
			{Address: "bob@example.net", Answered: true, Periods: []periodReport{
				period("BUSY", "2026-11-25 22:00", "2026-11-26 03:00"), period("BUSY", "2026-11-27 12:00", "2026-11-27 12:05"),
			}},
		}, `
Wed 25 Nov 2026, 12:00 to Sat 28 Nov 2026, 12:00 CET
█ busy  ▒ tentative  ░ away  · free

                 12:00     26 Nov     12:00     27 Nov     12:00     28 Nov
                 ┬─────────┬──────────┬─────────┬──────────┬─────────┬──────────
bob@example.net  ········██████····························█····················

bob@example.net
  Wed 25 Nov 22:00 - Thu 26 Nov 03:00  busy
  Fri 27 Nov 12:00 - 12:05  busy
`},
		{"the night that summer time begins", chart{from: at("2027-03-28 00:00"), to: at("2027-03-28 08:00"), zone: zone, width: 60, glyphs: unicodeGlyphs}, []attendeeReport{
			{Address: "bob@example.net", Answered: true, Periods: []periodReport{period("BUSY", "2027-03-28 01:00", "2027-03-28 04:00")}},
		}, `
Sun 28 Mar 2027, 00:00 to 08:00 CEST
█ busy  ▒ tentative  ░ away  · free

                 00:00             04:00       06:00
                 ┬─────────────────┬───────────┬────────────
bob@example.net  ······█████████████························

bob@example.net
  01:00 - 04:00  busy
`},
		{"half an hour", chart{from: at("2026-11-25 09:10"), to: at("2026-11-25 09:40"), zone: zone, width: 40, glyphs: unicodeGlyphs}, []attendeeReport{
			{Address: "bob@example.net", Answered: true, Periods: []periodReport{period("X-LUNCH", "2026-11-25 09:10", "2026-11-25 09:20")}},
		}, `
Wed 25 Nov 2026, 09:10 to 09:40 CET
█ busy  ▒ tentative  ░ away  · free

                   09:15       09:30
               ────┬───────────┬────────
bob@example.…  █████████················

bob@example.net
  09:10 - 09:20  busy
`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			if err := test.chart.print(&out, test.who); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.TrimPrefix(test.want, "\n"), out.String()); diff != "" {
				t.Errorf("(-want +got):\n%s\n%s", diff, out.String())
			}
		})
	}
}
