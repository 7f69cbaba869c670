//go:build interop

package interop

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/calfed/calfed/hack/calendartest"
)

// TestCyrus sends messages of carol@sender.example, whose gateway finds the one of example.org by DNS, to users of a real
// Cyrus, and reads their calendars back by CalDAV.
func TestCyrus(t *testing.T) {
	w := newWorld(t)

	t.Run("REQUEST stands in the attendee's calendar, CANCEL ends it", func(t *testing.T) {
		const uid = "invite-1@sender.example"
		w.send(t, "2.0", "alice@example.org", invitation("REQUEST", uid, 0, "20261125T140000Z", "CONFIRMED", "Budget"))
		stored := w.stored(t, w.a, "alice", uid)
		mustContain(t, stored, "UID:"+uid, "SUMMARY:Budget", "DTSTART:20261125T140000Z", "ORGANIZER:mailto:carol@sender.example",
			"LOCATION:East wing\\, room 3", "mailto:alice@example.org")
		t.Logf("as Cyrus stores it:\n%s", stored)

		w.send(t, "2.0", "alice@example.org", invitation("REQUEST", uid, 1, "20261126T090000Z", "CONFIRMED", "Budget (moved)"))
		stored = w.stored(t, w.a, "alice", uid)
		mustContain(t, stored, "SUMMARY:Budget (moved)", "DTSTART:20261126T090000Z", "SEQUENCE:1")

		w.send(t, "2.0", "alice@example.org", invitation("CANCEL", uid, 2, "20261126T090000Z", "CANCELLED", "Budget (moved)"))
		if stored = w.stored(t, w.a, "alice", uid); stored != "" && !strings.Contains(stored, "STATUS:CANCELLED") {
			t.Errorf("the cancelled event still stands:\n%s", stored)
		}
	})

	t.Run("REPLY sets the organizer's PARTSTAT", func(t *testing.T) {
		const uid = "organized-by-alice@example.org"
		event := lines("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//calfed//interop//EN", "BEGIN:VEVENT", "UID:"+uid,
			"DTSTAMP:20261122T110000Z", "DTSTART:20261127T100000Z", "DTEND:20261127T110000Z", "SUMMARY:Alice's meeting", "SEQUENCE:0",
			"ORGANIZER:mailto:alice@example.org", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:alice@example.org",
			"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:carol@sender.example", "END:VEVENT", "END:VCALENDAR")
		status, body := calendartest.DAV(t, w.a.Login("alice"), http.MethodPut, w.a.Calendar("alice")+"organized.ics", event, "Content-Type", "text/calendar")
		if status != http.StatusCreated {
			t.Fatalf("PUT: %d\n%s", status, body)
		}
		reply := lines("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//calfed//interop//EN", "METHOD:REPLY", "BEGIN:VEVENT", "UID:"+uid,
			"DTSTAMP:20261122T120000Z", "DTSTART:20261127T100000Z", "DTEND:20261127T110000Z", "SUMMARY:Alice's meeting", "SEQUENCE:0",
			"ORGANIZER:mailto:alice@example.org", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:carol@sender.example", "END:VEVENT", "END:VCALENDAR")
		w.send(t, "2.0", "alice@example.org", reply)
		stored := w.stored(t, w.a, "alice", uid)
		for _, line := range strings.Split(calendartest.Unfold(stored), "\n") {
			if strings.HasPrefix(line, "ATTENDEE") && strings.HasSuffix(line, "carol@sender.example") && !strings.Contains(line, "PARTSTAT=ACCEPTED") {
				t.Errorf("the organizer's copy does not know the answer: %s", line)
			}
		}
		mustContain(t, stored, "carol@sender.example")
	})

	t.Run("a recurring event with an exception and a VTIMEZONE", func(t *testing.T) {
		const uid = "weekly@sender.example"
		w.send(t, "2.0", "bob@example.org", recurring(uid))
		stored := w.stored(t, w.a, "bob", uid)
		mustContain(t, stored, "RRULE:FREQ=WEEKLY;COUNT=6", "TZID=Europe/Berlin", "EXDATE;TZID=Europe/Berlin:20261214T100000",
			"RECURRENCE-ID;TZID=Europe/Berlin:20261207T100000", "SUMMARY:Weekly (in the large room)")
		if n := strings.Count(stored, "BEGIN:VEVENT"); n != 2 {
			t.Errorf("%d VEVENTs stored, want the master and one override:\n%s", n, stored)
		}
		t.Logf("as Cyrus stores it:\n%s", stored)
	})

	t.Run("free/busy is answered", func(t *testing.T) {
		// Cyrus's own answer over iSchedule is empty, its bug; that the question gets through is what counts here
		out := w.run("freebusy", "alice@example.org", "--as", "carol@sender.example", "--from", "2026-11-25T00:00:00Z",
			"--to", "2026-11-26T00:00:00Z", "--submit", "http://"+w.b.submit, "--token-file", w.write("token", []byte(w.b.token)))
		mustContain(t, out, "alice@example.org")
		t.Log(out)
	})

	t.Run("an unknown user is 3.7", func(t *testing.T) {
		w.send(t, "3.7", "nobody@example.org",
			strings.ReplaceAll(invitation("REQUEST", "unknown-1@sender.example", 0, "20261125T140000Z", "CONFIRMED", "Hello?"), "alice@", "nobody@"))
	})

	t.Run("a stranger to the policy is refused", func(t *testing.T) {
		// example.org's own gateway may send to sender.example; a third domain is neither's peer
		out, code := w.try("policy", "explain", "--manifests", w.a.dir, "--from", "mallory@elsewhere.example", "--to", "alice@example.org",
			"--component", "VEVENT", "--method", "REQUEST")
		if code != 1 {
			t.Errorf("exit %d, want 1:\n%s", code, out)
		}
	})
}

// stored is what is in the user's calendar under the UID; "" when nothing is.
func (w *world) stored(t *testing.T, o *organisation, user, uid string) string {
	t.Helper()
	if found := o.Find(t, user, uid); found != nil {
		return found.Data
	}
	return ""
}

// send submits a message of carol's to her gateway and wants this status for the recipient.
func (w *world) send(t *testing.T, status, to, message string) {
	t.Helper()
	out, _ := w.try("send", w.write("message.ics", []byte(message)), "--to", to, "--submit", "http://"+w.b.submit, "--token-file", w.write("token", []byte(w.b.token)), "-o", "json")
	if !strings.Contains(out, status) {
		t.Fatalf("calfed send to %s: want %s, got\n%s", to, status, out)
	}
}

func invitation(method, uid string, sequence int, start, status, summary string) string {
	return lines("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//calfed//interop//EN", "METHOD:"+method, "BEGIN:VEVENT", "UID:"+uid,
		fmt.Sprintf("DTSTAMP:20261122T11%02d00Z", sequence), "DTSTART:"+start, "DURATION:PT1H", "SUMMARY:"+summary,
		fmt.Sprintf("SEQUENCE:%d", sequence), "STATUS:"+status, `LOCATION:East wing\, room 3`,
		"ORGANIZER:mailto:carol@sender.example", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:carol@sender.example",
		"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:alice@example.org", "END:VEVENT", "END:VCALENDAR")
}

func recurring(uid string) string {
	return lines("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//calfed//interop//EN", "METHOD:REQUEST",
		"BEGIN:VTIMEZONE", "TZID:Europe/Berlin",
		"BEGIN:STANDARD", "DTSTART:19961027T030000", "RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU", "TZOFFSETFROM:+0200", "TZOFFSETTO:+0100", "END:STANDARD",
		"BEGIN:DAYLIGHT", "DTSTART:19960331T020000", "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU", "TZOFFSETFROM:+0100", "TZOFFSETTO:+0200", "END:DAYLIGHT",
		"END:VTIMEZONE",
		"BEGIN:VEVENT", "UID:"+uid, "DTSTAMP:20261122T110000Z", "DTSTART;TZID=Europe/Berlin:20261130T100000", "DURATION:PT1H",
		"RRULE:FREQ=WEEKLY;COUNT=6", "EXDATE;TZID=Europe/Berlin:20261214T100000", "SUMMARY:Weekly", "SEQUENCE:0",
		"ORGANIZER:mailto:carol@sender.example", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:carol@sender.example",
		"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:bob@example.org", "END:VEVENT",
		"BEGIN:VEVENT", "UID:"+uid, "DTSTAMP:20261122T110000Z", "RECURRENCE-ID;TZID=Europe/Berlin:20261207T100000",
		"DTSTART;TZID=Europe/Berlin:20261207T140000", "DURATION:PT2H", "SUMMARY:Weekly (in the large room)", "SEQUENCE:0",
		"ORGANIZER:mailto:carol@sender.example", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:carol@sender.example",
		"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:bob@example.org", "END:VEVENT", "END:VCALENDAR")
}

func lines(l ...string) string { return strings.Join(l, "\r\n") + "\r\n" }

func mustContain(t *testing.T, got string, want ...string) {
	t.Helper()
	flat := calendartest.Unfold(got)
	for _, w := range want {
		if !strings.Contains(flat, w) {
			t.Errorf("%q is not in\n%s", w, got)
		}
	}
}
