package itip_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
)

func period(from, to, kind string) itip.Period {
	return itip.Period{Start: day(from), End: day(to), Type: kind}
}

// answer is a free/busy reply with the given lines.
func answer(lines ...string) []byte {
	return []byte("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:REPLY\r\nBEGIN:VFREEBUSY\r\n" + strings.Join(append(lines, ""), "\r\n") + "END:VFREEBUSY\r\nEND:VCALENDAR\r\n")
}

// Proves: IS-BACK-5
func TestFreeBusyReplyHoldsWhatWasAskedAndNothingElse(t *testing.T) {
	r := itip.FreeBusyReply{
		UID: "fb,1;\n@sender.example", Organizer: cua.MustParse("ada@sender.example"), Attendee: cua.MustParse("mailto:bob@receiver.example"),
		Start: day("20261125T000000Z"), End: day("20261126T000000Z"), Stamp: day("20261122T110000Z"),
		Periods: []itip.Period{
			period("20261125T100000Z", "20261125T110000Z", "BUSY"),
			period("20261125T220000Z", "20261127T000000Z", "BUSY-UNAVAILABLE"), // past the end
			period("20261125T103000Z", "20261125T120000Z", "busy"),             // overlaps
			period("20261125T120000Z", "20261125T123000Z", "X-LUNCH"),          // unknown, touches
			period("20261124T000000Z", "20261125T000000Z", "BUSY"),             // before the start
			period("20261125T140000Z", "20261125T140000Z", "BUSY"),             // empty
			period("20261125T150000Z", "20261125T160000Z", "FREE"),
		},
	}
	want := strings.ReplaceAll(`BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//calfed//calfed//EN
METHOD:REPLY
BEGIN:VFREEBUSY
UID:fb\,1\;\n@sender.example
DTSTAMP:20261122T110000Z
ORGANIZER:mailto:ada@sender.example
ATTENDEE:mailto:bob@receiver.example
DTSTART:20261125T000000Z
DTEND:20261126T000000Z
FREEBUSY;FBTYPE=BUSY:20261125T100000Z/20261125T123000Z
FREEBUSY;FBTYPE=BUSY-UNAVAILABLE:20261125T220000Z/20261126T000000Z
FREEBUSY;FBTYPE=FREE:20261125T150000Z/20261125T160000Z
END:VFREEBUSY
END:VCALENDAR
`, "\n", "\r\n")
	if diff := cmp.Diff(want, string(r.Build())); diff != "" {
		t.Error(diff)
	}
	m := inspect(t, r.Build())
	if m.Method != "REPLY" || m.UID != r.UID || len(m.Violations) > 0 {
		t.Errorf("our own reply reads as %+v", m)
	}
}

func periods() *rapid.Generator[[]itip.Period] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) itip.Period {
		start := day("20261125T000000Z").Add(time.Duration(rapid.IntRange(-100, 400).Draw(t, "start")) * time.Minute)
		return itip.Period{Start: start, End: start.Add(time.Duration(rapid.IntRange(-5, 120).Draw(t, "length")) * time.Minute),
			Type: rapid.SampledFrom([]string{"BUSY", "FREE", "BUSY-TENTATIVE", "BUSY-UNAVAILABLE", "X-A"}).Draw(t, "type")}
	}), 0, 40)
}

// busyAt says whether a period of the type covers minute m of the day.
func busyAt(all []itip.Period, at time.Time, kinds ...string) bool {
	return slices.ContainsFunc(all, func(p itip.Period) bool {
		return slices.Contains(kinds, p.Type) && !p.Start.After(at) && p.End.After(at)
	})
}

// Proves: IS-BACK-5
func TestFreeBusyReplyReadsBackAsBuilt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := periods().Draw(t, "periods")
		r := itip.FreeBusyReply{UID: "u", Organizer: cua.MustParse(ada), Attendee: cua.MustParse(bob),
			Start: day("20261125T000000Z"), End: day("20261125T050000Z"), Stamp: day("20261122T110000Z"), Periods: in}
		built := r.Build()
		for line := range bytes.SplitSeq(built, []byte("\r\n")) {
			if len(line) > 75 {
				t.Fatalf("line of %d octets", len(line))
			}
		}
		out, err := itip.ParseFreeBusy(built, r.Attendee)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range out {
			if p.Start.Before(r.Start) || p.End.After(r.End) || !p.Start.Before(p.End) {
				t.Fatalf("period %v outside the range", p)
			}
			if i > 0 && out[i-1].Type == p.Type && !out[i-1].End.Before(p.Start) {
				t.Fatalf("periods %v and %v not merged", out[i-1], p)
			}
		}
		for at := r.Start; at.Before(r.End); at = at.Add(time.Minute) {
			for _, kinds := range [][]string{{"BUSY", "X-A"}, {"FREE"}, {"BUSY-TENTATIVE"}, {"BUSY-UNAVAILABLE"}} {
				if busyAt(in, at, kinds...) != busyAt(out, at, kinds...) {
					t.Fatalf("%s at %s differs", kinds, at)
				}
			}
		}
	})
}

// Proves: IS-BACK-6
func TestBusyOnlyShowsOnlyWhetherTheUserIsBusy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := periods().Draw(t, "periods")
		before := slices.Clone(in)
		out := itip.BusyOnly(in)
		if !slices.Equal(before, in) {
			t.Fatal("input changed")
		}
		for i, p := range out {
			if p.Type != "BUSY" || !p.Start.Before(p.End) || i > 0 && !out[i-1].End.Before(p.Start) {
				t.Fatalf("%v after %v", p, out[:i])
			}
		}
		for at := day("20261124T220000Z"); at.Before(day("20261125T100000Z")); at = at.Add(time.Minute) {
			if busyAt(in, at, "BUSY", "BUSY-TENTATIVE", "BUSY-UNAVAILABLE", "X-A") != busyAt(out, at, "BUSY") {
				t.Fatalf("busy at %s differs", at)
			}
		}
	})
}

// Proves: IS-BACK-5
func TestParseFreeBusy(t *testing.T) {
	one := period("20261125T100000Z", "20261125T110000Z", "BUSY")
	for _, c := range []struct {
		name string
		body []byte
		want []itip.Period
	}{
		{"end", answer("FREEBUSY:20261125T100000Z/20261125T110000Z"), []itip.Period{one}},
		{"duration", answer("FREEBUSY:20261125T100000Z/PT1H"), []itip.Period{one}},
		{"several in a line, with a type", answer("freebusy;fbtype=busy-tentative:20261125T100000Z/PT1H,20261125T120000Z/PT30M"), []itip.Period{
			period("20261125T100000Z", "20261125T110000Z", "BUSY-TENTATIVE"), period("20261125T120000Z", "20261125T123000Z", "BUSY-TENTATIVE")}},
		{"an unknown type is busy", answer("FREEBUSY;FBTYPE=X-SECRET:20261125T100000Z/PT1H"), []itip.Period{one}},
		{"what ends before it starts is nothing", answer("FREEBUSY:20261125T100000Z/20261125T100000Z,20261125T100000Z/-PT1H"), nil},
		{"nothing busy", answer(), nil},
		{"that attendee's", answer("ATTENDEE;CN=x:MAILTO:bob@receiver.EXAMPLE", "FREEBUSY:20261125T100000Z/PT1H"), []itip.Period{one}},
		{"no METHOD", []byte(strings.Replace(string(answer("FREEBUSY:20261125T100000Z/PT1H")), "METHOD:REPLY\r\n", "", 1)), []itip.Period{one}},
		{"another attendee's component beside", []byte(strings.Replace(string(answer("ATTENDEE:"+bob, "FREEBUSY:20261125T100000Z/PT1H")), "END:VCALENDAR",
			"BEGIN:VFREEBUSY\r\nFREEBUSY:20261125T100000Z/PT9H\r\nATTENDEE:"+eve+"\r\nEND:VFREEBUSY\r\nEND:VCALENDAR", 1)), []itip.Period{one}},
		{"what a nested component says counts for nothing", answer("BEGIN:X-A", "FREEBUSY:nonsense", "ATTENDEE:"+eve, "END:X-A", "FREEBUSY:20261125T100000Z/PT1H"), []itip.Period{one}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := itip.ParseFreeBusy(c.body, cua.MustParse(bob))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseFreeBusyRefuses(t *testing.T) {
	var many []string
	for i := range 10_001 {
		many = append(many, fmt.Sprintf("FREEBUSY:%s/PT1M", day("20261125T100000Z").Add(time.Duration(i)*time.Hour).Format("20060102T150405Z")))
	}
	for _, c := range []struct {
		name   string
		body   []byte
		reason string
	}{
		{"nothing", nil, "no-calendar"},
		{"no VFREEBUSY", event(), "method-unsupported"},
		{"only another attendee's", answer("ATTENDEE:"+eve, "FREEBUSY:20261125T100000Z/PT1H"), "freebusy-missing"},
		{"an event in its place", []byte(strings.Replace(string(event()), "METHOD:REQUEST\r\n", "", 1)), "freebusy-missing"},
		{"a question", message("REQUEST", "VFREEBUSY"), "method-unsupported"},
		{"a period of local time", answer("FREEBUSY:20261125T100000/PT1H"), "period"},
		{"a period without an end", answer("FREEBUSY:20261125T100000Z"), "period"},
		{"an empty period", answer("FREEBUSY:"), "period"},
		{"too many periods", answer(many...), "periods"},
		{"no END", []byte("BEGIN:VCALENDAR\r\nBEGIN:VFREEBUSY\r\n"), "component-end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := itip.ParseFreeBusy(c.body, cua.MustParse(bob))
			var e *itip.Error
			if !errors.As(err, &e) || e.Reason != c.reason {
				t.Errorf("got %v, want %s", err, c.reason)
			}
		})
	}
}
