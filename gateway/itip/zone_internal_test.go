package itip

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// zoneOf inspects an event whose DTSTART names the zone, and returns the zones it has.
func zoneOf(t *testing.T, tzid, definition string) *zones {
	t.Helper()
	in := inspector{}
	body := "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nMETHOD:REQUEST\n" + definition +
		"BEGIN:VEVENT\nUID:1\nDTSTAMP:20260101T000000Z\nDTSTART;TZID=" + tzid + ":20260101T090000\nSUMMARY:x\nORGANIZER:mailto:a@a.example\nATTENDEE:mailto:b@b.example\nEND:VEVENT\nEND:VCALENDAR\n"
	if err := in.run([]byte(body), Limits{}); err != nil {
		t.Fatal(err)
	}
	return &in.zones
}

const (
	berlinRules = "BEGIN:VTIMEZONE\nTZID:B\nBEGIN:DAYLIGHT\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0200\nDTSTART:19810329T020000\nRRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\nEND:DAYLIGHT\n" +
		"BEGIN:STANDARD\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0100\nDTSTART:19961027T030000\nRRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU\nEND:STANDARD\nEND:VTIMEZONE\n"
	newYorkRules = "BEGIN:VTIMEZONE\nTZID:B\nX-LIC-LOCATION:America/New_York\nBEGIN:STANDARD\nTZOFFSETFROM:-0400\nTZOFFSETTO:-0500\nDTSTART:20071104T020000\nRRULE:FREQ=YEARLY;BYMONTH=11;BYMONTHDAY=1,2,3,4,5,6,7;BYDAY=SU\nEND:STANDARD\n" +
		"BEGIN:DAYLIGHT\nTZOFFSETFROM:-0500\nTZOFFSETTO:-0400\nDTSTART:20070311T020000\nRDATE:20080309T020000,20090308T020000\nRRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=2SU\nEND:DAYLIGHT\n" +
		"BEGIN:DAYLIGHT\nTZOFFSETFROM:-0500\nTZOFFSETTO:-0400\nDTSTART:20060402T020000\nEND:DAYLIGHT\n" +
		"BEGIN:STANDARD\nTZOFFSETFROM:-0400\nTZOFFSETTO:-0500\nDTSTART:20061029T020000\nEND:STANDARD\nEND:VTIMEZONE\n"
	adelaideRules = "BEGIN:VTIMEZONE\nTZID:B\nBEGIN:STANDARD\nTZOFFSETFROM:+1030\nTZOFFSETTO:+0930\nDTSTART:20080406T030000\nRRULE:FREQ=YEARLY;BYDAY=1SU;BYMONTH=4\nEND:STANDARD\n" +
		"BEGIN:DAYLIGHT\nTZOFFSETFROM:+0930\nTZOFFSETTO:+1030\nDTSTART:20081005T020000\nRRULE:FREQ=YEARLY;BYDAY=1SU;BYMONTH=10\nEND:DAYLIGHT\nEND:VTIMEZONE\n"
)

// A VTIMEZONE means what the IANA zone it was made of means; every instant is found again from its local time.
//
// Proves: IS-ITIP-1
func TestOwnZoneAgreesWithTheIANAZoneItDescribes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for name, rules := range map[string]string{"Europe/Berlin": berlinRules, "America/New_York": newYorkRules, "Australia/Adelaide": adelaideRules} {
		loc, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		z := zoneOf(t, "B", rules)
		i := z.index("B")
		for range 2000 {
			at := time.Date(2009, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(r.IntN(30*365*24*60)) * time.Minute)
			_, off := at.In(loc).Zone()
			local := at.Unix() + int64(off)
			z.work = 0
			got, ok := z.offset(int16(i), local)
			if back, _ := z.local(int16(i), at.Unix()); back != local && !ambiguous(loc, at) {
				t.Fatalf("%s: %s is %s on its clock, want %s", name, at, format(back, layoutLocal), format(local, layoutLocal))
			}
			if !ok || got != int64(off) && !ambiguous(loc, at) {
				t.Fatalf("%s: offset at %s local is %d, want %d", name, format(local, layoutLocal), got, off)
			}
		}
	}
}

// ambiguous says whether the local time of an instant happens twice.
func ambiguous(loc *time.Location, at time.Time) bool {
	_, now := at.In(loc).Zone()
	_, before := at.Add(-time.Hour).In(loc).Zone()
	_, after := at.Add(time.Hour).In(loc).Zone()
	return now != before || now != after
}

// Proves: IS-ITIP-1
func TestZoneResolution(t *testing.T) {
	fixed := func(tzid string) string {
		return "BEGIN:VTIMEZONE\nTZID:" + tzid + "\nBEGIN:STANDARD\nDTSTART:19700101T000000\nTZOFFSETFROM:+0500\nTZOFFSETTO:+0500\nEND:STANDARD\nEND:VTIMEZONE\n"
	}
	for _, c := range []struct {
		name, tzid, definition, at string
		want                       int64
		known                      bool
	}{
		{"the message's own zone comes first", "Europe/Berlin", fixed("Europe/Berlin"), "20260701T000000", 5 * 3600, true},
		{"another zone's definition does not count", "Europe/Berlin", fixed("Europe/Paris"), "20260701T000000", 2 * 3600, true},
		{"a name that is no IANA name needs a definition", "W. Europe Standard Time", fixed("W. Europe Standard Time"), "20260701T000000", 5 * 3600, true},
		{"a quoted name", `"A:B"`, fixed("A:B"), "20260701T000000", 5 * 3600, true},
		{"the first definition of two", "A", fixed("A") + strings.ReplaceAll(fixed("A"), "0500", "0700"), "20260701T000000", 5 * 3600, true},
		{"before the first onset: the offset before it", "B", berlinRules, "19700701T000000", 3600, true},
		{"a skipped time: the offset before", "B", berlinRules, "20260329T023000", 3600, true},
		{"a time that happens twice: the first one", "B", berlinRules, "20261025T023000", 2 * 3600, true},
		{"a skipped time of an IANA zone: the offset before", "Europe/Berlin", "", "20260329T023000", 3600, true},
		{"a skipped time west of Greenwich", "America/New_York", "", "20260308T023000", -5 * 3600, true},
		{"the first time after a skipped one", "America/New_York", "", "20260308T030000", -4 * 3600, true},
		{"a time of an IANA zone that happens twice: the first one", "Europe/Berlin", "", "20261025T023000", 2 * 3600, true},
		{"a time that happens twice west of Greenwich", "America/New_York", "", "20261101T013000", -4 * 3600, true},
		{"after what happens twice", "America/New_York", "", "20261101T020000", -5 * 3600, true},
		{"an IANA zone before its first change", "Europe/Berlin", "", "18000101T000000", 53*60 + 28, true},
		{"an IANA zone in the far future", "Europe/Berlin", "", "99990701T000000", 2 * 3600, true},
		{"an IANA zone that never changes", "Etc/GMT+3", "", "20260701T000000", -3 * 3600, true},
		{"a definition without observances is none", "Europe/Berlin", "BEGIN:VTIMEZONE\nTZID:Europe/Berlin\nEND:VTIMEZONE\n", "20260701T000000", 2 * 3600, true},
		{"a definition whose observance has no DTSTART is none", "Europe/Berlin", "BEGIN:VTIMEZONE\nTZID:Europe/Berlin\nBEGIN:STANDARD\nTZOFFSETTO:+0900\nEND:STANDARD\nEND:VTIMEZONE\n", "20260701T000000", 2 * 3600, true},
		{"an unknown name", "Mars/Olympus_Mons", "", "20260701T000000", 0, false},
		{"our own machine's zone", "Local", "", "20260701T000000", 0, false},
		{"a path", "../../etc/passwd", "", "20260701T000000", 0, false},
		{"a path inside", "Europe/../Europe/Berlin", "", "20260701T000000", 0, false},
		{"an absolute path", "/etc/localtime", "", "20260701T000000", 0, false},
		{"a rule that ended", "B", strings.ReplaceAll(berlinRules, "RRULE:FREQ=YEARLY", "RRULE:FREQ=YEARLY;UNTIL=20201231T000000Z"), "20260701T000000", 3600, true},
		{"a rule by COUNT that ended", "B", strings.ReplaceAll(berlinRules, "RRULE:FREQ=YEARLY", "RRULE:FREQ=YEARLY;COUNT=2"), "20260701T000000", 3600, true},
		{"a rule of every third year, between", "B", strings.ReplaceAll(berlinRules, "FREQ=YEARLY", "FREQ=YEARLY;INTERVAL=3"), "19840101T000000", 2 * 3600, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			z := zoneOf(t, c.tzid, c.definition)
			m, ok := parseMoment(c.at)
			if !ok {
				t.Fatal(c.at)
			}
			got, known := z.offset(int16(z.index(unquote(c.tzid))), m.sec)
			if got != c.want || known != c.known {
				t.Errorf("offset %d (known %v), want %d (%v)", got, known, c.want, c.known)
			}
		})
	}
}

// A zone is looked for in the file system only when its name has the shape of one.
//
// Proves: IS-ITIP-1
func TestHostileZoneNamesAreNotLoaded(t *testing.T) {
	for _, name := range []string{"", "Local", "..", "a/../b", "/etc/passwd", "Europe//Berlin", "Europe/", "a.b", "a b", "a\\b", "-x", strings.Repeat("a", 65)} {
		z := zones{}
		if loc := z.load(name); loc != nil || z.loads != 0 {
			t.Errorf("%q was loaded", name)
		}
	}
	for _, name := range []string{"Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+3", "UTC"} {
		z := zones{}
		if z.load(name) == nil {
			t.Errorf("%q was not loaded", name)
		}
	}
}
