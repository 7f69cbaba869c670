package itip_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
)

// calendar is a stored object: VEVENTs of one UID, each given by its lines.
func calendar(zones string, events ...string) []byte {
	b := "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//test//EN\r\n" + zones
	for _, e := range events {
		b += "BEGIN:VEVENT\r\nUID:u\r\nDTSTAMP:20260101T000000Z\r\n" + strings.ReplaceAll(e, "\n", "\r\n") + "\r\nEND:VEVENT\r\n"
	}
	return []byte(b + "END:VCALENDAR\r\n")
}

// spans writes periods as "BUSY 1125T1400-1500", of a range within a year.
func spans(periods []itip.Period) []string {
	var out []string
	for _, p := range periods {
		layout := "1504"
		if p.End.Sub(p.Start) >= 24*time.Hour || p.End.Day() != p.Start.Day() {
			layout = "0102T1504"
		}
		out = append(out, p.Type+" "+p.Start.Format("0102T1504")+"-"+p.End.Format(layout))
	}
	return out
}

// What takes time is what RFC 5545 says, computed by hand.
//
// Proves: IS-BACK-5
func TestBusy(t *testing.T) {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	odd := strings.ReplaceAll(berlin, "Europe/Berlin", "Odd") // a TZID that only the object knows
	answered := func(who, partStat string) string {
		return "DTSTART:20261125T140000Z\nDURATION:PT1H\nORGANIZER:" + ada + "\nATTENDEE;PARTSTAT=" + partStat + ":" + who
	}
	for _, c := range []struct {
		name     string
		object   []byte
		from, to string
		want     []string
	}{
		{"an event", calendar("", "DTSTART:20261125T140000Z\nDTEND:20261125T150000Z"), "20261125T000000Z", "20261126T000000Z", []string{"BUSY 1125T1400-1500"}},
		{"an event without an end takes no time", calendar("", "DTSTART:20261125T140000Z"), "20261125T000000Z", "20261126T000000Z", nil},
		{"an event that ends before it starts takes no time", calendar("", "DTSTART:20261125T140000Z\nDTEND:20261125T130000Z"), "20261125T000000Z", "20261126T000000Z", nil},
		{"what touches the range is outside", calendar("", "DTSTART:20261125T140000Z\nDTEND:20261125T150000Z"), "20261125T150000Z", "20261126T000000Z", nil},
		{"what reaches into the range is cut", calendar("", "DTSTART:20261124T220000Z\nDURATION:PT48H"), "20261125T000000Z", "20261126T000000Z", []string{"BUSY 1125T0000-1126T0000"}},
		{"a range of nothing", calendar("", "DTSTART:20261125T140000Z\nDTEND:20261125T150000Z"), "20261125T143000Z", "20261125T143000Z", nil},
		{"an all-day event, in the owner's zone", calendar("", "DTSTART;VALUE=DATE:20261125"), "20261101T000000Z", "20261201T000000Z", []string{"BUSY 1125T0500-1126T0500"}},
		{"days over the clock change", calendar("", "DTSTART;VALUE=DATE:20261031\nDTEND;VALUE=DATE:20261102"), "20261001T000000Z", "20261201T000000Z", []string{"BUSY 1031T0400-1102T0500"}},
		{"days by DURATION", calendar("", "DTSTART;VALUE=DATE:20261125\nDURATION:P2D"), "20261101T000000Z", "20261201T000000Z", []string{"BUSY 1125T0500-1127T0500"}},
		{"a floating time, in the owner's zone", calendar("", "DTSTART:20261125T140000\nDURATION:PT1H"), "20261101T000000Z", "20261201T000000Z", []string{"BUSY 1125T1900-2000"}},
		{"a zone that nobody knows, in the owner's", calendar("", "DTSTART;TZID=W. Europe Standard Time:20261125T140000\nDURATION:PT1H"), "20261101T000000Z", "20261201T000000Z", []string{"BUSY 1125T1900-2000"}},
		{"a zone that the object defines", calendar(odd, "DTSTART;TZID=Odd:20261125T140000\nDURATION:PT1H"), "20261101T000000Z", "20261201T000000Z", []string{"BUSY 1125T1300-1400"}},
		{"a DURATION of a day is nominal", calendar("", "DTSTART;TZID=Europe/Berlin:20261024T120000\nDURATION:P1D"), "20261001T000000Z", "20261201T000000Z", []string{"BUSY 1024T1000-1025T1100"}},
		{"a DURATION of 24 hours is exact", calendar("", "DTSTART;TZID=Europe/Berlin:20261024T120000\nDURATION:PT24H"), "20261001T000000Z", "20261201T000000Z", []string{"BUSY 1024T1000-1025T1000"}},

		{"transparent", calendar("", "DTSTART:20261125T140000Z\nDURATION:PT1H\nTRANSP:TRANSPARENT"), "20261125T000000Z", "20261126T000000Z", nil},
		{"cancelled", calendar("", "DTSTART:20261125T140000Z\nDURATION:PT1H\nSTATUS:CANCELLED"), "20261125T000000Z", "20261126T000000Z", nil},
		{"tentative", calendar("", "DTSTART:20261125T140000Z\nDURATION:PT1H\nSTATUS:TENTATIVE"), "20261125T000000Z", "20261126T000000Z", []string{"BUSY-TENTATIVE 1125T1400-1500"}},
		{"accepted", calendar("", answered(bob, "ACCEPTED")), "20261125T000000Z", "20261126T000000Z", []string{"BUSY 1125T1400-1500"}},
		{"declined", calendar("", answered(bob, "declined")), "20261125T000000Z", "20261126T000000Z", nil},
		{"declined by somebody else", calendar("", answered("mailto:carol@receiver.example", "DECLINED")), "20261125T000000Z", "20261126T000000Z", []string{"BUSY 1125T1400-1500"}},
		{"accepted tentatively", calendar("", answered(bob, "TENTATIVE")), "20261125T000000Z", "20261126T000000Z", []string{"BUSY-TENTATIVE 1125T1400-1500"}},
		{"not answered", calendar("", answered(bob, "NEEDS-ACTION")), "20261125T000000Z", "20261126T000000Z", []string{"BUSY-TENTATIVE 1125T1400-1500"}},
		{"a task takes no time", []byte(strings.ReplaceAll(string(calendar("", "DTSTART:20261125T140000Z\nDUE:20261125T150000Z")), "VEVENT", "VTODO")), "20261125T000000Z", "20261126T000000Z", nil},

		{"a rule keeps its hour when Berlin's clock goes back", calendar("", "DTSTART;TZID=Europe/Berlin:20260101T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY"), "20261024T000000Z", "20261027T000000Z",
			[]string{"BUSY 1024T0700-0800", "BUSY 1025T0800-0900", "BUSY 1026T0800-0900"}},
		{"a rule keeps its hour when New York's clock goes forward", calendar("", "DTSTART;TZID=America/New_York:20260101T190000\nDTEND;TZID=America/New_York:20260101T200000\nRRULE:FREQ=DAILY"), "20260307T000000Z", "20260310T000000Z",
			[]string{"BUSY 0307T0000-0100", "BUSY 0308T0000-0100", "BUSY 0308T2300-0309T0000", "BUSY 0309T2300-0310T0000"}},
		{"a rule by the object's own zone", calendar(odd, "DTSTART;TZID=Odd:20260101T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY"), "20261024T000000Z", "20261026T000000Z", []string{"BUSY 1024T0700-0800", "BUSY 1025T0800-0900"}},
		{"an hour that the clock skips comes with the offset before", calendar("", "DTSTART;TZID=Europe/Berlin:20260301T023000\nDURATION:PT1H\nRRULE:FREQ=WEEKLY"), "20260328T000000Z", "20260330T000000Z", []string{"BUSY 0329T0130-0230"}},
		{"an hour that comes twice is the first", calendar("", "DTSTART;TZID=America/New_York:20261004T013000\nDURATION:PT1H\nRRULE:FREQ=WEEKLY"), "20261101T000000Z", "20261102T000000Z", []string{"BUSY 1101T0530-0630"}},
		{"an hour more by DTEND stays one hour over the clock change", calendar("", "DTSTART;TZID=Europe/Berlin:20260103T230000\nDTEND;TZID=Europe/Berlin:20260104T070000\nRRULE:FREQ=WEEKLY"), "20261024T000000Z", "20261026T000000Z", []string{"BUSY 1024T2100-1025T0500"}},
		{"the range ends before the day on the rule's clock does", calendar("", "DTSTART;TZID=Europe/Berlin:20261101T003000\nDURATION:PT10M\nRRULE:FREQ=DAILY"), "20261125T000000Z", "20261126T000000Z", []string{"BUSY 1125T2330-2340"}},
		{"the range begins on the next day of the rule's clock", calendar("", "DTSTART;TZID=America/New_York:20261101T233000\nDURATION:PT10M\nRRULE:FREQ=DAILY;INTERVAL=2"), "20261126T000000Z", "20261127T000000Z", []string{"BUSY 1126T0430-0440"}},
		{"a floating rule follows the owner's clock", calendar("", "DTSTART:20261030T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY"), "20261031T000000Z", "20261102T000000Z", []string{"BUSY 1031T1300-1400", "BUSY 1101T1400-1500"}},
		{"an all-day rule follows the owner's days", calendar("", "DTSTART;VALUE=DATE:20261031\nRRULE:FREQ=DAILY;COUNT=2"), "20261001T000000Z", "20261201T000000Z", []string{"BUSY 1031T0400-1101T0400", "BUSY 1101T0400-1102T0500"}},

		{"COUNT ends a rule", calendar("", "DTSTART:20261120T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=6"), "20261124T000000Z", "20261201T000000Z", []string{"BUSY 1124T0900-1000", "BUSY 1125T0900-1000"}},
		{"COUNT counts what EXDATE takes out", calendar("", "DTSTART:20261123T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE:20261124T090000Z"), "20261101T000000Z", "20261201T000000Z", []string{"BUSY 1123T0900-1000", "BUSY 1125T0900-1000"}},
		{"COUNT over several days a week", calendar("", "DTSTART:20261102T090000Z\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;BYDAY=MO,WE,FR;COUNT=8"), "20261116T000000Z", "20261201T000000Z", []string{"BUSY 1116T0900-1000", "BUSY 1118T0900-1000"}},
		{"UNTIL is an instant", calendar("", "DTSTART;TZID=Europe/Berlin:20261123T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY;UNTIL=20261125T080000Z"), "20261124T000000Z", "20261201T000000Z", []string{"BUSY 1124T0800-0900", "BUSY 1125T0800-0900"}},
		{"UNTIL as a date covers the day", calendar("", "DTSTART;TZID=Europe/Berlin:20261123T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY;UNTIL=20261124"), "20261124T000000Z", "20261201T000000Z", []string{"BUSY 1124T0800-0900"}},
		{"the last Friday of the month, since long ago", calendar("", "DTSTART:19700130T090000Z\nDURATION:PT1H\nRRULE:FREQ=MONTHLY;BYDAY=FR;BYSETPOS=-1"), "20261101T000000Z", "20261201T000000Z", []string{"BUSY 1127T0900-1000"}},
		{"the 366th day, since long ago", calendar("", "DTSTART:19721231T090000Z\nDURATION:PT1H\nRRULE:FREQ=YEARLY;BYYEARDAY=366"), "20281201T000000Z", "20290201T000000Z", []string{"BUSY 1231T0900-1000"}},
		{"twice a day", calendar("", "DTSTART:20261101T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;BYHOUR=9,15"), "20261125T000000Z", "20261126T000000Z", []string{"BUSY 1125T0900-1000", "BUSY 1125T1500-1600"}},
		{"every six hours since long ago", calendar("", "DTSTART:19700101T030000Z\nDURATION:PT1H\nRRULE:FREQ=HOURLY;INTERVAL=6"), "20261125T000000Z", "20261125T120000Z", []string{"BUSY 1125T0300-0400", "BUSY 1125T0900-1000"}},
		{"an instance that began before the range", calendar("", "DTSTART:20200101T220000Z\nDURATION:PT4H\nRRULE:FREQ=DAILY"), "20261125T000000Z", "20261125T120000Z", []string{"BUSY 1125T0000-0200"}},
		{"an instance of days that began before the range", calendar("", "DTSTART;VALUE=DATE:20261102\nDTEND;VALUE=DATE:20261107\nRRULE:FREQ=WEEKLY"), "20261119T120000Z", "20261123T000000Z", []string{"BUSY 1119T1200-1121T0500"}},
		{"a DTSTART that the rule does not name is an instance", calendar("", "DTSTART:20261124T090000Z\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;BYDAY=WE"), "20261124T000000Z", "20261127T000000Z", []string{"BUSY 1124T0900-1000", "BUSY 1125T0900-1000"}},

		{"EXDATE in another form: UTC", calendar("", "DTSTART;TZID=Europe/Berlin:20261123T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE:20261124T080000Z"), "20261101T000000Z", "20261201T000000Z", []string{"BUSY 1123T0800-0900", "BUSY 1125T0800-0900"}},
		{"EXDATE in another form: another zone", calendar("", "DTSTART;TZID=Europe/Berlin:20261123T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE;TZID=America/New_York:20261124T030000"), "20261101T000000Z", "20261201T000000Z", []string{"BUSY 1123T0800-0900", "BUSY 1125T0800-0900"}},
		{"EXDATE in another form: the day", calendar("", "DTSTART;TZID=Europe/Berlin:20261123T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE;VALUE=DATE:20261124"), "20261101T000000Z", "20261201T000000Z", []string{"BUSY 1123T0800-0900", "BUSY 1125T0800-0900"}},
		{"EXDATE in another form: midnight for a day", calendar("", "DTSTART;VALUE=DATE:20261123\nRRULE:FREQ=DAILY;COUNT=2\nEXDATE:20261124T000000"), "20261101T000000Z", "20261201T000000Z", []string{"BUSY 1123T0500-1124T0500"}},
		{"EXDATE as a list, and of the first", calendar("", "DTSTART:20261123T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=4\nEXDATE:20261123T090000Z,20261125T090000Z\nEXDATE:20261126T090000Z"), "20261101T000000Z", "20261201T000000Z", []string{"BUSY 1124T0900-1000"}},
		{"RDATEs, one of them twice", calendar("", "DTSTART:20261123T090000Z\nDURATION:PT1H\nRDATE;TZID=Europe/Berlin:20261124T160000,20261124T160000\nRDATE:20261125T170000Z\nEXDATE:20261125T170000Z"), "20261101T000000Z", "20261201T000000Z", []string{"BUSY 1123T0900-1000", "BUSY 1124T1500-1600"}},
		{"RDATEs of their own length", calendar("", "DTSTART:20261123T090000Z\nDURATION:PT1H\nRDATE;VALUE=PERIOD:20261124T160000Z/PT30M,20261125T160000Z/20261125T200000Z"), "20261101T000000Z", "20261201T000000Z", []string{"BUSY 1123T0900-1000", "BUSY 1124T1600-1630", "BUSY 1125T1600-2000"}},
		{"RDATEs of their own length, other than by DTEND", calendar("", "DTSTART:20261123T090000Z\nDTEND:20261123T100000Z\nRDATE;VALUE=PERIOD:20261124T160000Z/PT30M"), "20261124T000000Z", "20261201T000000Z", []string{"BUSY 1124T1600-1630"}},
		{"RDATEs of their own length in a zone", calendar("", "DTSTART:20261123T090000Z\nDTEND:20261123T100000Z\nRDATE;VALUE=PERIOD;TZID=Europe/Berlin:20261124T160000/20261124T170000"), "20261124T000000Z", "20261201T000000Z", []string{"BUSY 1124T1500-1600"}},

		{"an override out of the range", calendar("", "DTSTART:20261123T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3", "RECURRENCE-ID:20261124T090000Z\nDTSTART:20261224T090000Z\nDURATION:PT1H"), "20261101T000000Z", "20261201T000000Z", []string{"BUSY 1123T0900-1000", "BUSY 1125T0900-1000"}},
		{"an override into the range", calendar("", "DTSTART:20261123T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=30", "RECURRENCE-ID:20261201T090000Z\nDTSTART:20261123T160000Z\nDURATION:PT1H"), "20261123T000000Z", "20261124T000000Z", []string{"BUSY 1123T0900-1000", "BUSY 1123T1600-1700"}},
		{"an override in another form", calendar("", "DTSTART;TZID=Europe/Berlin:20261123T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=2", "RECURRENCE-ID:20261124T080000Z\nDTSTART:20261124T160000Z\nDURATION:PT2H"), "20261101T000000Z", "20261201T000000Z", []string{"BUSY 1123T0800-0900", "BUSY 1124T1600-1800"}},
		{"an override that is cancelled", calendar("", "DTSTART:20261123T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=2", "RECURRENCE-ID:20261124T090000Z\nDTSTART:20261124T090000Z\nDURATION:PT1H\nSTATUS:CANCELLED"), "20261101T000000Z", "20261201T000000Z", []string{"BUSY 1123T0900-1000"}},
		{"one instance declined", calendar("", answered(bob, "ACCEPTED")+"\nRRULE:FREQ=DAILY;COUNT=2", strings.ReplaceAll(answered(bob, "DECLINED"), "1125T", "1126T")+"\nRECURRENCE-ID:20261126T140000Z"), "20261101T000000Z", "20261201T000000Z", []string{"BUSY 1125T1400-1500"}},
		{"one instance accepted of a declined series", calendar("", answered(bob, "DECLINED")+"\nRRULE:FREQ=DAILY;COUNT=2", strings.ReplaceAll(answered(bob, "ACCEPTED"), "1125T", "1126T")+"\nRECURRENCE-ID:20261126T140000Z"), "20261101T000000Z", "20261201T000000Z", []string{"BUSY 1126T1400-1500"}},
		{"an override without its master", calendar("", "RECURRENCE-ID:20261124T090000Z\nDTSTART:20261124T160000Z\nDURATION:PT1H"), "20261101T000000Z", "20261201T000000Z", []string{"BUSY 1124T1600-1700"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := itip.Busy(c.object, cua.MustParse(bob), zone, day(c.from), day(c.to))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, spans(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
	// Without a zone, days are UTC days.
	got, err := itip.Busy(calendar("", "DTSTART;VALUE=DATE:20261125"), cua.MustParse(bob), nil, day("20261101T000000Z"), day("20261201T000000Z"))
	if err != nil || !slices.Equal(spans(got), []string{"BUSY 1125T0000-1126T0000"}) {
		t.Errorf("%v, %v", got, err)
	}
}

// What cannot be told by bounded work is an error, and the work is bounded.
//
// Proves: IS-BACK-5
func TestBusyRefuses(t *testing.T) {
	for _, c := range []struct{ name, event, reason string }{
		{"every second since long ago", "DTSTART:20001125T140000Z\nDURATION:PT1S\nRRULE:FREQ=SECONDLY", "recurrence-rule"},
		{"every second, a narrow rule", "DTSTART:20001125T140000Z\nDURATION:PT1S\nRRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", "recurrence-rule"},
		{"every second, counted", "DTSTART:20001125T140000Z\nDURATION:PT1S\nRRULE:FREQ=SECONDLY;BYDAY=MO;COUNT=999999999", "recurrence-rule"},
		{"every second for centuries each", "DTSTART:20001125T140000Z\nDURATION:P100000D\nRRULE:FREQ=SECONDLY;INTERVAL=43200", "periods"},
		{"RDATEs without end", "DTSTART:20261125T140000Z\nDURATION:PT1S\n" + strings.TrimSuffix(strings.Repeat("RDATE:20261125T140000Z"+strings.Repeat(",20261125T140001Z", 2000)+"\n", 6), "\n"), "periods"},
		{"a rule of nought days", "DTSTART:20261125T140000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;INTERVAL=0", "recurrence-rule"},
		{"another calendar", "DTSTART:20261125T140000Z\nDURATION:PT1H\nRRULE:RSCALE=HEBREW;FREQ=YEARLY", "recurrence-rule"},
		{"days that move", "DTSTART:20260131T140000Z\nDURATION:PT1H\nRRULE:RSCALE=GREGORIAN;FREQ=MONTHLY;SKIP=BACKWARD", "recurrence-rule"},
		{"this and all that follow", "DTSTART:20261125T140000Z\nDURATION:PT1H\nRECURRENCE-ID;RANGE=THISANDFUTURE:20261125T090000Z", "recurrence-range"},
		{"no iCalendar", "nonsense", "line-name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := itip.Busy(calendar("", c.event), cua.MustParse(bob), nil, day("20261101T000000Z"), day("20270101T000000Z"))
			var e *itip.Error
			if !errors.As(err, &e) || e.Reason != c.reason || got != nil {
				t.Errorf("%d periods, %v; want %s", len(got), err, c.reason)
			}
		})
	}
}
