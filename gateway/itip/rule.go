package itip

import (
	"math/bits"
	"strings"
)

// frequency of a rule, coarse to fine.
type frequency uint8

const (
	yearly frequency = iota
	monthly
	weekly
	daily
	hourly
	minutely
	secondly
)

// periodSeconds is the longest one period of a frequency lasts.
func (f frequency) periodSeconds() int64 {
	return [...]int64{366 * secondsPerDay, 31 * secondsPerDay, 7 * secondsPerDay, secondsPerDay, 3600, 60, 1}[f]
}

// rule is a recurrence rule (RFC 5545 §3.3.10, RFC 7529). Lists are bit sets: duplicates cost nothing, size is fixed.
type rule struct {
	freq     frequency
	interval int64
	count    int64 // 0 = none
	until    moment
	wkst     int // Monday = 0
	rscale   string
	skips    bool // SKIP moves invalid days instead of leaving them out

	bySecond, byMinute uint64
	byHour             uint32
	byMonth            uint16
	byDay              uint8      // weekdays without an ordinal
	byDayPos, byDayNeg [54]uint8  // weekdays by ordinal; [0] unused
	byMonthDay         [2]uint32  // from the start, from the end
	byYearDay          [2]yearSet // likewise
	byWeekNo           [2]uint64
	bySetPos           [2]yearSet
	parts              uint32 // which parts were given
}

type yearSet [6]uint64 // bits 1–366

func (s *yearSet) has(n int) bool { return s[n>>6]&(1<<(n&63)) != 0 }

func (s *yearSet) len() int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

const (
	partFreq = 1 << iota
	partInterval
	partCount
	partUntil
	partWkst
	partRScale
	partBySecond
	partByMinute
	partByHour
	partByMonth
	partByDay
	partByOrdinal // BYDAY with an ordinal
	partByMonthDay
	partByYearDay
	partByWeekNo
	partBySetPos
	partSkip
	partUnknown
)

func (r *rule) has(part uint32) bool { return r.parts&part != 0 }

// parse reads an RRULE value. INTERVAL=0, a part given twice and an empty list are refused; unknown parts are
// remembered as such and ignored.
func (r *rule) parse(s string) bool {
	*r = rule{interval: 1}
	for more := true; more; {
		var part string
		part, s, more = cut(s, ';')
		if part == "" && !more && r.has(partFreq) { // a trailing ";" is common
			break
		}
		name, value, ok := strings.Cut(part, "=")
		if !ok || value == "" || !r.set(name, value) {
			return false
		}
	}
	return r.has(partFreq)
}

func cut(s string, sep byte) (before, after string, found bool) {
	if i := strings.IndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

func (r *rule) set(name, value string) bool {
	part, ok := uint32(partUnknown), true
	switch strings.ToUpper(name) {
	case "FREQ":
		part = partFreq
		r.freq, ok = parseFrequency(value)
	case "INTERVAL":
		part = partInterval
		r.interval, ok = positive(value)
	case "COUNT":
		part = partCount
		r.count, ok = positive(value)
	case "UNTIL":
		part = partUntil
		r.until, ok = parseMoment(value)
	case "WKST":
		part = partWkst
		r.wkst, ok = parseWeekday(value)
	case "RSCALE":
		part = partRScale
		r.rscale = strings.ToUpper(value)
	case "SKIP":
		part = partSkip
		r.skips = !strings.EqualFold(value, "OMIT")
	case "BYSECOND":
		part = partBySecond
		ok = each(value, 0, 60, func(n int) { r.bySecond |= 1 << n })
	case "BYMINUTE":
		part = partByMinute
		ok = each(value, 0, 59, func(n int) { r.byMinute |= 1 << n })
	case "BYHOUR":
		part = partByHour
		ok = each(value, 0, 23, func(n int) { r.byHour |= 1 << n })
	case "BYMONTH":
		part = partByMonth
		ok = each(strings.ReplaceAll(value, "L", ""), 1, 13, func(n int) { r.byMonth |= 1 << n }) // RFC 7529: leap months
	case "BYMONTHDAY":
		part = partByMonthDay
		ok = each(value, -31, 31, func(n int) { r.byMonthDay[side(n)] |= 1 << abs(n) })
	case "BYYEARDAY":
		part = partByYearDay
		ok = each(value, -366, 366, func(n int) { r.byYearDay[side(n)][abs(n)>>6] |= 1 << (abs(n) & 63) })
	case "BYWEEKNO":
		part = partByWeekNo
		ok = each(value, -53, 53, func(n int) { r.byWeekNo[side(n)] |= 1 << abs(n) })
	case "BYSETPOS":
		part = partBySetPos
		ok = each(value, -366, 366, func(n int) { r.bySetPos[side(n)][abs(n)>>6] |= 1 << (abs(n) & 63) })
	case "BYDAY":
		part = partByDay
		ok = r.setByDay(value)
	}
	if part != partUnknown && r.has(part) {
		return false
	}
	r.parts |= part
	return ok
}

func (r *rule) setByDay(list string) bool {
	for more := true; more; {
		var v string
		v, list, more = nextValue(list)
		if len(v) < 2 {
			return false
		}
		day, ok := parseWeekday(v[len(v)-2:])
		if !ok {
			return false
		}
		ord := v[:len(v)-2]
		if ord == "" {
			r.byDay |= 1 << day
			continue
		}
		n, ok := signed(ord, 53)
		switch {
		case !ok || n == 0:
			return false
		case n > 0:
			r.byDayPos[n] |= 1 << day
		default:
			r.byDayNeg[-n] |= 1 << day
		}
		r.parts |= partByOrdinal
	}
	return true
}

// each reads a list of numbers between low and high; 0 is excluded when low is negative.
func each(list string, low, high int, add func(int)) bool {
	for more := true; more; {
		var v string
		v, list, more = nextValue(list)
		n, ok := signed(v, high)
		if !ok || n < low || n == 0 && low != 0 {
			return false
		}
		add(n)
	}
	return true
}

func signed(s string, limit int) (int, bool) {
	neg := false
	if s != "" && (s[0] == '+' || s[0] == '-') {
		neg = s[0] == '-'
		s = s[1:]
	}
	if len(s) > 3 {
		return 0, false
	}
	n, ok := digits(s)
	if neg {
		n = -n
	}
	return n, ok && abs(n) <= limit
}

// positive reads a number above 0; what has more than nine digits is as good as the largest of those.
func positive(s string) (int64, bool) {
	for len(s) > 1 && s[0] == '0' {
		s = s[1:]
	}
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	if len(s) > 9 {
		return 999_999_999, true
	}
	n, ok := digits(s)
	return int64(n), ok && n > 0
}

func parseFrequency(s string) (frequency, bool) {
	switch strings.ToUpper(s) {
	case "YEARLY":
		return yearly, true
	case "MONTHLY":
		return monthly, true
	case "WEEKLY":
		return weekly, true
	case "DAILY":
		return daily, true
	case "HOURLY":
		return hourly, true
	case "MINUTELY":
		return minutely, true
	case "SECONDLY":
		return secondly, true
	}
	return 0, false
}

func parseWeekday(s string) (int, bool) {
	switch strings.ToUpper(s) {
	case "MO":
		return 0, true
	case "TU":
		return 1, true
	case "WE":
		return 2, true
	case "TH":
		return 3, true
	case "FR":
		return 4, true
	case "SA":
		return 5, true
	case "SU":
		return 6, true
	}
	return 0, false
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}

func side(n int) int {
	if n < 0 {
		return 1
	}
	return 0
}
