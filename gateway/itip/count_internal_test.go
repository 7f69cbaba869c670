package itip

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/teambition/rrule-go"
)

// oracle counts with rrule-go, which stops at limit.
func oracle(t *testing.T, rule string, start, until time.Time, limit int) (int, bool) {
	t.Helper()
	opt, err := rrule.StrToROption(rule)
	if err != nil {
		return 0, false
	}
	opt.Dtstart, opt.Until = start, until
	r, err := rrule.NewRRule(*opt)
	if err != nil {
		return 0, false
	}
	next := r.Iterator()
	n := 0
	for n <= limit {
		if _, ok := next(); !ok {
			break
		}
		n++
	}
	return n, true
}

// randomRule makes a rule of the kinds that calendars make, and some that they do not.
func randomRule(r *rand.Rand) string {
	freq := []string{"YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY"}[r.IntN(5)]
	parts := []string{"FREQ=" + freq}
	add := func(chance float64, name string, n func() string) {
		if r.Float64() >= chance {
			return
		}
		seen := map[string]bool{}
		var list []string
		for range 1 + r.IntN(3) {
			if v := n(); !seen[v] {
				seen[v] = true
				list = append(list, v)
			}
		}
		parts = append(parts, name+"="+strings.Join(list, ","))
	}
	num := func(lo, hi int) func() string {
		return func() string {
			for {
				if n := lo + r.IntN(hi-lo+1); n != 0 || lo == 0 {
					return fmt.Sprint(n)
				}
			}
		}
	}
	if r.IntN(2) == 0 {
		parts = append(parts, fmt.Sprintf("INTERVAL=%d", 1+r.IntN(5)))
	}
	if r.IntN(4) == 0 {
		parts = append(parts, "WKST="+[]string{"MO", "SU", "WE"}[r.IntN(3)])
	}
	add(0.2, "BYMONTH", num(1, 12))
	add(0.4, "BYDAY", func() string {
		d := []string{"MO", "TU", "WE", "TH", "FR", "SA", "SU"}[r.IntN(7)]
		if (freq == "MONTHLY" || freq == "YEARLY") && r.IntN(2) == 0 {
			d = num(-5, 5)() + d
		}
		return d
	})
	add(0.2, "BYMONTHDAY", num(-31, 31))
	if freq == "YEARLY" {
		add(0.15, "BYYEARDAY", num(-366, 366))
		if !strings.ContainsAny(strings.Join(parts, ";"), "-") { // ordinals beside week numbers mean nothing
			add(0.15, "BYWEEKNO", num(-53, 53))
		}
	}
	add(0.15, "BYHOUR", num(0, 23))
	add(0.1, "BYMINUTE", num(0, 59))
	if freq != "HOURLY" && freq != "MINUTELY" && len(parts) > 2 {
		add(0.15, "BYSETPOS", num(-4, 4))
	}
	return strings.Join(parts, ";")
}

// Proves: IS-ITIP-3
func TestCountUntilAgreesWithAnotherImplementation(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const limit = 400
	var e expansion
	for i := range 250 {
		text := randomRule(r)
		start := time.Date(2020+r.IntN(10), time.Month(1+r.IntN(12)), 1+r.IntN(28), r.IntN(24), r.IntN(60), 0, 0, time.UTC)
		until := start.Add(time.Duration(r.IntN(4*365*24)) * time.Hour)
		if !e.parse(text) {
			t.Fatalf("case %d: %s does not parse", i, text)
		}
		if e.has(partByOrdinal) && (e.has(partByWeekNo) || e.byDay != 0) { // the other one takes MO,1TU for both at once
			continue
		}
		work := 10_000_000
		got, exact := e.countUntil(start.Unix(), until.Unix(), limit, &work)
		if got == 0 && e.freq != yearly { // the other one would search to the year 9999
			continue
		}
		want, ok := oracle(t, text, start, until, limit)
		if !ok {
			continue
		}
		if !exact || min(got, limit+1) != int64(min(want, limit+1)) {
			t.Errorf("case %d: %s from %s until %s: counted %d (exact %v), want %d", i, text, start.Format(layoutUTC), until.Format(layoutUTC), got, exact, want)
		}
		if bound := e.atMost(start.Unix(), until.Unix()); bound < int64(want) {
			t.Errorf("case %d: %s from %s until %s: upper bound %d below %d", i, text, start.Format(layoutUTC), until.Format(layoutUTC), bound, want)
		}
	}
}

// Proves: IS-ITIP-3
func TestFinerThanDaily(t *testing.T) {
	for text, want := range map[string]bool{
		"FREQ=DAILY":                                         false,
		"FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR,SA,SU":             false,
		"FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1":      false,
		"FREQ=YEARLY;BYMONTH=1,2,3,4,5,6,7,8,9,10,11,12":     false,
		"FREQ=WEEKLY;BYDAY=MO;BYHOUR=9,15":                   false,
		"FREQ=HOURLY;INTERVAL=24":                            false,
		"FREQ=DAILY;INTERVAL=2;BYHOUR=8,20":                  false,
		"FREQ=HOURLY":                                        true,
		"FREQ=MINUTELY":                                      true,
		"FREQ=SECONDLY":                                      true,
		"FREQ=DAILY;BYHOUR=9,15":                             true,
		"FREQ=DAILY;BYMINUTE=0,30":                           true,
		"FREQ=DAILY;BYSECOND=0,1,2,3":                        true,
		"FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYHOUR=9,15": true,
		"FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYHOUR=9,15": true,
		"FREQ=DAILY;BYHOUR=9,15;BYSETPOS=1":                  false,
	} {
		var r rule
		if !r.parse(text) {
			t.Errorf("%s does not parse", text)
		} else if got := r.finerThanDaily(); got != want {
			t.Errorf("%s: finer than daily = %v, want %v", text, got, want)
		}
	}
}

// Proves: IS-ITIP-3
func TestCountFineRules(t *testing.T) {
	start := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC) // a Monday
	for _, c := range []struct {
		rule string
		days int
		want int64
	}{
		{"FREQ=HOURLY", 1, 25},
		{"FREQ=HOURLY;INTERVAL=6", 1, 5},
		{"FREQ=HOURLY;BYHOUR=9,17", 1, 3},
		{"FREQ=HOURLY;BYMINUTE=0,30", 1, 49},
		{"FREQ=HOURLY;BYDAY=TU", 7, 24},
		{"FREQ=MINUTELY;INTERVAL=15", 1, 97},
		{"FREQ=MINUTELY;BYHOUR=10", 1, 60},
		{"FREQ=MINUTELY;BYMINUTE=1,2", 1, 48},
		{"FREQ=SECONDLY", 1, 86401},
		{"FREQ=SECONDLY;BYSECOND=5;BYHOUR=10", 1, 60},
		{"FREQ=DAILY;BYHOUR=9,15;BYMINUTE=0,30", 1, 5},
		{"FREQ=DAILY;BYHOUR=9,15;BYSETPOS=-1", 3, 3},
		{"FREQ=WEEKLY;BYDAY=MO,FR;BYHOUR=9,15;BYSETPOS=2,-1", 14, 4},
	} {
		var e expansion
		work := 200_000
		if !e.parse(c.rule) {
			t.Fatalf("%s does not parse", c.rule)
		}
		got, exact := e.countUntil(start.Unix(), start.AddDate(0, 0, c.days).Unix(), 1_000_000, &work)
		if got != c.want || !exact {
			t.Errorf("%s over %d days: %d (exact %v), want %d", c.rule, c.days, got, exact, c.want)
		}
	}
}

func TestRuleRefuses(t *testing.T) {
	for _, text := range []string{
		"", "FREQ", "FREQ=", "FREQ=FORTNIGHTLY", "COUNT=2", "FREQ=DAILY;INTERVAL=0", "FREQ=DAILY;INTERVAL=-1",
		"FREQ=DAILY;COUNT=0", "FREQ=DAILY;COUNT=x", "FREQ=DAILY;FREQ=WEEKLY", "FREQ=DAILY;;COUNT=1", "FREQ=DAILY;UNTIL=tomorrow",
		"FREQ=DAILY;BYHOUR=24", "FREQ=DAILY;BYMONTHDAY=0", "FREQ=DAILY;BYMONTHDAY=32", "FREQ=YEARLY;BYYEARDAY=367",
		"FREQ=WEEKLY;BYDAY=XX", "FREQ=MONTHLY;BYDAY=0MO", "FREQ=MONTHLY;BYDAY=54MO", "FREQ=MONTHLY;BYDAY=,", "FREQ=DAILY;WKST=1",
		"FREQ=DAILY;BYMINUTE=99999999999999999999", "FREQ=DAILY;BYDAY=M",
	} {
		var r rule
		if r.parse(text) {
			t.Errorf("%q parses", text)
		}
	}
}

func TestCivilDays(t *testing.T) {
	for d := int64(-719162); d < 2932896; d += 17 { // 0001-01-01 to 9999-12-31
		y, m, dom := civilFromDays(d)
		want := time.Unix(d*secondsPerDay, 0).UTC()
		if y != want.Year() || m != int(want.Month()) || dom != want.Day() || weekdayOf(d) != (int(want.Weekday())+6)%7 {
			t.Fatalf("day %d is %d-%d-%d", d, y, m, dom)
		}
		if back := daysFromCivil(y, m, dom); back != d {
			t.Fatalf("%d-%d-%d is day %d, want %d", y, m, dom, back, d)
		}
	}
}

func TestDuration(t *testing.T) {
	for s, want := range map[string]int64{
		"P1W": 604800, "P2D": 172800, "PT15M": 900, "-PT15M": -900, "P1DT2H3M4S": 93784, "+PT0S": 0, "PT1H30M": 5400,
	} {
		if d, ok := parseDuration(s); !ok || d.total() != want {
			t.Errorf("%s is %d, %v; want %d", s, d.total(), ok, want)
		}
	}
	for _, s := range []string{"", "P", "PT", "1D", "P1", "P1H", "PT1D", "P1DT", "PD", "P-1D", "PT1H2", "P9999999999D", "P999999999W", "PTT1H"} {
		if d, ok := parseDuration(s); ok {
			t.Errorf("%q parses as %v", s, d)
		}
	}
}
