//go:build e2e

package e2e_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/hack/calendartest"
)

// From `helm install` with default values to an invitation in the attendee's calendar, his answer in the organizer's, and free/busy,
// in both directions. Users store events by CalDAV in servers outside of the cluster, which send by themselves, through the Services
// of their own gateway; that finds the other by DNS and reaches it through its Service.
//
// Proves: IS-SUB-1, IS-DISC-2, IS-DISC-9, IS-DKIM-10, IS-BACK-1, IS-BACK-5
func TestStory(t *testing.T) {
	w := shared(t)
	t.Logf("since helm install began: operator ready %s, every resource Ready %s", w.took.operator, w.took.ready)
	t.Logf("\n%s", w.kubectl(t, "", "get", "calfed", "-A"))
	for _, s := range []*story{
		{w, w.west, w.east, calendartest.Day.Add(10 * time.Hour)},
		{w, w.east, w.west, calendartest.Day.Add(14 * time.Hour)},
	} {
		t.Run(s.from.system.Kind+" invites "+s.to.system.Kind, s.tell)
	}
}

// story is what alice of one side and bob of the other do.
type story struct {
	*world
	from, to *side
	start    time.Time // of the meeting
}

func (s *story) tell(t *testing.T) {
	alice, bob := s.from.system, s.to.system
	uid := "story-from-" + s.from.name
	begin := time.Now()
	meeting := calendartest.Meeting(uid, "Budget", s.start, alice.Address("alice"), bob.Address("bob"))
	alice.Put(t, "alice", &calendartest.Object{URL: alice.Calendar("alice") + uid + ".ics", Data: meeting})
	t.Logf("%s stores\n%s", alice.Address("alice"), calendartest.Told(meeting))

	var invited *calendartest.Object
	s.within(t, 20*time.Second, "the invitation is in bob's calendar", func() string {
		return alice.Find(t, "alice", uid).Data
	}, func(context.Context) bool {
		invited = bob.Find(t, "bob", uid)
		return invited != nil
	})
	t.Logf("after %s in the calendar of %s\n%s", since(begin), bob.Address("bob"), calendartest.Told(invited.Data))
	for _, want := range []string{"SUMMARY:Budget", "DTSTART:" + s.start.Format(calendartest.UTC), "ORGANIZER", alice.Address("alice")} {
		if !strings.Contains(calendartest.Unfold(invited.Data), want) {
			t.Errorf("%q is not in it", want)
		}
	}
	mine := alice.Find(t, "alice", uid)
	for _, status := range calendartest.Parameters(mine.Data, bob.Address("bob"), "SCHEDULE-STATUS") {
		if !strings.HasPrefix(status, "1.") && !strings.HasPrefix(status, "2.") {
			t.Errorf("alice's copy says %q of the delivery", status)
		}
	}

	begin = time.Now()
	invited.Data = calendartest.Answer(t, invited.Data, bob.Address("bob"), "ACCEPTED")
	bob.Put(t, "bob", invited)
	stored := since(begin)
	s.within(t, time.Minute, "the answer is in alice's calendar", func() string { return mine.Data }, func(context.Context) bool {
		mine = alice.Find(t, "alice", uid)
		return slices.Equal(calendartest.Parameters(mine.Data, bob.Address("bob"), "PARTSTAT"), []string{"ACCEPTED"})
	})
	t.Logf("%s accepts, which takes %s; after %s in the calendar of %s\n%s", bob.Address("bob"), stored, since(begin), alice.Address("alice"), calendartest.Told(mine.Data))

	want := []string{s.start.Format(calendartest.UTC) + "/" + s.start.Add(time.Hour).Format(calendartest.UTC)}
	if diff := cmp.Diff(want, s.busy(t)); diff != "" {
		t.Errorf("bob is busy (-want +got):\n%s", diff)
	}
}

// busy asks, for alice, when bob is busy on the day of the meeting: DAViCal asks by itself when its user does; of Cyrus's users a tool asks.
func (s *story) busy(t *testing.T) []string {
	t.Helper()
	if s.from.system.Kind == "DAViCal" {
		return s.askDAViCal(t)
	}
	token := s.file("token-" + s.from.name)
	if err := os.WriteFile(token, []byte(s.from.token()), 0o600); err != nil {
		t.Fatal(err)
	}
	out := s.run(t, "freebusy", s.to.system.Address("bob"), "--as", s.from.system.Address("alice"), "--from", calendartest.Day.Format(time.RFC3339),
		"--to", calendartest.Day.AddDate(0, 0, 1).Format(time.RFC3339), "--submit", s.from.submitURL(), "--ca", s.file("ca.pem"), "--token-file", token, "-o", "json")
	var report struct {
		Attendees []struct {
			Periods []struct{ Start, End time.Time }
		}
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || len(report.Attendees) != 1 {
		t.Fatalf("calfed freebusy: %v in\n%s", err, out)
	}
	var busy []string
	for _, p := range report.Attendees[0].Periods {
		busy = append(busy, p.Start.UTC().Format(calendartest.UTC)+"/"+p.End.UTC().Format(calendartest.UTC))
	}
	return busy
}

func (s *story) askDAViCal(t *testing.T) []string {
	t.Helper()
	alice := s.from.system
	question := strings.NewReplacer("{now}", time.Now().UTC().Format(calendartest.UTC), "{from}", calendartest.Day.Format(calendartest.UTC),
		"{to}", calendartest.Day.AddDate(0, 0, 1).Format(calendartest.UTC), "{alice}", alice.Address("alice"), "{bob}", s.to.system.Address("bob"), "\n", "\r\n").Replace(`BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//calfed//test//EN
METHOD:REQUEST
BEGIN:VFREEBUSY
UID:story-free-busy
DTSTAMP:{now}
DTSTART:{from}
DTEND:{to}
ORGANIZER:mailto:{alice}
ATTENDEE:mailto:{bob}
END:VFREEBUSY
END:VCALENDAR
`)
	status, body := calendartest.DAV(t, alice.Login("alice"), http.MethodPost, alice.Base+"/caldav.php/alice/.out/", question, "Content-Type", "text/calendar")
	if status != http.StatusOK || !strings.Contains(body, "request-status>2.0") {
		t.Fatalf("DAViCal: %d\n%s", status, body)
	}
	var busy []string
	for line := range strings.Lines(calendartest.Unfold(strings.ReplaceAll(body, "\r\n", "\n"))) {
		if strings.HasPrefix(line, "FREEBUSY") {
			_, periods, _ := strings.Cut(strings.TrimSpace(line), ":")
			busy = append(busy, strings.Split(periods, ",")...)
		}
	}
	return busy
}
