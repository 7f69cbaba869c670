package itip_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
)

// Proves: IS-SUB-3
func TestSummarize(t *testing.T) {
	const parties = "\nORGANIZER:" + ada + "\nATTENDEE;PARTSTAT=accepted:" + bob
	object := calendar(berlin, "SEQUENCE:3\nDTSTART;TZID=Europe/Berlin:20261125T140000\nRRULE:FREQ=DAILY\nEXDATE;TZID=Europe/Berlin:20261126T140000,20261127T140000\nEXDATE:20261128T130000Z"+parties,
		"RECURRENCE-ID;TZID=Europe/Berlin:20261129T140000\nDTSTART:20261129T160000Z\nORGANIZER:"+ada+"\nATTENDEE:"+bob,
		"RECURRENCE-ID;TZID=Europe/Berlin:20261130T140000\nDTSTART:20261130T160000Z\nSTATUS:CANCELLED\nORGANIZER:"+ada)
	got, err := itip.Summarize(object, cua.MustParse(bob))
	if err != nil {
		t.Fatal(err)
	}
	want := []itip.Summary{
		{UID: "u", Sequence: 3, PartStat: "ACCEPTED", Excluded: []string{"20261126T130000Z", "20261127T130000Z", "20261128T130000Z"}, Recurs: true, End: time.Date(2026, 11, 25, 13, 0, 0, 0, time.UTC)},
		{UID: "u", RecurrenceID: "20261129T130000Z", PartStat: "NEEDS-ACTION", End: time.Date(2026, 11, 29, 16, 0, 0, 0, time.UTC)},
		{UID: "u", RecurrenceID: "20261130T130000Z", Cancelled: true, End: time.Date(2026, 11, 30, 16, 0, 0, 0, time.UTC)},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(itip.Summary{}, "Content")); diff != "" {
		t.Error(diff)
	}
	cancel, err := itip.Summarize([]byte(strings.Replace(string(object), "VERSION", "METHOD:CANCEL\r\nVERSION", 1)), cua.MustParse(bob))
	if err != nil || !cancel[0].Cancelled || cancel[0].Method != "CANCEL" {
		t.Errorf("a CANCEL: %+v, %v", cancel, err)
	}
	var e *itip.Error
	if _, err := itip.Summarize([]byte("nonsense"), cua.MustParse(bob)); !errors.As(err, &e) {
		t.Error(err)
	}
}

// Content is the same however a calendar server writes an object, and another as soon as the organizer has changed what others see.
//
// Proves: IS-SUB-3
func TestContent(t *testing.T) {
	content := func(zones, event string) [32]byte {
		t.Helper()
		s, err := itip.Summarize(calendar(zones, event), cua.MustParse(bob))
		if err != nil || len(s) != 1 {
			t.Fatal(err)
		}
		return s[0].Content
	}
	const event = "SEQUENCE:1\nDTSTART;TZID=Europe/Berlin:20261125T140000\nDTEND;TZID=Europe/Berlin:20261125T150000\nRRULE:FREQ=WEEKLY;BYDAY=WE\n" +
		"EXDATE;TZID=Europe/Berlin:20261202T140000,20261209T140000\nSUMMARY:Plan\\, two\nLOCATION:Room 1\nATTACH:https://sender.example/a\n" +
		"ORGANIZER;CN=Ada:" + ada + "\nATTENDEE;PARTSTAT=ACCEPTED;RSVP=TRUE:" + bob + "\nATTENDEE:mailto:carol@receiver.example"
	original := content(berlin, event)
	edit := func(old, replacement string) string {
		t.Helper()
		if !strings.Contains(event, old) {
			t.Fatal(old)
		}
		return strings.Replace(event, old, replacement, 1)
	}
	for name, same := range map[string]string{
		"properties that are nobody's": event + "\nX-SERVER:1\nDTSTAMP:20260202T000000Z\nCREATED:20260101T000000Z\nLAST-MODIFIED:20260101T000000Z\nREQUEST-STATUS:2.0;Success\nDESCRIPTION:",
		"another SEQUENCE":             edit("SEQUENCE:1", "SEQUENCE:2"),
		"what the user sees alone":     event + "\nTRANSP:TRANSPARENT\nBEGIN:VALARM\nACTION:DISPLAY\nEND:VALARM",
		"SCHEDULE-STATUS":              edit("RSVP=TRUE", "RSVP=TRUE;SCHEDULE-STATUS=2.0"),
		"a proposal that was noted":    event + "\nCOMMENT;X-CALFED-NOTE=\"20261101T000000Z  x\":Bob proposes noon",
		"another CN":                   edit("CN=Ada", "CN=\"Ada L.\""),
		"a default spelled out":        edit("ATTENDEE:mailto:carol", "ATTENDEE;ROLE=req-participant;PARTSTAT=NEEDS-ACTION:MAILTO:carol"),
		"another order":                edit("SUMMARY:Plan\\, two\nLOCATION:Room 1\n", "LOCATION:Room 1\nsummary:Plan\\, two\n"),
		"folded":                       edit("Room 1", "Ro\n om 1"),
		"escaped otherwise":            edit("Plan\\, two", "Plan, two"),
		"a DURATION":                   edit("DTEND;TZID=Europe/Berlin:20261125T150000", "DURATION:PT1H"),
		"a list in lines":              edit(",20261209T140000", "\nEXDATE:20261209T130000Z"),
		"a rule in another order":      edit("FREQ=WEEKLY;BYDAY=WE", "BYDAY=we;FREQ=WEEKLY"),
		"an X- parameter":              edit("ATTACH:", "ATTACH;X-SIZE=9:"),
	} {
		if content(berlin, same) != original {
			t.Errorf("%s: another content", name)
		}
	}
	if content("", event) != original {
		t.Error("without the definition of a known zone: another content")
	}
	for name, other := range map[string]string{
		"another title":      edit("Plan", "Play"),
		"another place":      edit("Room 1", "Room 2"),
		"no place":           edit("LOCATION:Room 1\n", ""),
		"another time":       edit("20261125T140000", "20261125T143000"),
		"another end":        edit("20261125T150000", "20261125T153000"),
		"another zone":       strings.ReplaceAll(event, "Europe/Berlin", "Europe/Paris"),
		"another rule":       edit("FREQ=WEEKLY", "FREQ=WEEKLY;INTERVAL=2"),
		"another instance":   edit(",20261209T140000", ""),
		"another status":     event + "\nSTATUS:CANCELLED",
		"another answer":     edit("PARTSTAT=ACCEPTED", "PARTSTAT=DECLINED"),
		"another role":       edit("RSVP=TRUE", "ROLE=OPT-PARTICIPANT"),
		"an attendee more":   event + "\nATTENDEE:" + eve,
		"an attendee less":   edit("\nATTENDEE:mailto:carol@receiver.example", ""),
		"another organizer":  edit(ada, eve),
		"another file":       edit("sender.example/a", "sender.example/b"),
		"another kind of it": edit("ATTACH:", "ATTACH;FMTTYPE=text/plain:"),
		"a part":             event + "\nBEGIN:VLOCATION\nNAME:x\nEND:VLOCATION",
		"a comment":          event + "\nCOMMENT:x",
	} {
		if content(berlin, other) == original {
			t.Errorf("%s: the same content", name)
		}
	}
}

// Large objects are read: whoever got them had limits of their own.
//
// Proves: IS-ITIP-4
func TestLargeObjects(t *testing.T) {
	const parties = "\nORGANIZER:" + ada + "\nATTENDEE:" + bob
	attachment := "ATTACH;ENCODING=BASE64;VALUE=BINARY:" + strings.Repeat("AAAA", 1<<20)
	large := calendar("METHOD:REQUEST\r\n", "DTSTART:20261125T140000Z\nDURATION:PT1H\nSUMMARY:x"+parties+"\n"+attachment)
	m, err := itip.Inspect(large, itip.Limits{MaxBytes: 64 << 20}, 0)
	if err != nil {
		t.Fatal(err)
	}
	stored, outcome, err := itip.Apply(nil, large, m, cua.MustParse(ada), cua.MustParse(bob))
	if err != nil || outcome != itip.Stored {
		t.Fatal(outcome, err)
	}
	reply := calendar("METHOD:REPLY\r\n", "DTSTART:20261125T140000Z\nSUMMARY:x\nORGANIZER:"+ada+"\nATTENDEE;PARTSTAT=ACCEPTED:"+bob)
	if got, outcome, err := itip.Apply(stored, reply, inspect(t, reply), cua.MustParse(bob), cua.MustParse(ada)); err != nil || outcome != itip.Stored || len(got) < len(attachment) {
		t.Error(outcome, err)
	}
	if got, err := itip.SelectAttendees(large, func(cua.Address) bool { return false }); err != nil || len(got) >= len(large) {
		t.Error(err)
	}
	if periods, err := itip.Busy(stored, cua.MustParse(ada), nil, day("20261101T000000Z"), day("20261201T000000Z")); err != nil || len(periods) != 1 {
		t.Error(periods, err)
	}
	var e *itip.Error
	if _, err := itip.Summarize(append(large, make([]byte, 64<<20)...), cua.MustParse(bob)); !errors.As(err, &e) || e.Kind != itip.KindTooLarge {
		t.Error(err)
	}
}
