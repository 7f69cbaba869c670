package itip

import (
	"math"
	"math/bits"
)

// The work that one message may cost us in recurrence rules, in days looked at. Beyond it counts are estimated upwards.
const recurrenceWork = 100_000

// open says whether the rule never ends.
func (r *rule) open() bool { return !r.has(partCount) && !r.has(partUntil) }

// finerThanDaily says whether the rule can hold more than one occurrence a day on average: by its frequency, or because
// lists of hours, minutes and seconds multiply its days. IS-ITIP-3.
func (r *rule) finerThanDaily() bool {
	return r.perPeriod()*secondsPerDay > r.interval*r.freq.periodSeconds()
}

// perPeriod is an upper bound of the occurrences in one period.
func (r *rule) perPeriod() int64 {
	n := int64(1)
	if r.freq < secondly && r.bySecond != 0 {
		n *= int64(bits.OnesCount64(r.bySecond))
	}
	if r.freq < minutely && r.byMinute != 0 {
		n *= int64(bits.OnesCount64(r.byMinute))
	}
	if r.freq < hourly && r.byHour != 0 {
		n *= int64(bits.OnesCount32(r.byHour))
	}
	n *= r.daysPerPeriod()
	if r.has(partBySetPos) {
		n = min(n, int64(r.bySetPos[0].len()+r.bySetPos[1].len()))
	}
	return n
}

func (r *rule) daysPerPeriod() int64 {
	plain := int64(bits.OnesCount8(r.byDay))
	ordinals := int64(0)
	for i := range r.byDayPos {
		ordinals += int64(bits.OnesCount8(r.byDayPos[i]) + bits.OnesCount8(r.byDayNeg[i]))
	}
	monthDays := int64(bits.OnesCount32(r.byMonthDay[0]) + bits.OnesCount32(r.byMonthDay[1]))
	months := int64(bits.OnesCount16(r.byMonth))
	switch r.freq {
	case weekly:
		if n := min(plain+ordinals, 7); n > 0 {
			return n
		}
		if r.has(partByMonthDay | partByYearDay | partByWeekNo) {
			return 7
		}
		return 1
	case monthly:
		switch {
		case monthDays > 0:
			return min(monthDays, 31)
		case plain+ordinals > 0:
			return min(5*plain+ordinals, 31)
		case r.has(partByYearDay | partByWeekNo):
			return 31
		}
		return 1
	case yearly:
		n := int64(1)
		switch {
		case r.has(partByYearDay):
			n = int64(r.byYearDay[0].len() + r.byYearDay[1].len())
		case monthDays > 0 && months > 0:
			n = monthDays * months
		case monthDays > 0:
			n = monthDays * 12
		case r.has(partByWeekNo):
			n = 7 * int64(bits.OnesCount64(r.byWeekNo[0])+bits.OnesCount64(r.byWeekNo[1]))
		case plain+ordinals > 0 && months > 0:
			n = (5*plain + ordinals) * months
		case plain+ordinals > 0:
			n = 53*plain + ordinals
		case months > 0:
			n = months
		}
		return min(n, 366)
	}
	return 1
}

// atMost is an upper bound of the occurrences from start to until, by arithmetic alone.
func (r *rule) atMost(start, until int64) int64 {
	if until < start {
		return 1
	}
	period := r.freq.periodSeconds()
	switch r.freq { // the shortest, also in other calendars (RFC 7529)
	case monthly:
		period = 28 * secondsPerDay
	case yearly:
		period = 350 * secondsPerDay
	}
	periods := (until-start)/period/r.interval + 2
	per := r.perPeriod()
	if periods > math.MaxInt32 || per > math.MaxInt32 {
		return math.MaxInt32
	}
	return periods * per
}

// expansion walks the occurrences of its rule on the clock of DTSTART. It is large: one serves a whole message.
type expansion struct {
	rule
	start   int64 // DTSTART in seconds
	day0    int64 // its day
	hours   uint32
	minutes uint64
	seconds uint64
	month   uint16    // effective BYMONTH
	mdays   [2]uint32 // effective BYMONTHDAY
	wdays   uint8     // effective BYDAY without ordinals
	buf     []int32   // days of the current period
	array   [366]int32
}

// from sets DTSTART and takes from it what the rule leaves open (RFC 5545 §3.3.10).
func (e *expansion) from(start int64) {
	r := &e.rule
	e.start, e.day0 = start, floorDiv(start, secondsPerDay)
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
	if r.freq >= weekly && r.has(partByOrdinal) { // ordinals mean nothing here: take the weekday
		for i := range r.byDayPos {
			e.wdays |= r.byDayPos[i] | r.byDayNeg[i]
		}
	}
	if !r.has(partByDay | partByMonthDay | partByYearDay | partByWeekNo) {
		_, m, d := civilFromDays(e.day0)
		switch r.freq {
		case yearly:
			if e.month == 0 {
				e.month = 1 << m
			}
			e.mdays[0] = 1 << d
		case monthly:
			e.mdays[0] = 1 << d
		case weekly:
			e.wdays = 1 << weekdayOf(e.day0)
		}
	}
}

// countUntil counts the occurrences from start to until, both included, and stops above limit. Each day looked at takes one
// from work; when none is left it reports false.
func (e *expansion) countUntil(start, until int64, limit int64, work *int) (int64, bool) {
	r := &e.rule
	if until < start {
		return 0, true
	}
	if r.rscale != "" && r.rscale != "GREGORIAN" {
		return 0, false
	}
	if r.freq >= daily && !r.narrowed() {
		return (until-start)/(r.interval*r.freq.periodSeconds()) + 1, true
	}
	if *work <= 0 {
		return 0, false
	}
	e.from(start)
	n := int64(0)
	if r.freq >= hourly {
		return e.countFine(until, limit, work)
	}
	for p := int64(0); ; p++ {
		if !spend(work, 1+e.looked()) {
			return n, false
		}
		first, ok := e.period(p * r.interval)
		if !ok || first*secondsPerDay > until {
			return n, true
		}
		if r.has(partBySetPos) {
			n += e.countPositions(until)
		} else {
			for _, d := range e.buf {
				n += e.timesBetween(int64(d), start, until)
			}
		}
		if n > limit {
			return n, true
		}
	}
}

// spend takes n from work while there is enough.
func spend(work *int, n int) bool {
	if *work < n {
		return false
	}
	*work -= n
	return true
}

// narrowed says whether the rule has any BY part.
func (r *rule) narrowed() bool {
	return r.has(partBySecond | partByMinute | partByHour | partByMonth | partByDay | partByMonthDay | partByYearDay |
		partByWeekNo | partBySetPos)
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
	y, m, _ := civilFromDays(e.day0)
	switch e.freq {
	case yearly:
		if n > maxYear {
			return 0, false
		}
		return e.year(y + int(n))
	case monthly:
		if n > maxYear*12 {
			return 0, false
		}
		months := int64(y)*12 + int64(m-1) + n
		y, m = int(months/12), int(months%12)+1
		if y > maxYear {
			return 0, false
		}
		first = daysFromCivil(y, m, 1)
		e.monthDays(y, m, first, daysFromCivil(y, 1, 1))
		return first, true
	case weekly:
		first = e.day0 - int64((weekdayOf(e.day0)-e.wkst+7)%7) + 7*n
		for d := first; d < first+7; d++ {
			if e.takes(d) {
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
		if !e.has(partByOrdinal) {
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

// timesBetween counts the times of day d from start to until.
func (e *expansion) timesBetween(d, start, until int64) int64 {
	begin := d * secondsPerDay
	if begin > until || begin+secondsPerDay <= start {
		return 0
	}
	return e.timesUpTo(until-begin) - e.timesUpTo(start-begin-1)
}

// timesUpTo counts the times of a day that are not after the given second of it.
func (e *expansion) timesUpTo(sec int64) int64 {
	m, s := int64(bits.OnesCount64(e.minutes)), int64(bits.OnesCount64(e.seconds))
	if sec < 0 {
		return 0
	}
	if sec >= secondsPerDay {
		return int64(bits.OnesCount32(e.hours)) * m * s
	}
	h, mi, se := sec/3600, sec/60%60, sec%60
	n := int64(bits.OnesCount32(e.hours&(1<<h-1))) * m * s
	if e.hours&(1<<h) != 0 {
		n += int64(bits.OnesCount64(e.minutes&(1<<mi-1))) * s
		if e.minutes&(1<<mi) != 0 {
			n += int64(bits.OnesCount64(e.seconds & (1<<(se+1) - 1)))
		}
	}
	return n
}

// countPositions counts what BYSETPOS leaves of the current period, from DTSTART to until.
func (e *expansion) countPositions(until int64) int64 {
	perDay := e.timesUpTo(secondsPerDay)
	total := perDay * int64(len(e.buf))
	n := int64(0)
	for i := int64(1); i <= 366 && i <= total; i++ {
		if e.bySetPos[0].has(int(i)) {
			n += e.positionBetween(i-1, perDay, until)
		}
		if e.bySetPos[1].has(int(i)) && !(total-i+1 <= 366 && e.bySetPos[0].has(int(total-i+1))) {
			n += e.positionBetween(total-i, perDay, until)
		}
	}
	return n
}

func (e *expansion) positionBetween(i, perDay, until int64) int64 {
	d, k := int64(e.buf[i/perDay]), i%perDay
	perHour := int64(bits.OnesCount64(e.minutes) * bits.OnesCount64(e.seconds))
	perMinute := int64(bits.OnesCount64(e.seconds))
	at := d*secondsPerDay + int64(nthBit(uint64(e.hours), k/perHour))*3600 +
		int64(nthBit(e.minutes, k%perHour/perMinute))*60 + int64(nthBit(e.seconds, k%perMinute))
	if at < e.start || at > until {
		return 0
	}
	return 1
}

// nthBit is the position of the n-th set bit, counted from 0.
func nthBit(set uint64, n int64) int {
	for ; n > 0; n-- {
		set &= set - 1
	}
	return bits.TrailingZeros64(set)
}

// countFine counts an hourly, minutely or secondly rule step by step.
func (e *expansion) countFine(until, limit int64, work *int) (int64, bool) {
	unit := e.freq.periodSeconds()
	n := int64(0)
	for t := e.start - floorMod(e.start, unit); t <= until; t += e.interval * unit {
		if !spend(work, 1) {
			return n, false
		}
		clock := floorMod(t, secondsPerDay)
		if e.hours != 0 && e.hours&(1<<(clock/3600)) == 0 ||
			e.freq >= minutely && e.minutes != 0 && e.minutes&(1<<(clock/60%60)) == 0 ||
			e.freq == secondly && e.seconds != 0 && e.seconds&(1<<(clock%60)) == 0 ||
			!e.takes(floorDiv(t, secondsPerDay)) {
			continue
		}
		n += e.countWithin(t, until)
		if n > limit {
			return n, true
		}
	}
	return n, true
}

// countWithin counts the occurrences of one fine period that begins at t.
func (e *expansion) countWithin(t, until int64) int64 {
	if e.freq == secondly {
		return 1
	}
	hours, minutes := e.hours, e.minutes
	defer func() { e.hours, e.minutes = hours, minutes }()
	day := floorDiv(t, secondsPerDay)
	clock := t - day*secondsPerDay
	e.hours = 1 << (clock / 3600)
	if e.freq == minutely {
		e.minutes = 1 << (clock / 60 % 60)
	}
	if e.has(partBySetPos) {
		e.buf = append(e.array[:0], int32(day))
		return e.countPositions(until)
	}
	return e.timesBetween(day, e.start, until)
}
