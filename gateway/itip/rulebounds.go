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

// narrowed says whether the rule has any BY part.
func (r *rule) narrowed() bool {
	return r.has(partBySecond | partByMinute | partByHour | partByMonth | partByDay | partByMonthDay | partByYearDay |
		partByWeekNo | partBySetPos)
}
