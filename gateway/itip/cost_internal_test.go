package itip

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/calfed/calfed/gateway/cua"
)

// costly are messages near the size limit, each made to be slow in its own way.
func costly() map[string]string {
	fill := func(line func(i int) string) string {
		var b strings.Builder
		for i := 0; b.Len() < 1_000_000 && i < 49_000; i++ {
			b.WriteString(line(i))
		}
		return b.String()
	}
	event := func(lines string) string {
		return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260101T000000Z\r\n" +
			"DTSTART;TZID=A:20260101T090000\r\nSUMMARY:x\r\nORGANIZER:mailto:a@a.example\r\nATTENDEE:mailto:b@b.example\r\n" + lines + "END:VEVENT\r\nEND:VCALENDAR\r\n"
	}
	list := func(sep string, value func(i int) string) string {
		return strings.TrimSuffix(fill(func(i int) string {
			if i == 0 {
				return value(0)
			}
			return "\r\n " + sep + value(i)
		}), sep) + "\r\n"
	}
	short := func(name string, value func(i int) string) string { // lists of a line each, below the line limit
		return fill(func(i int) string {
			var vs []string
			for j := range 50 {
				vs = append(vs, value(i*50+j))
			}
			return name + strings.Join(vs, ",") + "\r\n"
		})
	}
	date := func(i int) string {
		return fmt.Sprintf("%04d0101T%02d%02d%02d", 2000+i/86400, i/3600%24, i/60%60, i%60)
	}
	instances := func(extra string) string {
		var b strings.Builder
		b.WriteString("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nMETHOD:REQUEST\r\n" + extra)
		for i := range 1900 {
			fmt.Fprintf(&b, "BEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260101T000000Z\r\nRECURRENCE-ID;TZID=A:%04d%02d01T090000\r\nDTSTART;TZID=A:%04d0701T090000\r\nDTEND;TZID=A:%04d1201T090000\r\nSUMMARY:x\r\nORGANIZER:mailto:a@a.example\r\nATTENDEE:mailto:b@b.example\r\nRRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO;UNTIL=99991231T000000Z\r\nEND:VEVENT\r\n",
				2000+i/12, 1+i%12, 1000+i*4, 1001+i*4)
		}
		return b.String() + "END:VCALENDAR\r\n"
	}
	var zone strings.Builder
	zone.WriteString("BEGIN:VTIMEZONE\r\nTZID:A\r\n")
	for i := range 95 {
		fmt.Fprintf(&zone, "BEGIN:STANDARD\r\nDTSTART:1%03d0101T000000\r\nTZOFFSETFROM:+0%d00\r\nTZOFFSETTO:+0%d00\r\nRRULE:FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR,SA,SU\r\nEND:STANDARD\r\n", i, i%9, (i+1)%9)
	}
	zone.WriteString("END:VTIMEZONE\r\n")
	return map[string]string{
		"parameters of one line":  event("X-A" + strings.Repeat(";B=c", 16_000) + ":d\r\n"),
		"parameters of all lines": event(fill(func(int) string { return "ATTENDEE" + strings.Repeat(";B=\"c\"", 1000) + ":mailto:b@b.example\r\n" })),
		"values of a parameter":   event(fill(func(int) string { return "X-A;B=" + strings.Repeat("c,", 30_000) + "d:e\r\n" })),
		"a folded line":           event("ATTACH;VALUE=BINARY:" + strings.Repeat("\r\n A", 200_000) + "\r\n"),
		"short lines":             event(fill(func(int) string { return "X:y\r\n" })),
		"alarms":                  event(strings.Repeat("BEGIN:VALARM\r\nEND:VALARM\r\n", 1900)),
		"spellings":               event(fill(func(i int) string { return fmt.Sprintf("ATTENDEE:mailto:%%62%%62%%62%%62%d@b.example\r\n", i%900) })),
		"one spelling":            event(fill(func(int) string { return "ATTENDEE:mailto:b@b.example\r\n" })),
		"RDATEs":                  event(short("RDATE;TZID=A:", date)),
		"RDATEs in zones":         event(fill(func(i int) string { return fmt.Sprintf("RDATE;TZID=Zone/Number%d:%s\r\n", i%60, date(i)) })),
		"unknown zones":           event(fill(func(i int) string { return fmt.Sprintf("RDATE;TZID=Europe/Berlin%d:%s\r\n", i%60, date(i)) })),
		"a folded RDATE":          event("RDATE:" + list(",", date)),
		"rules":                   event(fill(func(int) string { return "RRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30;UNTIL=99991231T000000Z\r\n" })),
		"yearly rules": event(fill(func(int) string {
			return "RRULE:FREQ=YEARLY;BYWEEKNO=53;BYYEARDAY=1;BYDAY=MO;BYSETPOS=1;UNTIL=99991231T000000Z\r\n"
		})),
		"minutely rules": event(fill(func(int) string {
			return "RRULE:FREQ=MINUTELY;BYSETPOS=-1;BYSECOND=1,2,3;BYHOUR=3;UNTIL=99991231T000000Z\r\n"
		})),
		"a rule of long lists":  event("RRULE:FREQ=YEARLY;UNTIL=99991231;BYMONTHDAY=" + strings.Repeat("1,", 30_000) + "2\r\n"),
		"instances":             instances(""),
		"instances in own zone": instances(zone.String()),
		"violations":            event(fill(func(int) string { return "LOCATION:x\r\n" })),
		"escapes":               event(fill(func(int) string { return "PRODID:" + strings.Repeat(`\\`, 30_000) + "\r\n" })),
	}
}

// Every message costs a bounded number of allocations and of steps, whatever is in it: the alternative is somebody else's
// load on our processors.
//
// Proves: IS-ITIP-3
func TestCostIsBounded(t *testing.T) {
	for name, text := range costly() {
		t.Run(name, func(t *testing.T) {
			body := []byte(text)
			if len(body) > 1<<20 {
				t.Fatalf("%d octets: not a message that is read at all", len(body))
			}
			var in inspector
			allocs := testing.AllocsPerRun(1, func() {
				in = inspector{maxInstances: 1000}
				if err := in.run(body, Limits{}); err != nil {
					if e := new(Error); !errors.As(err, &e) || e.Kind == KindSyntax {
						t.Fatal(err)
					}
				}
			})
			if allocs > 30_000 { // most are addresses and recurrence ids; a tree of objects takes several for each line
				t.Errorf("%.0f allocations", allocs)
			}
			if in.ruleWork < 0 {
				t.Errorf("%d days looked at", recurrenceWork-in.ruleWork)
			}
			if in.zones.work > zoneWork+5000 || in.zones.loads > maxZoneLoad {
				t.Errorf("%d observances evaluated, %d zones loaded", in.zones.work, in.zones.loads)
			}
			if len(in.msg.Violations) > maxViolations {
				t.Errorf("%d violations", len(in.msg.Violations))
			}
		})
	}
}

// Applying is held to the same account, with the worst message against the worst object.
//
// Proves: IS-ITIP-3
func TestApplyCostIsBounded(t *testing.T) {
	var stored, message strings.Builder
	head := "UID:1\r\nDTSTAMP:20260101T000000Z\r\nSEQUENCE:%d\r\nORGANIZER:mailto:a@a.example\r\nATTENDEE:mailto:b@b.example\r\nSUMMARY:x\r\n"
	fmt.Fprintf(&stored, "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nDTSTART:20000101T000000Z\r\nRRULE:FREQ=YEARLY;BYWEEKNO=53;BYYEARDAY=1;UNTIL=99991231T000000Z\r\n"+head, 0)
	for i := range 10_000 {
		fmt.Fprintf(&stored, "EXDATE:20%02d0101T%02d%02d%02dZ\r\n", i%90, i/3600%24, i/60%60, i%60)
	}
	stored.WriteString("END:VEVENT\r\nEND:VCALENDAR\r\n")
	for _, method := range []string{"REQUEST", "CANCEL"} {
		message.Reset()
		message.WriteString("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nMETHOD:" + method + "\r\n")
		for i := range 900 {
			fmt.Fprintf(&message, "BEGIN:VEVENT\r\nRECURRENCE-ID:20%02d0101T%02d%02d%02dZ\r\nDTSTART:20000101T000000Z\r\n"+head+"END:VEVENT\r\n", i%90, i/3600%24, i/60%60, i%60, 1)
		}
		message.WriteString("END:VCALENDAR\r\n")
		a, b := cua.MustParse("mailto:a@a.example"), cua.MustParse("mailto:b@b.example")
		m, err := Inspect([]byte(message.String()), Limits{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		allocs := testing.AllocsPerRun(1, func() {
			if _, _, err := Apply([]byte(stored.String()), []byte(message.String()), m, a, b); err != nil {
				t.Fatal(err)
			}
		})
		if allocs > 200_000 {
			t.Errorf("%s: %.0f allocations", method, allocs)
		}
	}
}

// Many overrides of a large master, each with a copy of what the user keeps there, would multiply the object.
//
// Proves: IS-BACK-4
func TestApplyDoesNotMultiplyTheObject(t *testing.T) {
	head := "UID:1\r\nDTSTAMP:20260101T000000Z\r\nSEQUENCE:%d\r\nORGANIZER:mailto:a@a.example\r\nATTENDEE:mailto:b@b.example\r\nSUMMARY:x\r\n"
	stored := "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nDTSTART:20260101T000000Z\r\nRRULE:FREQ=DAILY\r\n" + fmt.Sprintf(head, 0) +
		strings.Repeat("X-KEPT:"+strings.Repeat("x", 60)+"\r\n", 10_000) + "END:VEVENT\r\nEND:VCALENDAR\r\n"
	a, b := cua.MustParse("mailto:a@a.example"), cua.MustParse("mailto:b@b.example")
	for _, c := range []struct {
		method            string
		originator, owner cua.Address
	}{{"REQUEST", a, b}, {"REPLY", b, a}} {
		message := "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nMETHOD:" + c.method + "\r\n"
		for i := range 300 {
			message += fmt.Sprintf("BEGIN:VEVENT\r\nRECURRENCE-ID:2026%02d%02dT000000Z\r\nDTSTART:20000101T000000Z\r\n"+head+"END:VEVENT\r\n", 1+i/28, 1+i%28, 1)
		}
		message += "END:VCALENDAR\r\n"
		m, err := Inspect([]byte(message), Limits{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := Apply([]byte(stored), []byte(message), m, c.originator, c.owner)
		var e *Error
		if !errors.As(err, &e) || e.Kind != KindTooLarge || string(got) != stored {
			t.Errorf("%s: %v", c.method, err)
		}
	}
}
