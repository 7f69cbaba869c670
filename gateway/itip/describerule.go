package itip

import (
	"fmt"
	"math/bits"
	"strings"
	"time"
)

const (
	maxRules  = 5
	leapMonth = 13 // RFC 7529
)

// rules says a component's RRULEs.
func (o *object) rules(main *instance) string {
	var said []string
	for _, p := range main.node.lines("RRULE") {
		if len(said) == maxRules {
			break
		}
		text, ok := o.english(p.value, main.draft)
		if !ok {
			text = cleanLine(p.value, maxSummary)
		}
		said = append(said, text)
	}
	return strings.Join(said, "; also ")
}

const sayable = partFreq | partInterval | partCount | partUntil | partWkst | partByMonth | partByDay | partByOrdinal | partByMonthDay | partBySetPos

// english says one rule, where few words can.
func (o *object) english(value string, d *draft) (string, bool) {
	var r rule
	if !r.parse(value) || r.parts&^uint32(sayable) != 0 || r.byMonth&(1<<leapMonth) != 0 || d.start.form == formNone {
		return "", false
	}
	var s string
	switch r.freq {
	case daily:
		s = r.sayDaily()
	case weekly:
		s = r.sayWeekly(weekdayOf(floorDiv(d.start.sec, secondsPerDay)))
	case monthly:
		s = r.sayMonthly(d.start.sec)
	case yearly:
		s = r.sayYearly(d.start.sec)
	}
	if s == "" {
		return "", false
	}
	switch {
	case r.count == 1:
		s += ", once"
	case r.count > 1:
		s += fmt.Sprintf(", %d times", r.count)
	}
	if r.has(partUntil) {
		s += ", until " + time.Unix(o.lastDay(&r, d), 0).UTC().Format("Monday, 2 January 2006")
	}
	return s, true
}

// lastDay is a time on the last day that UNTIL leaves: one whose clock stands before the event's excludes its own day.
func (o *object) lastDay(r *rule, d *draft) int64 {
	until := o.in.untilLocal(r, d)
	if r.until.form != formDate && floorMod(until, secondsPerDay) < floorMod(d.start.sec, secondsPerDay) {
		until -= secondsPerDay
	}
	return until
}

func (r *rule) every(unit string) string {
	if r.interval == 1 {
		return "every " + unit
	}
	return fmt.Sprintf("every %d %ss", r.interval, unit)
}

func (r *rule) sayDaily() string {
	switch {
	case r.has(partByMonthDay | partBySetPos | partByOrdinal):
		return ""
	case r.byDay != 0:
		if r.interval != 1 {
			return ""
		}
		return r.sayWeekly(0)
	}
	return r.every("day") + r.inMonths()
}

const (
	workdays = 0b0011111 // Monday is bit 0
	weekend  = 0b1100000
	allDays  = 0b1111111
)

func (r *rule) sayWeekly(start int) string {
	if r.has(partByMonthDay | partBySetPos | partByOrdinal) {
		return ""
	}
	days := r.byDay
	switch {
	case days == 0:
		days = 1 << start
	case days == workdays && r.interval == 1:
		return "every weekday (Monday to Friday)" + r.inMonths()
	case days == allDays && r.interval == 1:
		return "every day" + r.inMonths()
	}
	return r.every("week") + " on " + weekdays(days) + r.inMonths()
}

func (r *rule) sayMonthly(start int64) string {
	day := r.sayDays()
	if day == "" {
		if day = r.sayMonthDays(start); day == "" {
			return ""
		}
	}
	return r.every("month") + " on " + day + r.inMonths()
}

func (r *rule) sayYearly(start int64) string {
	_, month, _ := civilFromDays(floorDiv(start, secondsPerDay))
	months := r.byMonth
	switch {
	case r.has(partByDay):
		day := r.sayDays()
		if day == "" || months == 0 { // the nth Monday of a year: who counts those?
			return ""
		}
		return r.every("year") + " on " + day + " of " + monthNames(months)
	case r.has(partByMonthDay) && months == 0:
		return ""
	case months == 0:
		months = 1 << month
	}
	day := r.sayMonthDays(start)
	switch {
	case day == "":
		return ""
	case bits.OnesCount16(months) == 1 && strings.HasPrefix(day, "day "):
		return r.every("year") + " on " + strings.TrimPrefix(day, "day ") + " " + monthNames(months)
	}
	return r.every("year") + " in " + monthNames(months) + " on " + day
}

// sayMonthDays says BYMONTHDAY, or the day of DTSTART.
func (r *rule) sayMonthDays(start int64) string {
	if r.has(partByDay | partBySetPos) {
		return ""
	}
	if !r.has(partByMonthDay) {
		_, _, d := civilFromDays(floorDiv(start, secondsPerDay))
		return fmt.Sprintf("day %d", d)
	}
	var days []string
	for d := 1; d <= 31; d++ {
		if r.byMonthDay[0]&(1<<d) != 0 {
			days = append(days, fmt.Sprint(d))
		}
	}
	switch last := r.byMonthDay[1]; {
	case last == 0:
		return "day " + enumerate(days)
	case last == 1<<1 && len(days) == 0:
		return "the last day"
	}
	return ""
}

// ordinals by which places in a month are told; from the end: the last two.
var (
	fromStart = [...]string{1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth"}
	fromEnd   = [...]string{1: "last", 2: "second to last"}
)

// sayDays says BYDAY with ordinals, or plain with one BYSETPOS, as "the second Tuesday".
func (r *rule) sayDays() string {
	if r.has(partByMonthDay) || !r.has(partByDay) {
		return ""
	}
	if r.has(partByOrdinal) {
		if r.byDay != 0 || r.has(partBySetPos) {
			return ""
		}
		return r.sayOrdinals()
	}
	place := r.sayPlace()
	if place == "" {
		return ""
	}
	switch {
	case bits.OnesCount8(r.byDay) == 1:
		return "the " + place + " " + weekdays(r.byDay)
	case r.byDay == workdays:
		return "the " + place + " weekday (Monday to Friday)"
	case r.byDay == weekend:
		return "the " + place + " day of a weekend"
	case r.byDay == allDays:
		return "the " + place + " day"
	}
	return ""
}

func (r *rule) sayOrdinals() string {
	var said []string
	for n := range r.byDayPos {
		if r.byDayPos[n] != 0 {
			if n >= len(fromStart) {
				return ""
			}
			said = append(said, "the "+fromStart[n]+" "+weekdays(r.byDayPos[n]))
		}
	}
	for n := range r.byDayNeg {
		if r.byDayNeg[n] != 0 {
			if n >= len(fromEnd) {
				return ""
			}
			said = append(said, "the "+fromEnd[n]+" "+weekdays(r.byDayNeg[n]))
		}
	}
	return enumerate(said)
}

// sayPlace says the one BYSETPOS.
func (r *rule) sayPlace() string {
	if r.bySetPos[0].len()+r.bySetPos[1].len() != 1 {
		return ""
	}
	for n, word := range fromStart {
		if n > 0 && r.bySetPos[0].has(n) {
			return word
		}
	}
	for n, word := range fromEnd {
		if n > 0 && r.bySetPos[1].has(n) {
			return word
		}
	}
	return ""
}

func (r *rule) inMonths() string {
	if r.byMonth == 0 {
		return ""
	}
	return " in " + monthNames(r.byMonth)
}

func monthNames(set uint16) string {
	var names []string
	for m := time.January; m <= time.December; m++ {
		if set&(1<<m) != 0 {
			names = append(names, m.String())
		}
	}
	return enumerate(names)
}

func weekdays(set uint8) string {
	var names []string
	for d := range 7 {
		if set&(1<<d) != 0 {
			names = append(names, time.Weekday((d+1)%7).String())
		}
	}
	return enumerate(names)
}

// enumerate joins words as a sentence does.
func enumerate(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
