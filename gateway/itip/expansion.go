package itip

import "math/bits"

// expansion walks the occurrences of its rule on the clock of DTSTART. It is large: one serves a whole message.
type expansion struct {
	rule
	start   int64 // DTSTART in seconds
	day0    int64 // its day
	year0   int   // and the year and month of that
	month0  int
	hours   uint32
	minutes uint64
	seconds uint64
	month   uint16    // effective BYMONTH
	mdays   [2]uint32 // effective BYMONTHDAY
	wdays   uint8     // effective BYDAY without ordinals
	ordinal uint8     // the weekdays that have ordinals
	buf     []int32   // days of the current period
	array   [366]int32
}

// from sets DTSTART and takes from it what the rule leaves open (RFC 5545 §3.3.10).
func (e *expansion) from(start int64) {
	r := &e.rule
	e.start, e.day0 = start, floorDiv(start, secondsPerDay)
	var dom int
	e.year0, e.month0, dom = civilFromDays(e.day0)
	e.hours, e.minutes, e.seconds = r.byHour, r.byMinute, r.bySecond
	e.month, e.mdays, e.wdays = r.byMonth, r.byMonthDay, r.byDay
	e.buf = e.array[:0]
	clock := start - e.day0*secondsPerDay
	if e.hours == 0 && r.freq < hourly {
		e.hours = 1 << (clock / 3600)
	}
	if e.minutes == 0 && r.freq < minutely {
		e.minutes = 1 << (clock / 60 % 60)
	}
	if e.seconds == 0 && r.freq < secondly {
		e.seconds = 1 << (clock % 60)
	}
	e.ordinal = 0
	if r.has(partByOrdinal) {
		for i := range r.byDayPos {
			e.ordinal |= r.byDayPos[i] | r.byDayNeg[i]
		}
		if r.freq >= weekly { // ordinals mean nothing here: take the weekday
			e.wdays |= e.ordinal
		}
	}
	if !r.has(partByDay | partByMonthDay | partByYearDay | partByWeekNo) {
		switch r.freq {
		case yearly:
			if e.month == 0 {
				e.month = 1 << e.month0
			}
			e.mdays[0] = 1 << dom
		case monthly:
			e.mdays[0] = 1 << dom
		case weekly:
			e.wdays = 1 << weekdayOf(e.day0)
		}
	}
}

// looked estimates the days that filling one period costs.
func (e *expansion) looked() int {
	switch e.freq {
	case yearly:
		if e.month != 0 && !e.has(partByWeekNo|partByYearDay) {
			return 31 * bits.OnesCount16(e.month)
		}
		return 366
	case monthly:
		return 31
	case weekly:
		return 7
	}
	return 1
}

// period fills buf with the days of the n-th period after DTSTART's and returns the first day it can hold.
func (e *expansion) period(n int64) (first int64, ok bool) {
	e.buf = e.buf[:0]
	switch e.freq {
	case yearly:
		if n > maxYear {
			return 0, false
		}
		return e.year(e.year0 + int(n))
	case monthly:
		if n > maxYear*12 {
			return 0, false
		}
		months := int64(e.year0)*12 + int64(e.month0-1) + n
		y, m := int(months/12), int(months%12)+1
		if y > maxYear {
			return 0, false
		}
		first = daysFromCivil(y, m, 1)
		e.monthDays(y, m, first, daysFromCivil(y, 1, 1))
		return first, true
	case weekly:
		first = e.day0 - int64((weekdayOf(e.day0)-e.wkst+7)%7) + 7*n
		for d, w := first, e.wkst; d < first+7; d, w = d+1, w+1 {
			if (e.wdays == 0 || e.wdays&(1<<(w%7)) != 0) && e.takes(d) {
				e.buf = append(e.buf, int32(d))
			}
		}
		return first, n <= maxYear*54
	}
	first = e.day0 + n
	if e.takes(first) {
		e.buf = append(e.buf, int32(first))
	}
	return first, n <= maxYear*366
}

const maxYear = 9999

func (e *expansion) year(y int) (int64, bool) {
	if y > maxYear {
		return 0, false
	}
	first := daysFromCivil(y, 1, 1)
	monthStart := first
	for m := 1; m <= 12; m++ {
		if e.month == 0 || e.month&(1<<m) != 0 {
			e.monthDays(y, m, monthStart, first)
		}
		monthStart += int64(daysInMonth(y, m))
	}
	return first, true
}

// monthDays adds the matching days of one month. Days of the month are bits 1–31 of a set.
func (e *expansion) monthDays(y, m int, monthStart, yearStart int64) {
	if e.month != 0 && e.month&(1<<m) == 0 {
		return
	}
	n := daysInMonth(y, m)
	set := uint64(1)<<(n+1) - 2
	if e.mdays != [2]uint32{} {
		set &= uint64(e.mdays[0]) | bits.Reverse64(uint64(e.mdays[1]))>>(62-n)
	}
	inYear := 365
	if isLeap(y) {
		inYear = 366
	}
	before := int(monthStart - yearStart) // days of the year before this month
	if e.wdays != 0 || e.has(partByDay) {
		set &= e.weekdays(monthStart, n, before, inYear)
	}
	for ; set != 0; set &= set - 1 {
		dom := bits.TrailingZeros64(set)
		d := monthStart + int64(dom-1)
		if e.takesYearDay(before+dom, inYear) && (!e.has(partByWeekNo) || e.takesWeek(d)) {
			e.buf = append(e.buf, int32(d))
		}
	}
}

// weekdays is the set of a month's days that BYDAY names. Ordinals count within the month when the rule has one, else
// within the year.
func (e *expansion) weekdays(monthStart int64, inMonth, before, inYear int) uint64 {
	const sevens = 1 | 1<<7 | 1<<14 | 1<<21 | 1<<28
	within := e.freq == monthly || e.month != 0
	w0 := weekdayOf(monthStart)
	set := uint64(0)
	for w := 0; w < 7; w++ {
		first := (w-w0+7)%7 + 1
		if e.wdays&(1<<w) != 0 {
			set |= sevens << first
			continue
		}
		if e.ordinal&(1<<w) == 0 {
			continue
		}
		for dom := first; dom <= inMonth; dom += 7 {
			pos, neg := (dom-1)/7+1, (inMonth-dom)/7+1
			if !within {
				pos, neg = (before+dom-1)/7+1, (inYear-before-dom)/7+1
			}
			if (e.byDayPos[pos]|e.byDayNeg[neg])&(1<<w) != 0 {
				set |= 1 << dom
			}
		}
	}
	return set
}

func (e *expansion) takesYearDay(yday, inYear int) bool {
	return !e.has(partByYearDay) || e.byYearDay[0].has(yday) || e.byYearDay[1].has(inYear-yday+1)
}

// takes applies the day filters of a weekly or finer rule, where ordinals have become weekdays.
func (e *expansion) takes(d int64) bool {
	if e.wdays != 0 && e.wdays&(1<<weekdayOf(d)) == 0 {
		return false
	}
	if e.month == 0 && e.mdays == [2]uint32{} && !e.has(partByYearDay|partByWeekNo) {
		return true
	}
	y, m, dom := civilFromDays(d)
	if e.month != 0 && e.month&(1<<m) == 0 {
		return false
	}
	if e.mdays != [2]uint32{} && e.mdays[0]&(1<<dom) == 0 && e.mdays[1]&(1<<(daysInMonth(y, m)-dom+1)) == 0 {
		return false
	}
	inYear := 365
	if isLeap(y) {
		inYear = 366
	}
	return e.takesYearDay(int(d-daysFromCivil(y, 1, 1))+1, inYear) && (!e.has(partByWeekNo) || e.takesWeek(d))
}

// takesWeek applies BYWEEKNO: weeks as ISO 8601 has them, beginning on WKST.
func (e *expansion) takesWeek(d int64) bool {
	begin := d - int64((weekdayOf(d)-e.wkst+7)%7)
	y, _, _ := civilFromDays(begin + 3) // the year that holds most of the week
	week1 := e.weekOne(y)
	total := (e.weekOne(y+1) - week1) / 7
	no := (begin-week1)/7 + 1
	return e.byWeekNo[0]&(1<<no) != 0 || e.byWeekNo[1]&(1<<(total-no+1)) != 0
}

// weekOne is the first day of the first week with at least four days in year y.
func (e *expansion) weekOne(y int) int64 {
	d := daysFromCivil(y, 1, 4)
	return d - int64((weekdayOf(d)-e.wkst+7)%7)
}
