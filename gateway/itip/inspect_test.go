package itip_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
)

// crlf makes a message of lines written with "\n".
func crlf(s string) []byte {
	return []byte(strings.ReplaceAll(strings.TrimPrefix(s, "\n"), "\n", "\r\n"))
}

// event is a REQUEST with one VEVENT that holds the usual properties and extra ones.
func event(extra ...string) []byte { return message("REQUEST", "VEVENT", extra...) }

// base are the properties that messages of a method carry, "" for those left out by tests.
var base = map[string]string{
	"UID":       "UID:1@sender.example",
	"DTSTAMP":   "DTSTAMP:20261122T115743Z",
	"DTSTART":   "DTSTART:20261125T140000Z",
	"DTEND":     "DTEND:20261125T150000Z",
	"SUMMARY":   "SUMMARY:Out",
	"ORGANIZER": "ORGANIZER:mailto:ada@sender.example",
	"ATTENDEE":  "ATTENDEE;PARTSTAT=ACCEPTED:mailto:bob@receiver.example",
	"PRIORITY":  "PRIORITY:0",
	"SEQUENCE":  "SEQUENCE:1",
}

var order = []string{"UID", "DTSTAMP", "DTSTART", "DTEND", "SUMMARY", "ORGANIZER", "ATTENDEE", "PRIORITY", "SEQUENCE"}

// message builds a message; an extra "-NAME" leaves a usual property out.
func message(method, component string, extra ...string) []byte {
	left := map[string]bool{
		"PRIORITY": component != "VTODO" || method == "REFRESH",
		"SEQUENCE": method == "REFRESH" || component == "VFREEBUSY",
		"DTSTART":  method == "REFRESH" || method == "DECLINECOUNTER" && component == "VEVENT",
		"DTEND":    component == "VTODO" || method == "REFRESH" || method == "DECLINECOUNTER",
		"SUMMARY":  component == "VFREEBUSY" || method == "REFRESH" || method == "DECLINECOUNTER",
	}
	var lines []string
	for _, e := range extra {
		if name, ok := strings.CutPrefix(e, "-"); ok {
			left[name] = true
		} else {
			lines = append(lines, e)
		}
	}
	var b strings.Builder
	b.WriteString("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Example//EN\r\n")
	if method != "" {
		b.WriteString("METHOD:" + method + "\r\n")
	}
	b.WriteString("BEGIN:" + component + "\r\n")
	for _, name := range order {
		if !left[name] {
			b.WriteString(base[name] + "\r\n")
		}
	}
	for _, l := range lines {
		b.WriteString(l + "\r\n")
	}
	b.WriteString("END:" + component + "\r\nEND:VCALENDAR\r\n")
	return []byte(b.String())
}

func inspect(t *testing.T, body []byte) *itip.Message {
	t.Helper()
	m, err := itip.Inspect(body, itip.Limits{}, 0)
	if err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	return m
}

// refused checks kind and reason of the error.
func refused(t *testing.T, body []byte, kind itip.Kind, reason string) {
	t.Helper()
	_, err := itip.Inspect(body, itip.Limits{}, 0)
	var e *itip.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want %s\n%.2000s", err, reason, body)
	}
	if e.Kind != kind || e.Reason != reason {
		t.Errorf("got kind %d %v, want kind %d %s", e.Kind, e, kind, reason)
	}
}

var cmpAddress = cmp.Comparer(func(a, b cua.Address) bool { return a.String() == b.String() })

func day(s string) time.Time {
	t, err := time.Parse("20060102T150405Z", s)
	if err != nil {
		panic(err)
	}
	return t
}

// Proves: IS-ITIP-1
func TestInspectExtractsWhatSchedulingNeeds(t *testing.T) {
	body := crlf(`
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//CyrusIMAP.org/Cyrus 3.6.1//EN
METHOD:request
` + strings.ReplaceAll(berlin, "\r\n", "\n") + `BEGIN:VEVENT
UID:out\,1@example.org
DTSTAMP:20261122T115743Z
DTSTART;TZID=Europe/Berlin:20261125T140000
DURATION:PT90M
RRULE:FREQ=WEEKLY;COUNT=5
SUMMARY:Out
ORGANIZER;CN="Doe, J":mailto:ada@sender.example
ATTENDEE;PARTSTAT=accepted:mailto:ada@sender.example
ATTENDEE;RSVP=TRUE:mailto:bob@receiv
 er.example
ATTACH:https://sender.example/agenda.pdf
SEQUENCE:1
STATUS:confirmed
X-WEIRD;X-P="a;b:c":kept
BEGIN:VALARM
ACTION:EMAIL
TRIGGER:-PT5M
ATTENDEE:mailto:mallory@evil.example
SUMMARY:x
DESCRIPTION:y
END:VALARM
BEGIN:PARTICIPANT
UID:p1
PARTICIPANT-TYPE:SPEAKER
END:PARTICIPANT
END:VEVENT
BEGIN:VEVENT
UID:out\,1@example.org
DTSTAMP:20261122T115744Z
RECURRENCE-ID;TZID=Europe/Berlin:20261202T140000
DTSTART;TZID=Europe/Berlin:20261203T140000
DTEND;TZID=Europe/Berlin:20261203T150000
SUMMARY:Later
ORGANIZER:MAILTO:ada@SENDER.example
ATTENDEE;PARTSTAT=DECLINED:mailto:carol@receiver.example
ATTENDEE:MAILTO:bob@receiver.example
SEQUENCE:2
TRANSP:TRANSPARENT
END:VEVENT
END:VCALENDAR
`)
	got := inspect(t, body)
	want := &itip.Message{
		Method: "REQUEST", Component: "VEVENT", UID: "out,1@example.org", ProdID: "-//CyrusIMAP.org/Cyrus 3.6.1//EN",
		Organizer: cua.MustParse("mailto:ada@sender.example"),
		Attendees: []cua.Address{cua.MustParse("mailto:ada@sender.example"), cua.MustParse("mailto:bob@receiver.example"), cua.MustParse("mailto:carol@receiver.example")},
		Instances: []itip.Instance{{
			Sequence: 1, DTStamp: day("20261122T115743Z"), Status: "CONFIRMED",
			Start: day("20261125T130000Z"), End: day("20261125T143000Z"),
			Attendees: []itip.Attendee{
				{Address: cua.MustParse("mailto:ada@sender.example"), PartStat: "ACCEPTED"},
				{Address: cua.MustParse("mailto:bob@receiver.example"), PartStat: "NEEDS-ACTION"},
			},
		}, {
			RecurrenceID: "20261202T130000Z", Sequence: 2, DTStamp: day("20261122T115744Z"), Transparent: true,
			Start: day("20261203T130000Z"), End: day("20261203T140000Z"),
			Attendees: []itip.Attendee{
				{Address: cua.MustParse("mailto:carol@receiver.example"), PartStat: "DECLINED"},
				{Address: cua.MustParse("mailto:bob@receiver.example"), PartStat: "NEEDS-ACTION"},
			},
		}},
		ExternalAttachment: true,
		Earliest:           day("20261125T130000Z"), Latest: day("20261203T140000Z"),
		Count: 5,
	}
	if diff := cmp.Diff(want, got, cmpAddress); diff != "" {
		t.Error(diff)
	}
}

// Proves: IS-ITIP-1, IS-ITIP-2
func TestOneOfEach(t *testing.T) {
	second := func(props string) []byte {
		m := string(event())
		return []byte(strings.Replace(m, "END:VCALENDAR", "BEGIN:VEVENT\r\n"+strings.ReplaceAll(props, "\n", "\r\n")+"END:VEVENT\r\nEND:VCALENDAR", 1))
	}
	for _, c := range []struct {
		name   string
		body   []byte
		kind   itip.Kind
		reason string
	}{
		{"no METHOD", message("", "VEVENT"), itip.KindScheduling, "method-missing"},
		{"two METHODs", []byte(strings.Replace(string(event()), "METHOD:REQUEST", "METHOD:REQUEST\r\nMETHOD:REQUEST", 1)), itip.KindScheduling, "method-repeated"},
		{"another METHOD after the component", []byte(strings.Replace(string(event()), "END:VCALENDAR", "METHOD:CANCEL\r\nEND:VCALENDAR", 1)), itip.KindScheduling, "method-repeated"},
		{"METHOD after the component", []byte(strings.Replace(string(message("", "VEVENT")), "END:VCALENDAR", "METHOD:CANCEL\r\nEND:VCALENDAR", 1)), itip.KindScheduling, "method-missing"},
		{"PUBLISH", message("PUBLISH", "VEVENT"), itip.KindScheduling, "method-unsupported"},
		{"an invented METHOD", message("X-DO", "VEVENT"), itip.KindScheduling, "method-unsupported"},
		{"two kinds of component", []byte(strings.Replace(string(event()), "END:VCALENDAR", "BEGIN:VTODO\r\nUID:1@sender.example\r\nEND:VTODO\r\nEND:VCALENDAR", 1)), itip.KindScheduling, "component-mixed"},
		{"no component", crlf("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nMETHOD:REQUEST\nEND:VCALENDAR\n"), itip.KindScheduling, "component-missing"},
		{"only an unknown component", crlf("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nMETHOD:REQUEST\nBEGIN:X-THING\nUID:1\nEND:X-THING\nEND:VCALENDAR\n"), itip.KindScheduling, "component-missing"},
		{"two UIDs in one component", event("UID:2"), itip.KindScheduling, "uid-repeated"},
		{"an empty UID", event("-UID", "UID:"), itip.KindScheduling, "uid-missing"},
		{"two UIDs over all", second("UID:2\nDTSTAMP:20261122T115743Z\n"), itip.KindScheduling, "uid-differs"},
		{"two ORGANIZERs in one component", event("ORGANIZER:mailto:ada@sender.example"), itip.KindScheduling, "organizer-repeated"},
		{"two ORGANIZERs over all", second("UID:1@sender.example\nORGANIZER:mailto:eve@evil.example\n"), itip.KindScheduling, "organizer-differs"},
		{"an ORGANIZER that is no address", event("-ORGANIZER", "ORGANIZER:mailto:a?b@c"), itip.KindScheduling, "organizer-invalid"},
		{"two VFREEBUSYs", []byte(strings.Replace(string(message("REQUEST", "VFREEBUSY")), "END:VCALENDAR", "BEGIN:VFREEBUSY\r\nUID:1@sender.example\r\nEND:VFREEBUSY\r\nEND:VCALENDAR", 1)), itip.KindScheduling, "component-repeated"},
		{"a VFREEBUSY that nobody answers", message("CANCEL", "VFREEBUSY"), itip.KindScheduling, "method-unsupported"},
		{"a VFREEBUSY without an end", message("REQUEST", "VFREEBUSY", "-DTEND"), itip.KindScheduling, "dtend-missing"},
		{"a VFREEBUSY that ends before it starts", message("REQUEST", "VFREEBUSY", "-DTEND", "DTEND:20261125T140000Z"), itip.KindScheduling, "range"},
		{"a VFREEBUSY with an unreadable ATTENDEE", message("REQUEST", "VFREEBUSY", "ATTENDEE:mailto:"), itip.KindScheduling, "attendee-invalid"},
		{"a REPLY of two attendees", message("REPLY", "VEVENT", "ATTENDEE:mailto:eve@evil.example"), itip.KindScheduling, "reply-attendees"},
		{"a REPLY that names its attendee twice", message("REPLY", "VEVENT", "ATTENDEE:mailto:bob@receiver.example"), itip.KindScheduling, "reply-attendees"},
	} {
		t.Run(c.name, func(t *testing.T) { refused(t, c.body, c.kind, c.reason) })
	}
}

// A REPLY for several instances has one ATTENDEE over all of them.
//
// Proves: IS-ITIP-5
func TestReplyOfSeveralInstancesHasOneAttendee(t *testing.T) {
	one := string(message("REPLY", "VEVENT", "RECURRENCE-ID:20261125T140000Z"))
	start, end := strings.Index(one, "BEGIN:VEVENT"), strings.Index(one, "END:VCALENDAR")
	other := strings.NewReplacer("20261125", "20261126", "bob@", "eve@").Replace(one[start:end])
	refused(t, []byte(one[:end]+other+one[end:]), itip.KindScheduling, "reply-attendees")
	m := inspect(t, []byte(one[:end]+strings.ReplaceAll(other, "eve@", "bob@")+one[end:]))
	if len(m.Instances) != 2 || len(m.Attendees) != 1 {
		t.Errorf("%d instances, %d attendees", len(m.Instances), len(m.Attendees))
	}
}

func TestComponentsWithoutTablesAreReported(t *testing.T) {
	for _, kind := range []string{"VJOURNAL", "VPOLL", "VAVAILABILITY"} {
		if m := inspect(t, message("REQUEST", kind)); m.Component != kind {
			t.Errorf("%s reported as %s", kind, m.Component)
		}
	}
	refused(t, message("REQUEST", "VJOURNAL", "-UID"), itip.KindScheduling, "uid-missing")
	refused(t, message("REQUEST", "VJOURNAL", "-ORGANIZER"), itip.KindScheduling, "organizer-missing")
}

// Proves: IS-ITIP-2
func TestTables(t *testing.T) {
	methods := []string{"REQUEST", "REPLY", "ADD", "CANCEL", "REFRESH", "COUNTER", "DECLINECOUNTER"}
	always := map[string]string{"UID": "uid-missing", "DTSTAMP": "dtstamp-missing", "ORGANIZER": "organizer-missing"}
	needAttendee := map[string]bool{
		"VEVENT REQUEST": true, "VEVENT REPLY": true, "VEVENT REFRESH": true,
		"VTODO REQUEST": true, "VTODO REPLY": true, "VTODO REFRESH": true, "VTODO COUNTER": true, "VTODO DECLINECOUNTER": true,
		"VFREEBUSY REQUEST": true, "VFREEBUSY REPLY": true,
	}
	needStart := map[string]bool{
		"VEVENT REQUEST": true, "VEVENT ADD": true, "VEVENT COUNTER": true, "VTODO REQUEST": true,
		"VFREEBUSY REQUEST": true, "VFREEBUSY REPLY": true,
	}
	for _, kind := range []string{"VEVENT", "VTODO", "VFREEBUSY"} {
		for _, method := range methods {
			if kind == "VFREEBUSY" && method != "REQUEST" && method != "REPLY" {
				continue
			}
			t.Run(kind+" "+method, func(t *testing.T) {
				if m := inspect(t, message(method, kind)); len(m.Violations) > 0 {
					t.Errorf("violations in a proper message: %v", m.Violations)
				}
				for name, reason := range always {
					refused(t, message(method, kind, "-"+name), itip.KindScheduling, reason)
				}
				if needAttendee[kind+" "+method] {
					refused(t, message(method, kind, "-ATTENDEE"), itip.KindScheduling, "attendee-missing")
				} else {
					inspect(t, message(method, kind, "-ATTENDEE"))
				}
				if needStart[kind+" "+method] {
					refused(t, message(method, kind, "-DTSTART"), itip.KindScheduling, "dtstart-missing")
				} else {
					inspect(t, message(method, kind, "-DTSTART"))
				}
			})
		}
	}
}

// Proves: IS-ITIP-2
func TestOtherDeparturesAreViolations(t *testing.T) {
	for _, c := range []struct {
		name string
		body []byte
		want itip.Violation
	}{
		{"REQUEST without SUMMARY", event("-SUMMARY"), itip.Violation{Property: "SUMMARY", Rule: "must appear", Line: 5}},
		{"REQUEST with REQUEST-STATUS", event("REQUEST-STATUS:2.0;Success"), itip.Violation{Property: "REQUEST-STATUS", Rule: "must not appear", Line: 14}},
		{"two LOCATIONs", event("LOCATION:a", "LOCATION:b"), itip.Violation{Property: "LOCATION", Rule: "must appear once", Line: 15}},
		{"two DTSTAMPs", event("DTSTAMP:20261122T115743Z"), itip.Violation{Property: "DTSTAMP", Rule: "must appear once", Line: 14}},
		{"DTEND and DURATION", event("DURATION:PT1H"), itip.Violation{Property: "DURATION", Rule: "must not appear with DTEND or DUE", Line: 14}},
		{"CANCEL without SEQUENCE", message("CANCEL", "VEVENT", "-SEQUENCE"), itip.Violation{Property: "SEQUENCE", Rule: "must appear", Line: 5}},
		{"CANCEL that is confirmed", message("CANCEL", "VEVENT", "STATUS:CONFIRMED"), itip.Violation{Property: "STATUS", Rule: "must be one that the method allows", Line: 14}},
		{"REQUEST that is cancelled", event("STATUS:CANCELLED"), itip.Violation{Property: "STATUS", Rule: "must be one that the method allows", Line: 14}},
		{"ADD with RECURRENCE-ID", message("ADD", "VEVENT", "RECURRENCE-ID:20261125T140000Z"), itip.Violation{Property: "RECURRENCE-ID", Rule: "must not appear", Line: 14}},
		{"ADD with SEQUENCE 0", message("ADD", "VEVENT", "-SEQUENCE", "SEQUENCE:0"), itip.Violation{Property: "SEQUENCE", Rule: "must be above 0", Line: 13}},
		{"REPLY with an alarm", message("REPLY", "VEVENT", "BEGIN:VALARM", "ACTION:AUDIO", "TRIGGER:PT0S", "END:VALARM"), itip.Violation{Property: "VALARM", Rule: "must not appear", Line: 14}},
		{"a date without VALUE", event("RDATE:20261126"), itip.Violation{Property: "RDATE", Rule: "must say VALUE=DATE of a date", Line: 14}},
		{"UTC with TZID", event("RDATE;TZID=Europe/Berlin:20261126T140000Z"), itip.Violation{Property: "RDATE", Rule: "must have no TZID with a UTC time", Line: 14}},
		{"a DTSTAMP that is not UTC", event("-DTSTAMP", "DTSTAMP:20261126T140000"), itip.Violation{Property: "DTSTAMP", Rule: "must be in UTC", Line: 13}},
		{"an event that ends before it starts", event("-DTEND", "DTEND:20261124T140000Z"), itip.Violation{Property: "DTEND", Rule: "must not be before DTSTART", Line: 5}},
		{"an ATTENDEE nobody can reach", event("ATTENDEE:mailto:no mail"), itip.Violation{Property: "ATTENDEE", Rule: "must be a calendar user address", Line: 14}},
		{"COUNT and UNTIL", event("RRULE:FREQ=DAILY;COUNT=2;UNTIL=20261201T000000Z"), itip.Violation{Property: "RRULE", Rule: "must not have COUNT and UNTIL", Line: 14}},
		{"a time zone nobody knows", event("RDATE;TZID=Mars/Olympus:20261126T140000"), itip.Violation{Property: "TZID", Rule: "must name a VTIMEZONE of the message or a known time zone", Line: 14}},
		{"two masters", []byte(strings.Replace(string(event()), "END:VCALENDAR", strings.SplitAfterN(string(event()), "METHOD:REQUEST\r\n", 2)[1], 1)), itip.Violation{Property: "RECURRENCE-ID", Rule: "must differ between components", Line: 15}},
		{"VFREEBUSY with DURATION", message("REQUEST", "VFREEBUSY", "-DTEND", "DURATION:PT1H"), itip.Violation{Property: "DURATION", Rule: "must not appear", Line: 11}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := inspect(t, c.body)
			for _, v := range m.Violations {
				if v == c.want {
					return
				}
			}
			t.Errorf("got %v, want %v\n%s", m.Violations, c.want, c.body)
		})
	}
}

func TestGrammar(t *testing.T) {
	wrap := func(lines string) []byte { return event(strings.ReplaceAll(lines, "\n", "\r\n")) }
	for _, c := range []struct {
		name   string
		body   []byte
		kind   itip.Kind
		reason string
	}{
		{"nothing", nil, itip.KindSyntax, "no-calendar"},
		{"blank lines only", []byte("\r\n\r\n"), itip.KindSyntax, "no-calendar"},
		{"no calendar", crlf("BEGIN:VEVENT\nEND:VEVENT\n"), itip.KindSyntax, "outside-calendar"},
		{"a property before the calendar", crlf("X-A:b\nBEGIN:VCALENDAR\nEND:VCALENDAR\n"), itip.KindSyntax, "outside-calendar"},
		{"a property after the calendar", append(event(), "X-A:b\r\n"...), itip.KindSyntax, "outside-calendar"},
		{"a second calendar", append(event(), event()...), itip.KindSyntax, "calendar-repeated"},
		{"a calendar in the calendar", []byte(strings.Replace(string(event()), "END:VCALENDAR", "BEGIN:VCALENDAR\r\nMETHOD:CANCEL\r\nEND:VCALENDAR\r\nEND:VCALENDAR", 1)), itip.KindSyntax, "component-nested"},
		{"an event in the event", wrap("BEGIN:VEVENT\nUID:2\nORGANIZER:mailto:eve@evil.example\nEND:VEVENT"), itip.KindSyntax, "component-nested"},
		{"a task in an unknown component", wrap("BEGIN:X-THING\nBEGIN:vtodo\nEND:vtodo\nEND:X-THING"), itip.KindSyntax, "component-nested"},
		{"no VERSION", []byte(strings.Replace(string(event()), "VERSION:2.0\r\n", "", 1)), itip.KindSyntax, "version"},
		{"VERSION 1.0", []byte(strings.Replace(string(event()), "VERSION:2.0", "VERSION:1.0", 1)), itip.KindSyntax, "version"},
		{"two VERSIONs", []byte(strings.Replace(string(event()), "VERSION:2.0", "VERSION:2.0\r\nVERSION:2.0", 1)), itip.KindSyntax, "version"},
		{"another calendar scale", []byte(strings.Replace(string(event()), "VERSION:2.0", "VERSION:2.0\r\nCALSCALE:HEBREW", 1)), itip.KindSyntax, "calscale"},
		{"no END", []byte(strings.TrimSuffix(string(event()), "END:VCALENDAR\r\n")), itip.KindSyntax, "component-end"},
		{"END of something else", wrap("BEGIN:VALARM\nEND:VEVENT"), itip.KindSyntax, "component-end"},
		{"END alone", crlf("END:VCALENDAR\n"), itip.KindSyntax, "component-end"},
		{"BEGIN with parameters", wrap("BEGIN;X=1:VALARM"), itip.KindSyntax, "component-name"},
		{"BEGIN of nothing", wrap("BEGIN:"), itip.KindSyntax, "component-name"},
		{"BEGIN of a strange name", wrap("BEGIN:V ALARM"), itip.KindSyntax, "component-name"},
		{"a line without a name", wrap(":x"), itip.KindSyntax, "line-name"},
		{"a line without a colon", wrap("SUMMARY"), itip.KindSyntax, "line-name"},
		{"a blank in a name", wrap("SUM MARY:x"), itip.KindSyntax, "line-name"},
		{"an empty line", wrap("X-A:b\n\nX-C:d"), itip.KindSyntax, "empty-line"},
		{"a parameter without a name", wrap("X-A;=b:c"), itip.KindSyntax, "parameter-name"},
		{"a parameter without a value", wrap("X-A;b:c"), itip.KindSyntax, "parameter-name"},
		{"a line that ends in a parameter", wrap("X-A;b=c"), itip.KindSyntax, "line-value"},
		{"a line that ends in a parameter name", wrap("X-A;b"), itip.KindSyntax, "parameter-name"},
		{"an unclosed quote", wrap(`X-A;b="c:d`), itip.KindSyntax, "parameter-quote"},
		{"a quote inside a value", wrap(`X-A;b=c"d":e`), itip.KindSyntax, "parameter-quote"},
		{"text after a quote", wrap(`X-A;b="c"d:e`), itip.KindSyntax, "parameter-quote"},
		{"TZID twice", wrap("RDATE;TZID=A;TZID=B:20261126T140000"), itip.KindSyntax, "parameter-repeated"},
		{"VALUE twice, in another case", wrap("X-A;VALUE=TEXT;value=URI:x"), itip.KindSyntax, "parameter-repeated"},
		{"a bare CR", wrap("X-A:b\rc"), itip.KindSyntax, "control-character"},
		{"a NUL", wrap("X-A:b\x00c"), itip.KindSyntax, "control-character"},
		{"a DEL at the end of a long line", wrap("X-A:" + strings.Repeat("b", 61) + "\x7f"), itip.KindSyntax, "control-character"},
		{"an escape character in a parameter", wrap("X-A;b=\x1b[0m:c"), itip.KindSyntax, "control-character"},
		{"Latin-1", wrap("X-A:M\xfcller"), itip.KindSyntax, "utf-8"},
		{"an overlong sequence", wrap("X-A:\xc0\x80"), itip.KindSyntax, "utf-8"},
		{"a continuation of nothing", append([]byte(" x"), event()...), itip.KindSyntax, "fold"},
		{"DTSTART of letters", wrap("DTSTART:tomorrow"), itip.KindSyntax, "date-time"},
		{"the 31st of February", wrap("RDATE:20260231T000000Z"), itip.KindSyntax, "date-time"},
		{"a 25th hour", wrap("RDATE:20260228T250000Z"), itip.KindSyntax, "date-time"},
		{"a date-time that says DATE", wrap("RDATE;VALUE=DATE:20260228T250000Z"), itip.KindSyntax, "date-time"},
		{"a date that says DATE-TIME", wrap("RDATE;VALUE=DATE-TIME:20260228"), itip.KindSyntax, "date-time"},
		{"an empty RDATE", wrap("RDATE:"), itip.KindSyntax, "date-time"},
		{"half a period", wrap("RDATE;VALUE=PERIOD:20260228T100000Z/"), itip.KindSyntax, "period"},
		{"a malformed DURATION", wrap("DURATION:1H"), itip.KindSyntax, "duration"},
		{"a negative SEQUENCE", wrap("SEQUENCE:-1"), itip.KindSyntax, "sequence"},
		{"an endless SEQUENCE", wrap("SEQUENCE:99999999999999999999"), itip.KindSyntax, "sequence"},
		{"a malformed RRULE", wrap("RRULE:FREQ=NEVER"), itip.KindSyntax, "recurrence-rule"},
		{"INTERVAL=0", wrap("RRULE:FREQ=DAILY;INTERVAL=0"), itip.KindSyntax, "recurrence-rule"},
	} {
		t.Run(c.name, func(t *testing.T) { refused(t, c.body, c.kind, c.reason) })
	}
}

func TestGrammarTolerates(t *testing.T) {
	for name, body := range map[string][]byte{
		"bare LF":                         []byte(strings.ReplaceAll(string(event()), "\r\n", "\n")),
		"no line end at the end":          event()[:len(event())-2],
		"blank lines at the end":          append(event(), "\r\n\r\n"...),
		"lower-case names":                []byte(strings.NewReplacer("BEGIN:VEVENT", "begin:vevent", "UID", "uid", "ATTENDEE", "attendee").Replace(string(event()))),
		"a tab in a value":                event("X-A:a\tb"),
		"folding inside a UTF-8 sequence": event("X-A:M\xc3\r\n \xbcller"),
		"folding by a tab":                event("X-A:b\r\n\tc"),
		"folding inside a name":           event("SUMM\r\n ARY-X:y"),
		"an empty continuation":           event("X-A:b\r\n "),
		"quoted parameter values":         event(`X-A;P="a;b:c,d","e";Q=:x`),
		"RFC 6868 escapes":                event("X-A;CN=^'Ada^'^n:x"),
		"an unknown component":            event("BEGIN:X-THING", "ATTENDEE:nobody at all", "BEGIN:X-INNER", "END:X-INNER", "END:X-THING"),
		"a leap second":                   event("RDATE:20261231T235960Z"),
		"an X- component beside":          []byte(strings.Replace(string(event()), "BEGIN:VEVENT", "BEGIN:X-THING\r\nDTSTART:whenever\r\nEND:X-THING\r\nBEGIN:VEVENT", 1)),
	} {
		t.Run(name, func(t *testing.T) { inspect(t, body) })
	}
}

// Only direct properties of main components are parties.
//
// Proves: IS-ITIP-1, IS-RECV-5
func TestNestedAttendeesAreNobody(t *testing.T) {
	m := inspect(t, event("BEGIN:VALARM", "ACTION:EMAIL", "TRIGGER:PT0S", "ATTENDEE:mailto:eve@evil.example", "ORGANIZER:mailto:eve@evil.example", "UID:x", "DTSTART:nonsense", "END:VALARM",
		"BEGIN:PARTICIPANT", "ATTENDEE:mailto:eve@evil.example", "END:PARTICIPANT"))
	if len(m.Attendees) != 1 || m.Attendees[0].String() != "mailto:bob@receiver.example" {
		t.Errorf("attendees %v", m.Attendees)
	}
	if len(m.Violations) > 0 {
		t.Errorf("violations %v", m.Violations)
	}
}

func TestLimits(t *testing.T) {
	many := func(n int, line string) []byte {
		var lines []string
		for i := range n {
			lines = append(lines, strings.ReplaceAll(line, "#", fmt.Sprint(i)))
		}
		return event(lines...)
	}
	for _, c := range []struct {
		name   string
		body   []byte
		reason string
	}{
		{"octets", event("X-A:" + strings.Repeat("x", 1<<20)), "message-bytes"},
		{"lines", many(50_000, "X-A:b"), "message-lines"},
		{"octets of a line", event("DESCRIPTION:" + strings.Repeat("x", 64<<10)), "line-bytes"},
		{"octets of a parameter", event("X-A;P=" + strings.Repeat("x", 4<<10+1) + ":y"), "parameter-bytes"},
		{"depth", event("BEGIN:A", "BEGIN:B", "BEGIN:C", "END:C", "END:B", "END:A"), "depth"},
		{"components", many(1999, "BEGIN:VALARM\r\nEND:VALARM"), "components"},
		{"attendees", many(1001, "ATTENDEE:mailto:a#@receiver.example"), "attendees"},
		{"spellings of an attendee", many(4002, "ATTENDEE;X=#:mailto:a@receiver.example?#"), "attendees"},
		{"time zones", many(65, "RDATE;TZID=Z#:20261126T140000"), "timezones"},
	} {
		t.Run(c.name, func(t *testing.T) { refused(t, c.body, itip.KindTooLarge, c.reason) })
	}
	inspect(t, event("ATTACH;ENCODING=BASE64;VALUE=BINARY:"+strings.Repeat("QUJD", 200<<8)))
	inspect(t, many(999, "ATTENDEE:mailto:a#@receiver.example"))
}

// Proves: IS-ITIP-3
func TestDateRangeCoversSchedulingPropertiesOnly(t *testing.T) {
	for _, c := range []struct {
		name             string
		body             []byte
		earliest, latest string
	}{
		{"start and end", event(), "20261125T140000Z", "20261125T150000Z"},
		{"DURATION", event("-DTEND", "DURATION:P2DT1H"), "20261125T140000Z", "20261127T150000Z"},
		{"a negative DURATION", event("-DTEND", "DURATION:-P1D"), "20261124T140000Z", "20261125T140000Z"},
		{"DUE", message("REQUEST", "VTODO", "DUE:20261201T000000Z"), "20261125T140000Z", "20261201T000000Z"},
		{"RDATE", event("RDATE:19700101T000000Z,20370101T000000Z"), "19700101T000000Z", "20370101T000000Z"},
		{"RDATE periods", event("RDATE;VALUE=PERIOD:20270101T000000Z/P400D,20270101T000000Z/20270102T000000Z"), "20261125T140000Z", "20280205T000000Z"},
		{"EXDATE", event("EXDATE:20400101T000000Z"), "20261125T140000Z", "20400101T000000Z"},
		{"RECURRENCE-ID", event("RECURRENCE-ID:20010101T000000Z"), "20010101T000000Z", "20261125T150000Z"},
		{"UNTIL", event("RRULE:FREQ=YEARLY;UNTIL=20991231T000000Z"), "20261125T140000Z", "20991231T000000Z"},
		{"FREEBUSY", message("REPLY", "VFREEBUSY", "FREEBUSY:20200101T000000Z/PT1H"), "20200101T000000Z", "20261125T150000Z"},
		{"not CREATED and the like", event("CREATED:19000101T000000Z", "LAST-MODIFIED:20990101T000000Z", "X-DATE:18000101"), "20261125T140000Z", "20261125T150000Z"},
		{"not VTIMEZONE", []byte(strings.Replace(string(event()), "BEGIN:VEVENT", berlin+"BEGIN:VEVENT", 1)), "20261125T140000Z", "20261125T150000Z"},
		{"not alarms", event("BEGIN:VALARM", "TRIGGER;VALUE=DATE-TIME:19000101T000000Z", "END:VALARM"), "20261125T140000Z", "20261125T150000Z"},
		{"dates", event("-DTSTART", "-DTEND", "DTSTART;VALUE=DATE:20261125"), "20261125T000000Z", "20261125T000000Z"},
		{"floating times", event("-DTSTART", "-DTEND", "DTSTART:20261125T140000"), "20261125T140000Z", "20261125T140000Z"},
		{"an IANA zone", event("-DTSTART", "-DTEND", "DTSTART;TZID=America/New_York:20261125T140000"), "20261125T190000Z", "20261125T190000Z"},
		{"an unknown zone can be anywhere", event("-DTSTART", "-DTEND", "DTSTART;TZID=Nowhere:20261125T140000"), "20261125T000000Z", "20261126T040000Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := inspect(t, c.body)
			if !m.Earliest.Equal(day(c.earliest)) || !m.Latest.Equal(day(c.latest)) {
				t.Errorf("%s to %s, want %s to %s", m.Earliest, m.Latest, c.earliest, c.latest)
			}
		})
	}
}

// Proves: IS-ITIP-3
func TestInstanceCount(t *testing.T) {
	override := func(n int) []byte {
		one := string(event())
		at := strings.Index(one, "END:VCALENDAR")
		var b strings.Builder
		b.WriteString(strings.Replace(one[:at], "SEQUENCE:1", "SEQUENCE:1\r\nRRULE:FREQ=DAILY", 1))
		for i := range n {
			fmt.Fprintf(&b, "BEGIN:VEVENT\r\nUID:1@sender.example\r\nDTSTAMP:20261122T115743Z\r\nRECURRENCE-ID:2027%02d%02dT140000Z\r\nDTSTART:20270101T150000Z\r\nSUMMARY:x\r\nORGANIZER:mailto:ada@sender.example\r\nATTENDEE:mailto:bob@receiver.example\r\nEND:VEVENT\r\n", 1+i/28, 1+i%28)
		}
		return []byte(b.String() + one[at:])
	}
	for _, c := range []struct {
		name    string
		body    []byte
		want    int
		endless bool
	}{
		{"one event", event(), 1, false},
		{"RDATEs", event("RDATE:20261126T140000Z,20261127T140000Z", "RDATE:20261128T140000Z"), 4, false},
		{"COUNT", event("RRULE:FREQ=DAILY;COUNT=10"), 10, false},
		{"COUNT beyond the bound", event("RRULE:FREQ=DAILY;COUNT=999999999999"), 101, false},
		{"UNTIL", event("RRULE:FREQ=DAILY;UNTIL=20261204T140000Z"), 10, false},
		{"UNTIL just before the last one", event("RRULE:FREQ=DAILY;UNTIL=20261204T135959Z"), 9, false},
		{"UNTIL as a date covers its day", event("RRULE:FREQ=DAILY;UNTIL=20261204"), 10, false},
		{"UNTIL in UTC of a local rule", event("-DTSTART", "-DTEND", "DTSTART;TZID=America/New_York:20261125T230000", "RRULE:FREQ=DAILY;UNTIL=20261127T035959Z"), 1, false},
		{"UNTIL beyond the bound", event("RRULE:FREQ=SECONDLY;UNTIL=99991231T000000Z"), 101, false},
		{"UNTIL in the past leaves DTSTART", event("RRULE:FREQ=DAILY;UNTIL=20200101T000000Z"), 1, false},
		{"COUNT and UNTIL: the smaller", event("RRULE:FREQ=DAILY;COUNT=3;UNTIL=20270101T000000Z"), 3, false},
		{"a rule and RDATEs", event("RRULE:FREQ=DAILY;COUNT=10", "RDATE:20261126T150000Z"), 11, false},
		{"two rules", event("RRULE:FREQ=DAILY;COUNT=10", "RRULE:FREQ=WEEKLY;COUNT=10"), 20, false},
		{"EXDATE subtracts nothing", event("RRULE:FREQ=DAILY;COUNT=10", "EXDATE:20261126T140000Z"), 10, false},
		{"an open rule", event("RRULE:FREQ=DAILY"), 1, false},
		{"overrides of an open rule", override(50), 50, false},
		{"overrides beyond the bound", override(120), 101, false},
		{"an open hourly rule", event("RRULE:FREQ=HOURLY"), 1, true},
		{"an open daily rule with hours", event("RRULE:FREQ=DAILY;BYHOUR=1,2,3"), 1, true},
		{"a rule that never matches is estimated upwards", event("RRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30;UNTIL=99990101T000000Z"), 101, false},
		{"another calendar is estimated upwards", event("RRULE:RSCALE=HEBREW;FREQ=YEARLY;UNTIL=20300101T000000Z"), 5, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := itip.Inspect(c.body, itip.Limits{}, 100)
			if err != nil {
				t.Fatal(err)
			}
			if m.Count != c.want || m.Endless != c.endless {
				t.Errorf("count %d endless %v, want %d %v", m.Count, m.Endless, c.want, c.endless)
			}
		})
	}
}

// Proves: IS-ITIP-3
func TestRScales(t *testing.T) {
	m := inspect(t, event("RRULE:RSCALE=hebrew;FREQ=YEARLY;COUNT=2", "RRULE:FREQ=YEARLY;COUNT=2;RSCALE=HEBREW", "RRULE:RSCALE=CHINESE;FREQ=YEARLY;BYMONTH=5L;SKIP=FORWARD;COUNT=2"))
	if diff := cmp.Diff([]string{"HEBREW", "CHINESE"}, m.RScales); diff != "" {
		t.Error(diff)
	}
	if m := inspect(t, event("RRULE:FREQ=YEARLY")); m.RScales != nil {
		t.Errorf("a rule without RSCALE names %v", m.RScales)
	}
}

// Proves: IS-ITIP-3
func TestAttachmentsByValueType(t *testing.T) {
	for _, c := range []struct {
		line             string
		inline, external bool
	}{
		{"ATTACH:https://sender.example/x", false, true},
		{"ATTACH;VALUE=URI:https://sender.example/x", false, true},
		{"ATTACH:cid:part1@sender.example", false, true},
		{"ATTACH;ENCODING=BASE64;VALUE=BINARY:QUJD", true, false},
		{"ATTACH;encoding=base64:QUJD", true, false},
		{"attach;value=binary:QUJD", true, false},
		{"ATTACH:DATA:text/plain,hello", true, false},
		{"IMAGE;ENCODING=BASE64;VALUE=BINARY:QUJD", true, false},
		{"IMAGE;VALUE=URI:data:image/png;base64,QUJD", true, false},
		{"IMAGE;VALUE=URI:https://sender.example/x.png", false, false},
		{"BEGIN:VALARM\r\nATTACH;VALUE=BINARY;ENCODING=BASE64:QUJD\r\nEND:VALARM", true, false},
		{"X-ATTACH:https://sender.example/x", false, false},
	} {
		m := inspect(t, event(c.line))
		if m.InlineAttachment != c.inline || m.ExternalAttachment != c.external {
			t.Errorf("%s: inline %v, external %v", c.line, m.InlineAttachment, m.ExternalAttachment)
		}
	}
}
