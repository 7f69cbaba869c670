package itip_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/emersion/go-ical"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
)

// corpus are messages of every kind, and those of the golden files.
func corpus(f *testing.F) (stored, messages [][]byte) {
	f.Helper()
	files, err := filepath.Glob("testdata/apply/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		ar, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var old, message []byte
		for _, part := range ar.Files {
			body := bytes.ReplaceAll(part.Data, []byte("\n"), []byte("\r\n"))
			switch part.Name {
			case "stored.ics":
				old = body
			case "message.ics":
				message = body
			}
		}
		stored, messages = append(stored, old), append(messages, message)
	}
	return stored, messages
}

// What passes the inspection obeys its own rules, is within its limits, and cannot make the object decoder behind it panic.
func FuzzInspect(f *testing.F) {
	_, messages := corpus(f)
	for _, m := range messages {
		f.Add(m)
	}
	for _, m := range [][]byte{
		meeting(2 << 10), message("REQUEST", "VFREEBUSY"), message("REPLY", "VFREEBUSY", "FREEBUSY:20261125T140000Z/PT1H"),
		event("X;A=b"), event(`X;A="b"c:d`), event("RRULE:FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO;UNTIL=20300101"),
		event("RDATE;VALUE=PERIOD;TZID=Europe/Berlin:20261125T140000/PT1H"),
	} {
		f.Add(m)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := itip.Inspect(body, itip.Limits{}, 100)
		if err != nil {
			var e *itip.Error
			if !errors.As(err, &e) || e.Reason == "" || e.Error() == "" {
				t.Fatalf("%T is no proper error", err)
			}
			return
		}
		switch {
		case m.Method == "" || m.UID == "" || m.Component == "" || m.Organizer.IsZero() || len(m.Instances) == 0:
			t.Fatalf("incomplete: %+v", m)
		case m.Count < 1 || m.Count > 101:
			t.Fatalf("count %d", m.Count)
		case m.Latest.Before(m.Earliest):
			t.Fatalf("from %s to %s", m.Earliest, m.Latest)
		case len(m.Attendees) > 1000 || len(m.Violations) > 100:
			t.Fatalf("%d attendees, %d violations", len(m.Attendees), len(m.Violations))
		case m.Method == "REPLY" && len(m.Attendees) != 1 && (m.Component == "VEVENT" || m.Component == "VTODO"):
			t.Fatalf("REPLY of %d attendees", len(m.Attendees))
		case m.Component == "VFREEBUSY" && !m.Start.Before(m.End):
			t.Fatalf("range %s to %s", m.Start, m.End)
		}
		// Line ends and blank lines at the end do not matter.
		again, err := itip.Inspect(append(bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n")), "\n\n"...), itip.Limits{MaxBytes: 2 << 20}, 100)
		if err != nil || again.UID != m.UID || again.Count != m.Count || len(again.Attendees) != len(m.Attendees) {
			t.Fatalf("with bare line feeds: %+v, %v", again, err)
		}
		if len(body) < 8<<10 { // its parameter values are quadratic
			_, _ = ical.NewDecoder(bytes.NewReader(body)).Decode()
		}
	})
}

func FuzzParseFreeBusy(f *testing.F) {
	f.Add(answer("ATTENDEE:"+bob, "FREEBUSY;FBTYPE=BUSY-TENTATIVE:20261125T100000Z/PT1H,20261125T120000Z/20261125T130000Z"))
	f.Add(answer("FREEBUSY:20261125T100000Z/-P1D"))
	f.Fuzz(func(t *testing.T, body []byte) {
		all, err := itip.ParseFreeBusy(body, cua.Address{})
		if err != nil {
			var e *itip.Error
			if !errors.As(err, &e) {
				t.Fatalf("%T", err)
			}
			return
		}
		if len(all) > 10_000 {
			t.Fatalf("%d periods", len(all))
		}
		for _, p := range all {
			if !p.Start.Before(p.End) {
				t.Fatalf("%v", p)
			}
		}
		if len(all) == 0 {
			return
		}
		// What we would answer with it reads back.
		r := itip.FreeBusyReply{UID: "u", Organizer: cua.MustParse(ada), Attendee: cua.MustParse(bob), Stamp: all[0].Start,
			Start: day("20260101T000000Z"), End: day("20270101T000000Z"), Periods: itip.BusyOnly(all)}
		if _, err := itip.ParseFreeBusy(r.Build(), r.Attendee); err != nil {
			t.Fatal(err)
		}
	})
}

// Whatever is stored, busy time lies within the range, sorted, in bounded number.
func FuzzBusy(f *testing.F) {
	stored, messages := corpus(f)
	for i := range messages {
		f.Add(stored[i])
		f.Add(messages[i])
	}
	f.Add(calendar(berlin, "DTSTART;TZID=Europe/Berlin:20261101T090000\nDURATION:P1DT1H\nRRULE:FREQ=MONTHLY;BYDAY=-1FR,2MO;BYSETPOS=1,-1;COUNT=9\nEXDATE;VALUE=DATE:20261127",
		"RECURRENCE-ID:20261109T080000Z\nDTSTART;VALUE=DATE:20261110\nTRANSP:OPAQUE"))
	f.Add(calendar("", "DTSTART:20261101T090000\nDTEND;TZID=X:20261101T100000\nRRULE:FREQ=HOURLY;BYMINUTE=1,2;UNTIL=20261201\nRDATE;VALUE=PERIOD:20261102T090000Z/PT1H"))
	owner, from, to := cua.MustParse(bob), day("20261101T000000Z"), day("20270101T000000Z")
	f.Fuzz(func(t *testing.T, body []byte) {
		periods, err := itip.Busy(body, owner, nil, from, to)
		if err != nil {
			var e *itip.Error
			if !errors.As(err, &e) || e.Reason == "" || periods != nil {
				t.Fatalf("%T is no proper error", err)
			}
			return
		}
		if len(periods) > 10_000 {
			t.Fatalf("%d periods", len(periods))
		}
		for i, p := range periods {
			if p.Start.Before(from) || p.End.After(to) || !p.Start.Before(p.End) || i > 0 && p.Start.Before(periods[i-1].Start) {
				t.Fatalf("%v", p)
			}
		}
	})
}

// What is told to an attendee is readable, and says nothing that the attendee was not invited to.
func FuzzRefreshed(f *testing.F) {
	stored, messages := corpus(f)
	for i := range messages {
		f.Add(stored[i])
		f.Add(messages[i])
	}
	who := cua.MustParse(bob)
	f.Fuzz(func(t *testing.T, body []byte) {
		got, outcome, err := itip.Refreshed(body, who)
		if err != nil || outcome != itip.Answer {
			if got != nil {
				t.Fatalf("outcome %d told something", outcome)
			}
			return
		}
		told, err := itip.Summarize(got, who)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range told {
			if s.PartStat == "" {
				t.Fatalf("not invited to %q", s.RecurrenceID)
			}
		}
	})
}

func FuzzSelectAttendees(f *testing.F) {
	_, messages := corpus(f)
	for _, m := range messages {
		f.Add(m)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		all, err := itip.SelectAttendees(body, func(cua.Address) bool { return true })
		if err != nil {
			return
		}
		if !bytes.Equal(all, body) {
			t.Fatal("keeping all changed something")
		}
		none, err := itip.SelectAttendees(body, func(cua.Address) bool { return false })
		if err != nil {
			t.Fatal(err)
		}
		asked := false
		left, err := itip.SelectAttendees(none, func(cua.Address) bool { asked = true; return false })
		if err != nil || asked || !bytes.Equal(left, none) {
			t.Fatalf("attendees left: %v, %v", asked, err)
		}
		// Only whole lines went, in order.
		rest := body
		for line := range bytes.SplitAfterSeq(none, []byte("\n")) {
			i := bytes.Index(rest, line)
			if i < 0 {
				t.Fatalf("line %q came from nowhere", line)
			}
			rest = rest[i+len(line):]
		}
		if m, err := itip.Inspect(none, itip.Limits{}, 0); err == nil && len(m.Attendees) > 0 {
			t.Fatalf("attendees %v", m.Attendees)
		}
	})
}

// Whatever arrives, the stored object stays the same calendar user's object: readable, same UID, same organizer, no METHOD; and
// the same message again changes nothing more.
func FuzzApply(f *testing.F) {
	stored, messages := corpus(f)
	for i := range messages {
		f.Add(stored[i], messages[i])
	}
	owner := cua.MustParse(bob)
	f.Fuzz(func(t *testing.T, stored, message []byte) {
		m, err := itip.Inspect(message, itip.Limits{}, 100)
		if err != nil {
			return
		}
		if len(stored) == 0 {
			stored = nil
		}
		originator := m.Organizer
		if !itip.OrganizerSends(m.Method) && len(m.Attendees) > 0 {
			originator = m.Attendees[0]
		}
		got, outcome, err := itip.Apply(stored, message, m, originator, owner)
		if err != nil || outcome != itip.Stored {
			if !bytes.Equal(got, stored) {
				t.Fatalf("outcome %d, but the object changed", outcome)
			}
			return
		}
		// As a message it would be one about the same thing.
		asMessage := strings.Replace(string(got), "\n", "\nMETHOD:REFRESH\r\n", 1)
		if r, err := itip.Inspect([]byte(asMessage), itip.Limits{MaxBytes: 4 << 20, MaxLines: 200_000}, 100); err == nil {
			if r.UID != m.UID || !r.Organizer.Equal(m.Organizer) {
				t.Fatalf("another object: %s", got)
			}
		} else if e := new(itip.Error); errors.As(err, &e) && e.Reason == "method-repeated" {
			t.Fatalf("METHOD in the result: %s", got)
		}
		if again, outcome, err := itip.Apply(got, message, m, originator, owner); err != nil || outcome == itip.Stored && m.Method != "REPLY" && len(m.Violations) == 0 {
			t.Fatalf("again: %d, %v\nfirst\n%s\nthen\n%s", outcome, err, got, again)
		}
	})
}
