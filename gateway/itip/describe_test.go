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

func describe(t *testing.T, body []byte) *itip.Description {
	t.Helper()
	d, err := itip.Describe(body)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// told is an occasion's times with their zone and offset.
func told(o itip.Occasion) string {
	const layout = "2006-01-02T15:04 MST -07:00"
	s := ""
	if !o.Recurrence.IsZero() {
		s = "(" + o.Recurrence.Format(layout) + ") "
	}
	if !o.Start.IsZero() {
		s += o.Start.Format(layout)
	}
	if !o.End.IsZero() {
		s += " to " + o.End.Format(layout)
	}
	if o.AllDay {
		s += " all day"
	}
	if o.Floating {
		s += " floating"
	}
	if o.Zone != "" {
		s += " in " + o.Zone
	}
	if o.Due {
		s += " due"
	}
	if o.Cancelled {
		s += " cancelled"
	}
	return strings.TrimSpace(s)
}

// ownBerlin defines the TZID Europe/Berlin as something else than the IANA database does.
const ownBerlin = "BEGIN:VTIMEZONE\r\nTZID:Europe/Berlin\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\nTZOFFSETFROM:+0500\r\nTZOFFSETTO:+0500\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"

// A person reads times on the event's own clock; the message's VTIMEZONE says what that clock is, else the IANA zone of its name.
//
// Proves: IS-ITIP-1
func TestTimesAreToldInTheEventsOwnZone(t *testing.T) {
	zoned := []string{"-DTSTART", "-DTEND", "DTSTART;TZID=Europe/Berlin:20261125T150000", "DTEND;TZID=Europe/Berlin:20261125T160000"}
	const berlin = "2026-11-25T15:00 Europe/Berlin +01:00 to 2026-11-25T16:00 Europe/Berlin +01:00 in Europe/Berlin"
	for _, tt := range []struct {
		rule string
		body []byte
		want string
	}{
		{"UTC", event(), "2026-11-25T14:00 UTC +00:00 to 2026-11-25T15:00 UTC +00:00"},
		{"IANA zone", event(zoned...), berlin},
		{"VTIMEZONE first", []byte(strings.Replace(string(event(zoned...)), "BEGIN:VEVENT", ownBerlin+"BEGIN:VEVENT", 1)),
			strings.ReplaceAll(berlin, "+01:00", "+05:00")},
		{"VTIMEZONE behind the event", []byte(strings.Replace(string(event(zoned...)), "END:VEVENT\r\n", "END:VEVENT\r\n"+ownBerlin, 1)),
			strings.ReplaceAll(berlin, "+01:00", "+05:00")},
		{"a zone nobody knows", event("-DTSTART", "-DTEND", "DTSTART;TZID=Nowhere:20261125T150000"), "2026-11-25T15:00 UTC +00:00 floating in Nowhere"},
		{"floating", event("-DTSTART", "-DTEND", "DTSTART:20261125T150000"), "2026-11-25T15:00 UTC +00:00 floating"},
		{"all day, one day", event("-DTSTART", "-DTEND", "DTSTART;VALUE=DATE:20261125"), "2026-11-25T00:00 UTC +00:00 to 2026-11-26T00:00 UTC +00:00 all day"},
		{"an end in UTC is told on the clock of the start", event("-DTSTART", "-DTEND", zoned[2], "DTEND:20261125T150000Z"), berlin},
		{"a duration is told on the clock of the start", event("-DTSTART", "-DTEND", zoned[2], "DURATION:PT1H"), berlin},
		{"an end in another zone stays there", event("-DTSTART", "-DTEND", zoned[2], "DTEND;TZID=America/New_York:20261125T160000"),
			"2026-11-25T15:00 Europe/Berlin +01:00 to 2026-11-25T16:00 America/New_York -05:00 in Europe/Berlin"},
		{"the name of a database is not the name of a zone", event("-DTSTART", "-DTEND", "DTSTART;TZID=/example.com/2026/Asia/Tokyo:20261125T150000"),
			"2026-11-25T15:00 UTC +00:00 floating in Asia/Tokyo"},
		{"an instance", event(append(zoned, "RECURRENCE-ID:20261124T130000Z")...), "(2026-11-24T14:00 Europe/Berlin +01:00) " + berlin},
		{"no end", event("-DTEND"), "2026-11-25T14:00 UTC +00:00"},
		{"a task", message("REQUEST", "VTODO", "-DTSTART", "DUE:20261130T120000Z"), "to 2026-11-30T12:00 UTC +00:00 due"},
		{"a duration without a start is no time", message("REQUEST", "VTODO", "-DTSTART", "DURATION:PT1H"), ""},
		{"no time at all", message("REFRESH", "VEVENT"), ""},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			d := describe(t, tt.body)
			if got := told(d.Instances[0]); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestDescribeSaysWhatTheMessageSays(t *testing.T) {
	d := describe(t, event("-ORGANIZER", "-ATTENDEE", "-SUMMARY",
		"ORGANIZER;CN=Ada ^'Countess^' Lovelace^nof ^^:mailto:ada@sender.example",
		"ATTENDEE;CN=\"Müller, Jörg\";PARTSTAT=accepted;ROLE=OPT-PARTICIPANT:mailto:joerg@receiver.example",
		"ATTENDEE;PARTSTAT=NEEDS-ACTION;ROLE=REQ-PARTICIPANT:mailto:bob@receiver.example",
		"ATTENDEE:MAILTO:bob@Receiver.example",
		`SUMMARY:Budget\, round\n2`, `LOCATION:Room 7\; upstairs`, `DESCRIPTION:One\nTwo \\ three`,
		"COMMENT:first", "COMMENT:second", "URL:https://sender.example/e/1", "CONFERENCE;VALUE=URI:https://meet.sender.example/x",
		"RRULE:FREQ=WEEKLY;COUNT=10", "EXDATE:20261202T140000Z,20261209T140000Z", "RDATE:20261203T140000Z", "STATUS:CONFIRMED",
	))
	at := func(day int) time.Time { return time.Date(2026, 12, day, 14, 0, 0, 0, time.UTC) }
	want := &itip.Description{
		Method: "REQUEST", Component: "VEVENT",
		Summary: "Budget, round 2", Location: "Room 7; upstairs", Text: "One\nTwo \\ three", Comments: []string{"first", "second"},
		URL: "https://sender.example/e/1", Conference: "https://meet.sender.example/x",
		Organizer: itip.Person{Address: cua.MustParse("mailto:ada@sender.example"), Name: `Ada "Countess" Lovelace of ^`},
		Attendees: []itip.Person{
			{Address: cua.MustParse("mailto:joerg@receiver.example"), Name: "Müller, Jörg", PartStat: "ACCEPTED", Role: "OPT-PARTICIPANT"},
			{Address: cua.MustParse("mailto:bob@receiver.example")},
		},
		Instances: []itip.Occasion{{Start: time.Date(2026, 11, 25, 14, 0, 0, 0, time.UTC), End: time.Date(2026, 11, 25, 15, 0, 0, 0, time.UTC)}},
		Rule:      "every week on Wednesday, 10 times",
		Excluded:  []time.Time{at(2), at(9)}, Additional: []time.Time{at(3)},
	}
	if diff := cmp.Diff(want, d, cmp.Comparer(cua.Address.Equal)); diff != "" {
		t.Error(diff)
	}
}

func TestTheMasterSpeaksForItsOverrides(t *testing.T) {
	master := string(event("-DTSTART", "-DTEND", "DTSTART;TZID=Europe/Berlin:20261125T150000", "RRULE:FREQ=WEEKLY"))
	override := "BEGIN:VEVENT\r\nUID:1@sender.example\r\nDTSTAMP:20261122T115743Z\r\nORGANIZER:mailto:ada@sender.example\r\n" +
		"RECURRENCE-ID;TZID=Europe/Berlin:20261202T150000\r\nDTSTART;TZID=Europe/Berlin:20261203T090000\r\nSUMMARY:Elsewhere\r\nLOCATION:Hall\r\nSTATUS:CANCELLED\r\n" +
		"ATTENDEE:mailto:carol@receiver.example\r\nEND:VEVENT\r\n"
	d := describe(t, []byte(strings.Replace(master, "BEGIN:VEVENT", override+"BEGIN:VEVENT", 1)))
	if d.Summary != "Out" || d.Cancelled || len(d.Attendees) != 2 || len(d.Instances) != 2 {
		t.Fatalf("%+v", d)
	}
	if got := told(d.Instances[0]); got != "2026-11-25T15:00 Europe/Berlin +01:00 in Europe/Berlin" {
		t.Error(got)
	}
	o := d.Instances[1]
	if got := told(o); got != "(2026-12-02T15:00 Europe/Berlin +01:00) 2026-12-03T09:00 Europe/Berlin +01:00 in Europe/Berlin cancelled" || o.Summary != "Elsewhere" || o.Location != "Hall" {
		t.Errorf("%s %+v", got, o)
	}
}

func TestRulesInEnglish(t *testing.T) {
	for _, tt := range []struct{ rule, want string }{
		{"FREQ=DAILY", "every day"},
		{"FREQ=DAILY;INTERVAL=3;COUNT=5", "every 3 days, 5 times"},
		{"FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR", "every weekday (Monday to Friday)"},
		{"FREQ=DAILY;COUNT=1", "every day, once"},
		{"FREQ=WEEKLY", "every week on Wednesday"},
		{"FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR;WKST=SU", "every 2 weeks on Monday and Friday"},
		{"FREQ=WEEKLY;BYDAY=SU;BYMONTH=6,7,8", "every week on Sunday in June, July and August"},
		{"FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR,SA,SU", "every day"},
		{"FREQ=WEEKLY;UNTIL=20261216T140000Z", "every week on Wednesday, until Wednesday, 16 December 2026"},
		{"FREQ=WEEKLY;UNTIL=20261216T135959Z", "every week on Wednesday, until Tuesday, 15 December 2026"},
		{"FREQ=WEEKLY;UNTIL=20261216", "every week on Wednesday, until Wednesday, 16 December 2026"},
		{"FREQ=MONTHLY", "every month on day 25"},
		{"FREQ=MONTHLY;BYMONTHDAY=1,15", "every month on day 1 and 15"},
		{"FREQ=MONTHLY;BYMONTHDAY=-1", "every month on the last day"},
		{"FREQ=MONTHLY;BYDAY=2TU", "every month on the second Tuesday"},
		{"FREQ=MONTHLY;BYDAY=1MO,-1FR", "every month on the first Monday and the last Friday"},
		{"FREQ=MONTHLY;BYDAY=TU;BYSETPOS=2", "every month on the second Tuesday"},
		{"FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "every month on the last weekday (Monday to Friday)"},
		{"FREQ=YEARLY", "every year on 25 November"},
		{"FREQ=YEARLY;INTERVAL=4;BYMONTH=2;BYMONTHDAY=29", "every 4 years on 29 February"},
		{"FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU", "every year on the last Sunday of March"},
		{"FREQ=YEARLY;BYMONTH=3,9", "every year in March and September on day 25"},
		{"FREQ=WEEKLY;", "every week on Wednesday"},
		// as written, where few words cannot say it
		{"FREQ=HOURLY", "FREQ=HOURLY"},
		{"FREQ=DAILY;BYHOUR=9,12", "FREQ=DAILY;BYHOUR=9,12"},
		{"FREQ=DAILY;INTERVAL=2;BYDAY=MO", "FREQ=DAILY;INTERVAL=2;BYDAY=MO"},
		{"FREQ=YEARLY;BYDAY=20MO", "FREQ=YEARLY;BYDAY=20MO"},
		{"FREQ=YEARLY;BYWEEKNO=20", "FREQ=YEARLY;BYWEEKNO=20"},
		{"FREQ=MONTHLY;BYDAY=MO", "FREQ=MONTHLY;BYDAY=MO"},
		{"FREQ=MONTHLY;BYMONTHDAY=13;BYDAY=FR", "FREQ=MONTHLY;BYMONTHDAY=13;BYDAY=FR"},
		{"FREQ=MONTHLY;BYMONTHDAY=-2", "FREQ=MONTHLY;BYMONTHDAY=-2"},
		{"FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=1,2", "FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=1,2"},
		{"RSCALE=HEBREW;FREQ=YEARLY", "RSCALE=HEBREW;FREQ=YEARLY"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := describe(t, event("RRULE:"+tt.rule)).Rule; got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTextIsSafeToShow(t *testing.T) {
	d := describe(t, event("-SUMMARY", "SUMMARY:a\u202egnp.exe\u2066b\u200f\u00adc\ufeff\u0085d", "DESCRIPTION:one\u2028two\u202athree\U000E0041",
		"LOCATION:"+strings.Repeat("x", 5000), "URL:javascript:alert(1)", "CONFERENCE:https://a.example/\u202ex"))
	if d.Summary != "agnp.exebc d" && d.Summary != "agnp.exebcd" {
		t.Errorf("%q", d.Summary)
	}
	if d.Text != "one\ntwothree" {
		t.Errorf("%q", d.Text)
	}
	if d.Location != strings.Repeat("x", 300)+"…" {
		t.Errorf("%d octets of LOCATION", len(d.Location))
	}
	if d.URL != "" || d.Conference != "" {
		t.Errorf("%q %q", d.URL, d.Conference)
	}
	for url, shown := range map[string]bool{
		"https://bank.example@evil.example/": false, "https://bank.example:443@evil.example": false, "https://bank.example%2f@evil.example?x": false,
		"https://": false, "https://meet.example/@room?to=a@b.example#@": true, "https://meet.example": true, "http://meet.example?a@b": true,
	} {
		if got := describe(t, event("URL:"+url)).URL; (got == url) != shown || !shown && got != "" {
			t.Errorf("%s: %q", url, got)
		}
	}
	if d := describe(t, event("-SUMMARY", "SUMMARY:a"+strings.Repeat("\u3164\u2800\u115f\u1160\uffa0", 30)+"b")); d.Summary != "ab" {
		t.Errorf("%q", d.Summary)
	}
}

func TestDescriptionsAreBounded(t *testing.T) {
	var extra []string
	for i := range 150 {
		extra = append(extra, fmt.Sprintf("ATTENDEE:mailto:u%d@receiver.example", i), "COMMENT:x", "EXDATE:20261125T140000Z", "RRULE:FREQ=DAILY")
	}
	d := describe(t, event(extra...))
	if len(d.Attendees) != 100 || d.MoreAttendees != 51 || len(d.Comments) != 10 || len(d.Excluded) != 100 || strings.Count(d.Rule, "every day") != 5 {
		t.Errorf("%d attendees and %d more, %d comments, %d dates, rule %q", len(d.Attendees), d.MoreAttendees, len(d.Comments), len(d.Excluded), d.Rule)
	}
	one := string(event("RECURRENCE-ID:20261125T140000Z"))
	from, to := strings.Index(one, "BEGIN:VEVENT"), strings.Index(one, "END:VCALENDAR")
	d = describe(t, []byte(one[:from]+strings.Repeat(one[from:to], 25)+one[to:]))
	if len(d.Instances) != 20 || d.More != 5 {
		t.Errorf("%d instances and %d more", len(d.Instances), d.More)
	}
}

// What can be inspected can be described, in bounded text without anything that a terminal or a mail program would obey.
func FuzzDescribe(f *testing.F) {
	stored, messages := corpus(f)
	for _, m := range append(stored, messages...) {
		if m != nil {
			f.Add(m)
		}
	}
	f.Add(event("DURATION:PT1H", "CN:^^^n^'", "RRULE:FREQ=MONTHLY;BYDAY=MO;BYSETPOS=-2", "EXDATE;TZID=Asia/Tokyo:20261125T150000"))
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := itip.Describe(body)
		if err != nil {
			var e *itip.Error
			if !errors.As(err, &e) || e.Reason == "" {
				t.Fatalf("%T is no proper error", err)
			}
			if _, err := itip.Inspect(body, itip.Limits{}, 0); err == nil {
				t.Fatalf("good enough for inspection: %v", e)
			}
			return
		}
		if len(d.Instances) == 0 || len(d.Instances) > 20 || len(d.Attendees) > 100 || len(d.Text) > 4*4001 {
			t.Fatalf("%+v", d)
		}
		for _, s := range []string{d.Summary, d.Location, d.URL, d.Conference, d.Organizer.Name, d.Rule} {
			if strings.ContainsAny(s, "\r\n\x00\x1b\u202e") || len(s) > 4*2001 {
				t.Fatalf("%q", s)
			}
		}
	})
}
