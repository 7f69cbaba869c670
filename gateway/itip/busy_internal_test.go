package itip

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/teambition/rrule-go"

	"github.com/calfed/calfed/gateway/cua"
)

// Rules expand as another implementation expands them, in UTC and on the clocks of two zones, with and without an end.
//
// Proves: IS-BACK-5
func TestBusyAgreesWithAnotherImplementation(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	owner := cua.MustParse("mailto:b@b.example")
	compared := 0
	for i := range 400 {
		rule := randomRule(r)
		loc, tzid := time.UTC, ""
		if name := []string{"", "Europe/Berlin", "America/New_York"}[r.IntN(3)]; name != "" {
			loc, tzid = mustLoad(t, name), name
		}
		start := time.Date(2018+r.IntN(8), time.Month(1+r.IntN(12)), 1+r.IntN(28), 4+r.IntN(20), r.IntN(60), 0, 0, loc)
		from := time.Date(2026, time.Month(1+r.IntN(12)), 1+r.IntN(28), 0, 0, 0, 0, time.UTC)
		to := from.Add(time.Duration(1+r.IntN(62*24)) * time.Hour)
		var e expansion
		if !e.parse(rule) || e.has(partByOrdinal) && (e.has(partByWeekNo) || e.byDay != 0) { // the other one takes MO,1TU for both at once
			continue
		}
		work := 10_000_000
		if n, _ := e.countUntil(start.Unix(), to.Unix(), 1, &work); n == 0 || e.freq == hourly { // the other one would search for minutes, or to the year 9999
			continue
		}
		switch r.IntN(3) {
		case 0:
			rule += ";COUNT=" + []string{"3", "50", "400", "5000"}[r.IntN(4)]
		case 1:
			rule += ";UNTIL=" + from.AddDate(0, 0, r.IntN(90)-10).UTC().Format(layoutUTC)
		}
		want, ok := between(rule, start, from, to)
		if !ok {
			continue
		}
		params := ":" + start.Format(layoutUTC)
		if tzid != "" {
			params = ";TZID=" + tzid + ":" + start.Format(layoutLocal)
		}
		object := "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260101T000000Z\r\nDTSTART" + params + "\r\nDURATION:PT1S\r\nRRULE:" + rule + "\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
		periods, err := Busy([]byte(object), owner, nil, from, to)
		if err != nil {
			t.Fatalf("case %d: %s: %v", i, rule, err)
		}
		var got []time.Time
		for _, p := range periods {
			if h := p.Start.In(loc).Hour(); tzid == "" || h > 3 { // what a clock skips or has twice is read in other ways there
				got = append(got, p.Start)
			}
		}
		want = slices.DeleteFunc(want, func(at time.Time) bool { return tzid != "" && at.In(loc).Hour() <= 3 })
		if !slices.EqualFunc(got, want, time.Time.Equal) {
			t.Errorf("case %d: %s from %s, between %s and %s: %v, want %v", i, rule, start, from, to, got, want)
		}
		compared++
	}
	if compared < 200 {
		t.Errorf("only %d rules compared", compared)
	}
}

func mustLoad(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// between expands with rrule-go, and says false of what that cannot read.
func between(rule string, start, from, to time.Time) ([]time.Time, bool) {
	opt, err := rrule.StrToROption(rule)
	if err != nil {
		return nil, false
	}
	opt.Dtstart = start
	if opt.Until.IsZero() || opt.Until.After(to) {
		opt.Until = to
	}
	rr, err := rrule.NewRRule(*opt)
	if err != nil {
		return nil, false
	}
	next := rr.Iterator()
	var out []time.Time
	if !start.Before(from) && start.Before(to) {
		out = append(out, start) // an instance, whatever the rule says
	}
	for {
		at, ok := next()
		if !ok {
			return out, true
		}
		if !at.Before(from) && at.Before(to) && !at.Equal(start) {
			out = append(out, at)
		}
	}
}

// What is given out between two times is what is counted there, in order, for rules of every frequency.
//
// Proves: IS-BACK-5
func TestBetweenGivesWhatCountUntilCounts(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	var e expansion
	for i := range 600 {
		text := randomRule(r)
		if r.IntN(6) == 0 {
			text = []string{"FREQ=MINUTELY;INTERVAL=7;BYDAY=MO,WE", "FREQ=MINUTELY;BYHOUR=5;BYSECOND=1,30", "FREQ=SECONDLY;INTERVAL=61", "FREQ=HOURLY;BYMINUTE=5,10;BYSETPOS=-1", "FREQ=SECONDLY;BYMINUTE=7;BYHOUR=3"}[r.IntN(5)]
		}
		if !e.parse(text) {
			t.Fatalf("case %d: %s does not parse", i, text)
		}
		rule := e.rule
		start := time.Date(2026, time.Month(1+r.IntN(12)), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), 0, time.UTC).Unix()
		lo := start + int64(r.IntN(20*secondsPerDay)) - secondsPerDay
		hi := lo + int64(r.IntN(20*secondsPerDay))
		work := 100_000_000
		upTo, _ := e.countUntil(start, hi, 1<<40, &work)
		before, _ := e.countUntil(start, lo-1, 1<<40, &work)
		for _, count := range []int64{0, before, before + 2, upTo + 1} {
			want := upTo - before
			e.rule = rule
			if count > 0 {
				e.count, e.parts = count, e.parts|partCount
				want = min(want, count-before)
			}
			n, last := int64(0), lo-1
			if !e.between(start, lo, hi, &work, func(at int64) bool {
				if at <= last || at > hi || at < start {
					t.Fatalf("case %d: %s gives %d after %d", i, text, at, last)
				}
				n, last = n+1, at
				return true
			}) || n != want {
				t.Fatalf("case %d: %s;COUNT=%d from %d, between %d and %d: %d, want %d", i, text, count, start, lo, hi, n, want)
			}
		}
	}
}
