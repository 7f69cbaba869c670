//go:build interop

package caldav_test

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
	"github.com/calfed/calfed/gateway/snapshot"
)

// An attendee's copy follows the organizer's messages and keeps what is the attendee's.
//
// Proves: IS-BACK-2, IS-BACK-3, IS-BACK-4
func TestRealAttendee(t *testing.T) {
	eachServer(t, func(t *testing.T, r *real) {
		b := r.dial(t, nil)
		deliver := func(what, want, body string, from cua.Address, to ...cua.Address) {
			t.Helper()
			if got := statuses(t, b, body, from, to...); got != want {
				t.Fatalf("%s: %s, want %s", what, got, want)
			}
		}
		weekly := []string{"DTSTART:20270104T090000Z", "DTEND:20270104T100000Z", "RRULE:FREQ=WEEKLY;COUNT=6"}
		nobody := cua.MustParse("mailto:nobody@example.org")
		deliver("invitation", "2.0 3.7", meeting("REQUEST", 0, append(weekly, "SUMMARY:Plan")...), carol, alice, nobody)
		path, object := r.only(t, "alice")
		wants(t, "invitation", object, []string{"SUMMARY:Plan", "UID:meeting-1@sender.example", "RRULE:FREQ=WEEKLY;COUNT=6"}, "METHOD")

		// the user accepts, without telling carol here, and sets an alarm
		changed := strings.Replace(object, "PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:alice", "PARTSTAT=ACCEPTED:mailto:alice", 1)
		changed = strings.Replace(changed, "END:VEVENT", "BEGIN:VALARM\nACTION:DISPLAY\nDESCRIPTION:go\nTRIGGER:-PT10M\nEND:VALARM\nEND:VEVENT", 1)
		if changed == object || !strings.Contains(changed, "ACCEPTED") {
			changed = regexp.MustCompile(`ATTENDEE[^\n]*mailto:alice@example.org`).ReplaceAllString(changed, "ATTENDEE;PARTSTAT=ACCEPTED:mailto:alice@example.org")
		}
		if status, body := r.dav(t, "alice", "PUT", path, strings.ReplaceAll(changed, "\n", "\r\n"), "Content-Type", "text/calendar; charset=utf-8"); status/100 != 2 {
			t.Fatalf("the user's own PUT: %d %s", status, body)
		}

		deliver("new title", "2.0", meeting("REQUEST", 0, append(weekly, "SUMMARY:Plan B", "LAST-MODIFIED:20261122T000000Z")...), carol, alice)
		_, object = r.only(t, "alice")
		wants(t, "new title", object, []string{"SUMMARY:Plan B", "BEGIN:VALARM", "PARTSTAT=ACCEPTED"})

		deliver("one instance moves", "2.0", meeting("REQUEST", 1, "RECURRENCE-ID:20270111T090000Z", "DTSTART:20270111T150000Z", "DTEND:20270111T160000Z", "SUMMARY:Later"), carol, alice)
		_, object = r.only(t, "alice")
		wants(t, "one instance moves", object, []string{"SUMMARY:Plan B", "RECURRENCE-ID:20270111T090000Z", "DTSTART:20270111T150000Z", "SUMMARY:Later"})

		deliver("one instance is cancelled", "2.0", meeting("CANCEL", 2, "RECURRENCE-ID:20270118T090000Z", "DTSTART:20270118T090000Z"), carol, alice)
		_, object = r.only(t, "alice")
		wants(t, "one instance is cancelled", object, []string{"EXDATE:20270118T090000Z", "RECURRENCE-ID:20270111T090000Z"})

		eve := cua.MustParse("mailto:eve@sender.example")
		takeover := strings.Replace(meeting("REQUEST", 9, append(weekly, "SUMMARY:Mine")...), "ORGANIZER:mailto:carol", "ORGANIZER:mailto:eve", 1)
		deliver("another organizer", "3.8", takeover, eve, alice)
		deliver("all that follow", "3.14", meeting("REQUEST", 9, "RECURRENCE-ID;RANGE=THISANDFUTURE:20270125T090000Z", "DTSTART:20270125T100000Z"), carol, alice)
		deliver("an older one", "2.0", meeting("REQUEST", 0, append(weekly, "SUMMARY:Old")...), carol, alice)
		_, object = r.only(t, "alice")
		wants(t, "refused", object, []string{"SUMMARY:Plan B"}, "SUMMARY:Mine", "SUMMARY:Old")

		deliver("rescheduled", "2.0", meeting("REQUEST", 10, "DTSTART:20270105T090000Z", "DTEND:20270105T100000Z", "SUMMARY:Once"), carol, alice)
		_, object = r.only(t, "alice")
		// Cyrus leaves out PARTSTAT=NEEDS-ACTION, which is the default
		wants(t, "rescheduled", object, []string{"DTSTART:20270105T090000Z"}, "RRULE", "Later", "ACCEPTED")

		deliver("cancelled", "2.0", meeting("CANCEL", 11, "DTSTART:20270105T090000Z"), carol, alice)
		if all := r.stored(t, "alice", r.fixed); len(all) > 0 {
			_, object = r.only(t, "alice")
			wants(t, "cancelled", object, []string{"STATUS:CANCELLED"})
		}
		want, count := "2.0", 2
		if r.profile == snapshot.ProfileRadicale { // it stores no object without a master
			want, count = "3.14", 1
		}
		deliver("an instance without its series", want, strings.ReplaceAll(meeting("REQUEST", 0, "RECURRENCE-ID:20270201T090000Z", "DTSTART:20270201T090000Z", "DTEND:20270201T100000Z", "SUMMARY:Guest"), "meeting-1", "meeting-2"), carol, alice)
		if all := r.stored(t, "alice", r.fixed); len(all) != count {
			t.Errorf("an instance alone: %v", all)
		}
	})
}

// An organizer's copy takes the answers of attendees elsewhere, also those that come at the same time.
//
// Proves: IS-BACK-2, IS-BACK-4
func TestRealOrganizer(t *testing.T) {
	eachServer(t, func(t *testing.T, r *real) {
		b := r.dial(t, nil)
		lines := []string{
			"BEGIN:VEVENT", "UID:own-1@example.org", "DTSTAMP:20261101T110000Z", "SEQUENCE:0", "SUMMARY:Mine",
			"DTSTART:20270104T090000Z", "DTEND:20270104T100000Z", "RRULE:FREQ=WEEKLY;COUNT=6",
			"ORGANIZER:mailto:alice@example.org", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:alice@example.org",
		}
		const guests = 6
		guest := func(i int) string { return fmt.Sprintf("mailto:guest%d@sender.example", i) }
		for i := range guests {
			lines = append(lines, "ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:"+guest(i))
		}
		r.put(t, "alice", r.fixed, "own.ics", ics(append(lines, "END:VEVENT")...))
		reply := func(i int, partstat string, more ...string) string {
			return ics(append([]string{
				"METHOD:REPLY", "BEGIN:VEVENT", "UID:own-1@example.org", "DTSTAMP:20261123T120000Z", "SEQUENCE:0", "DTSTART:20270104T090000Z",
				"ORGANIZER:mailto:alice@example.org", "ATTENDEE;PARTSTAT=" + partstat + ":" + guest(i),
			}, append(more, "END:VEVENT")...)...)
		}
		var wait sync.WaitGroup
		for i := range guests - 1 {
			wait.Go(func() {
				if got := statuses(t, b, reply(i, "ACCEPTED"), cua.MustParse(guest(i)), alice); got != "2.0" && got != "5.1" {
					t.Errorf("reply of guest %d: %s", i, got)
				}
			})
		}
		wait.Wait()
		for i := range guests - 1 { // whoever lost the race too often comes again, as a sender does
			if got := statuses(t, b, reply(i, "ACCEPTED"), cua.MustParse(guest(i)), alice); got != "2.0" {
				t.Errorf("reply of guest %d, again: %s", i, got)
			}
		}
		_, object := r.only(t, "alice")
		for i := range guests {
			accepted := regexp.MustCompile(`ATTENDEE[^\n]*PARTSTAT=ACCEPTED[^\n]*:` + guest(i)).MatchString(object)
			if accepted != (i < guests-1) {
				t.Errorf("guest %d accepted: %v in\n%s", i, accepted, object)
			}
		}
		last := cua.MustParse(guest(guests - 1))
		if got := statuses(t, b, reply(guests-1, "DECLINED", "RECURRENCE-ID:20270111T090000Z"), last, alice); got != "2.0" {
			t.Errorf("reply for one instance: %s", got)
		}
		_, object = r.only(t, "alice")
		wants(t, "one instance", object, []string{"RECURRENCE-ID:20270111T090000Z", "PARTSTAT=DECLINED"})
		stranger := cua.MustParse("mailto:stranger@sender.example")
		if got := statuses(t, b, strings.Replace(reply(0, "ACCEPTED"), guest(0), stranger.String(), 1), stranger, alice); got != "3.8" {
			t.Errorf("reply of somebody who was not invited: %s", got)
		}
	})
}

// An object that its user moved to another calendar is changed there.
//
// Proves: IS-BACK-2
func TestRealOtherCalendar(t *testing.T) {
	eachServer(t, func(t *testing.T, r *real) {
		// Cyrus does not list it before the gateway's user subscribes, and names it when a second object is refused.
		if status, body := r.dav(t, "alice", "MKCALENDAR", r.calendar("alice", "Work"), ""); status != http.StatusCreated {
			t.Fatalf("MKCALENDAR: %d %s", status, body)
		}
		stored := strings.Replace(meeting("REQUEST", 0, "DTSTART:20270105T090000Z", "DTEND:20270105T100000Z", "SUMMARY:Plan"), "METHOD:REQUEST\r\n", "", 1)
		r.put(t, "alice", "Work", "mine.ics", stored)
		b := r.dial(t, nil)
		if got := statuses(t, b, meeting("REQUEST", 1, "DTSTART:20270106T090000Z", "DTEND:20270106T100000Z", "SUMMARY:Plan B"), carol, alice); got != "2.0" {
			t.Fatalf("update: %s", got)
		}
		if all := r.stored(t, "alice", r.fixed); len(all) != 0 {
			t.Errorf("a second object: %v", all)
		}
		for _, object := range r.stored(t, "alice", "Work") {
			wants(t, "update", object, []string{"SUMMARY:Plan B"})
		}
	})
}

// Users are found by their mail address alone where the server knows it; another address of the domain is nobody's.
//
// Proves: IS-BACK-3
func TestRealSearch(t *testing.T) {
	for _, start := range []func(*testing.T) *real{startCyrus, startDAViCal} {
		r := start(t)
		b := r.dial(t, func(s *snapshot.CalDAV) { s.PrincipalTemplate = "" })
		body := meeting("REQUEST", 0, "DTSTART:20270105T090000Z", "DTEND:20270105T100000Z")
		lic := cua.MustParse("mailto:lic@example.org") // a part of alice's
		if got := statuses(t, b, body, carol, alice, lic); got != "2.0 3.7" {
			t.Errorf("%s: %s", r.profile, got)
		}
		r.only(t, "alice")
	}
}

// Free/busy is right, whichever way it is asked.
//
// Proves: IS-BACK-5
func TestRealFreeBusy(t *testing.T) {
	eachServer(t, func(t *testing.T, r *real) {
		event := func(uid string, lines ...string) {
			t.Helper()
			all := append([]string{"BEGIN:VEVENT", "UID:" + uid, "DTSTAMP:20261101T110000Z", "SUMMARY:secret"}, lines...)
			r.put(t, "alice", r.fixed, uid+".ics", ics(append(all, "END:VEVENT")...))
		}
		event("plain", "DTSTART:20270105T090000Z", "DTEND:20270105T100000Z")
		event("series", "DTSTART:20270104T140000Z", "DTEND:20270104T150000Z", "RRULE:FREQ=DAILY;COUNT=4", "EXDATE:20270106T140000Z")
		event("free", "DTSTART:20270105T110000Z", "DTEND:20270105T120000Z", "TRANSP:TRANSPARENT")
		event("off", "DTSTART:20270105T120000Z", "DTEND:20270105T130000Z", "STATUS:CANCELLED")
		event("declined", "DTSTART:20270105T160000Z", "DTEND:20270105T170000Z", "ORGANIZER:mailto:carol@sender.example", "ATTENDEE;PARTSTAT=DECLINED:mailto:alice@example.org")
		event("accepted", "DTSTART:20270105T180000Z", "DTEND:20270105T190000Z", "ORGANIZER:mailto:carol@sender.example", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:alice@example.org")
		event("outside", "DTSTART:20270115T090000Z", "DTEND:20270115T100000Z")
		day := time.Date(2027, 1, 5, 0, 0, 0, 0, time.UTC)
		question := ics("METHOD:REQUEST", "BEGIN:VFREEBUSY", "UID:asked-1", "DTSTAMP:20261122T110000Z", "DTSTART:20270105T000000Z", "DTEND:20270107T000000Z",
			"ORGANIZER:mailto:carol@sender.example", "ATTENDEE:mailto:alice@example.org", "ATTENDEE:mailto:nobody@example.org", "END:VFREEBUSY")
		ask := func(t *testing.T, change func(*snapshot.CalDAV), want []string) {
			t.Helper()
			m, err := itip.Inspect([]byte(question), itip.Limits{}, 0)
			if err != nil {
				t.Fatal(err)
			}
			nobody := cua.MustParse("mailto:nobody@example.org")
			results, err := r.dial(t, change).Deliver(context.Background(), &backend.Delivery{Originator: carol, Recipients: []cua.Address{alice, nobody}, Body: []byte(question), Message: m})
			if err != nil {
				t.Fatal(err)
			}
			if results[0].Status.Code != "2.0" || results[1].Status.Code != "3.7" {
				t.Fatalf("%+v", results)
			}
			answer := string(results[0].CalendarData)
			wants(t, "answer", answer, []string{"METHOD:REPLY", "UID:asked-1", "ORGANIZER:mailto:carol@sender.example", "ATTENDEE:mailto:alice@example.org"}, "secret")
			periods, err := itip.ParseFreeBusy(results[0].CalendarData, alice)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range itip.BusyOnly(periods) {
				got = append(got, fmt.Sprintf("%s+%s", p.Start.Sub(day), p.End.Sub(p.Start)))
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-want +got):\n%s\n%s", d, answer)
			}
		}
		right := []string{"9h0m0s+1h0m0s", "14h0m0s+1h0m0s", "18h0m0s+1h0m0s"}
		servers := []string{"9h0m0s+1h0m0s", "14h0m0s+1h0m0s", "16h0m0s+1h0m0s", "18h0m0s+1h0m0s"} // with what alice declined
		reading := right
		if r.profile == snapshot.ProfileCyrus {
			reading = servers
		}
		ask(t, func(s *snapshot.CalDAV) { s.BypassACL = true }, reading)
		if r.outbox != "" {
			ask(t, func(s *snapshot.CalDAV) { s.FreeBusyPrincipal = r.outbox }, servers)
		}
	})
}

// The test of itself passes and leaves nothing behind.
//
// Proves: IS-BACK-2, IS-BACK-3, IS-BACK-5
func TestRealTest(t *testing.T) {
	eachServer(t, func(t *testing.T, r *real) {
		b := r.dial(t, func(s *snapshot.CalDAV) { s.BypassACL, s.FreeBusyPrincipal = r.outbox == "", r.outbox })
		for _, c := range b.Test(context.Background(), alice) {
			t.Logf("%-36s %v %s", c.Name, c.OK, c.Seen)
			if !c.OK {
				t.Errorf("%+v", c)
			}
		}
		if all := r.stored(t, "alice", r.fixed); len(all) != 0 {
			t.Errorf("left behind: %v", all)
		}
		checks := r.dial(t, nil).Test(context.Background(), cua.MustParse("mailto:nobody@example.org"))
		if checks[1].OK || !checks[3].Skipped {
			t.Errorf("for an unknown user: %+v", checks)
		}
	})
}
