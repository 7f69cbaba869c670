//go:build interop

package interop

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/hack/calendartest"
)

// makeBusy gives fay of every calendar system of both sides the same week: busy, tentatively busy, and an event that takes no time.
func (f *federation) makeBusy(t *testing.T) {
	t.Helper()
	for _, side := range []*side{f.west, f.east} {
		for _, s := range side.systems {
			for hour, more := range map[int]string{10: "SUMMARY:Secret", 12: "STATUS:TENTATIVE", 14: "TRANSP:TRANSPARENT"} {
				start := calendartest.Day.Add(time.Duration(hour) * time.Hour)
				uid := fmt.Sprintf("busy-%d", hour)
				s2 := "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//calfed//interop//EN\nBEGIN:VEVENT\nUID:" + uid + "\nDTSTAMP:" +
					start.Format(calendartest.UTC) + "\nDTSTART:" + start.Format(calendartest.UTC) + "\nDTEND:" + start.Add(time.Hour).Format(calendartest.UTC) + "\n" + more +
					"\nEND:VEVENT\nEND:VCALENDAR\n"
				s.Put(t, "fay", &calendartest.Object{URL: s.Calendar("fay") + uid + ".ics", Data: s2})
			}
		}
	}
}

// period is one line of an answer about free and busy time.
type period struct {
	Type       string
	Start, End time.Time
}

// busyOf asks for a day of fay's at the gateway of the one who asks. It returns the status, and the periods.
func (f *federation) busyOf(t *testing.T, fay *calendartest.System, asker *side, as *calendartest.System) (string, []period) {
	t.Helper()
	out, _ := f.try("freebusy", fay.Address("fay"), "--as", as.Address("alice"), "--from", calendartest.Day.Format(time.RFC3339),
		"--to", calendartest.Day.AddDate(0, 0, 1).Format(time.RFC3339), "--submit", "http://"+asker.submit,
		"--token-file", f.write("token", []byte("token-of-"+as.Domain)), "-o", "json")
	var report struct {
		Attendees []struct {
			Status  string
			Periods []period
		}
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || len(report.Attendees) != 1 {
		t.Fatalf("calfed freebusy: %v in\n%s", err, out)
	}
	t.Logf("%s asks for %s:\n%s", as.Address("alice"), fay.Address("fay"), out)
	return report.Attendees[0].Status, report.Attendees[0].Periods
}

func (s *story) freeBusy(t *testing.T) {
	var status string
	var got []period
	s.leaves(t, s.west, traffic{messages: 1}, func() { status, got = s.busyOf(t, s.bob, s.west, s.alice) })
	if status != "2.0" {
		t.Fatalf("status %s, want 2.0", status)
	}
	tentative := "BUSY"
	if freeBusy[s.from] == "Full" {
		tentative = "BUSY-TENTATIVE"
	}
	want := []period{
		{"BUSY", calendartest.Day.Add(10 * time.Hour), calendartest.Day.Add(11 * time.Hour)},
		{tentative, calendartest.Day.Add(12 * time.Hour), calendartest.Day.Add(13 * time.Hour)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("busy periods under %s (-want +got):\n%s", freeBusy[s.from], diff)
	}
}

// testDeny asks in the other direction, where the policy denies it.
func (f *federation) testDeny(t *testing.T) {
	for _, kind := range kinds {
		status, got := f.busyOf(t, f.west.systems[kind], f.east, f.east.systems["Cyrus"])
		if status != "3.8" || len(got) > 0 {
			t.Errorf("%s: status %s with %v, want 3.8 and nothing", kind, status, got)
		}
	}
}
