//go:build interop

package caldav_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/backend/caldav"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
	"github.com/calfed/calfed/gateway/netguard"
)

// What a user of DAViCal or Radicale answers, by any client's means, is read from the calendar.
//
// Proves: IS-BACK-1
func TestRealAnswers(t *testing.T) {
	for name, start := range map[string]func(*testing.T) *real{"DAViCal": startDAViCal, "Radicale": startRadicale} {
		t.Run(name, func(t *testing.T) { testRealAnswers(t, start(t)) })
	}
}

func testRealAnswers(t *testing.T, r *real) {
	clock := time.Now()
	now := func() time.Time { return clock }
	server := r.config
	server.Profile = r.profile
	b, err := caldav.New(caldav.Config{
		Server: server, Guard: netguard.New(netguard.Config{BackendCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}),
		Watch: caldav.NewWatch(caldav.WatchConfig{Now: now}), UserAgent: "calfed/test", Now: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	polled := func(what string, want ...string) {
		t.Helper()
		clock = clock.Add(12 * time.Second)
		var got []string
		b.Poll(t.Context(), func(_ context.Context, owner, organizer cua.Address, reply []byte) error {
			m, err := itip.Inspect(reply, itip.Limits{}, 0)
			if err != nil {
				return err
			}
			for _, c := range m.Instances {
				got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s", c.Attendees[0].PartStat, c.RecurrenceID)))
			}
			return m.CheckParties(owner, []cua.Address{organizer})
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	first, stop := time.Now().UTC().AddDate(0, 0, 7).Truncate(time.Hour), time.Hour
	at := func(week int) string { return first.AddDate(0, 0, 7*week).Format("20060102T150405Z") }
	invite := meeting("REQUEST", 0, "DTSTART:"+at(0), "DTEND:"+first.Add(stop).Format("20060102T150405Z"), "RRULE:FREQ=WEEKLY;COUNT=6", "SUMMARY:Plan")
	if got := statuses(t, b, invite, carol, alice); got != "2.0" {
		t.Fatal(got)
	}
	polled("invited")

	path, object := r.only(t, "alice")
	stores := func(edit func(string) string) {
		t.Helper()
		object = edit(object)
		if status, body := r.dav(t, "alice", "PUT", path, strings.ReplaceAll(object, "\n", "\r\n"), "Content-Type", "text/calendar; charset=utf-8"); status/100 != 2 {
			t.Fatalf("the user's PUT: %d %s", status, body)
		}
	}
	mine := regexp.MustCompile(`ATTENDEE[^\n]*mailto:alice@example.org`)
	stores(func(o string) string {
		return mine.ReplaceAllString(o, "ATTENDEE;PARTSTAT=ACCEPTED:mailto:alice@example.org")
	})
	polled("accepted", "ACCEPTED")
	stores(func(o string) string { return strings.Replace(o, "SUMMARY", "EXDATE:"+at(2)+"\nSUMMARY", 1) })
	polled("one struck out", "DECLINED "+at(2))
	polled("nothing new")

	elsewhere := r.calendar("alice", "other")
	if status, body := r.dav(t, "alice", "MKCALENDAR", elsewhere, ""); status/100 != 2 {
		t.Fatalf("MKCALENDAR: %d %s", status, body)
	}
	if status, body := r.dav(t, "alice", "DELETE", path, ""); status/100 != 2 {
		t.Fatalf("DELETE: %d %s", status, body)
	}
	path = elsewhere + "moved.ics"
	stores(func(o string) string { return o })
	polled("moved")
	stores(func(o string) string {
		return mine.ReplaceAllString(o, "ATTENDEE;PARTSTAT=TENTATIVE:mailto:alice@example.org")
	})
	polled("tentative in the other calendar", "TENTATIVE")
	if status, _ := r.dav(t, "alice", "DELETE", path, ""); status != http.StatusNoContent && status != http.StatusOK {
		t.Fatalf("DELETE: %d", status)
	}
	polled("gone, perhaps to be moved")
	polled("removed", "DECLINED")
	polled("over")
}
