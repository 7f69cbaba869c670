package itip

import "math/bits"

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
	n := int64(0)
	e.eachPosition(func(at int64) {
		if at >= e.start && at <= until {
			n++
		}
	})
	return n
}

// eachPosition gives take what BYSETPOS leaves of the current period, in no order.
func (e *expansion) eachPosition(take func(at int64)) {
	perDay := e.timesUpTo(secondsPerDay)
	total := perDay * int64(len(e.buf))
	for i := int64(1); i <= 366 && i <= total; i++ {
		if e.bySetPos[0].has(int(i)) {
			take(e.position(i-1, perDay))
		}
		fromStart := total - i + 1 // the same position, which may be named twice
		if e.bySetPos[1].has(int(i)) && (fromStart > 366 || !e.bySetPos[0].has(int(fromStart))) {
			take(e.position(total-i, perDay))
		}
	}
}

// position is the i-th time of the current period.
func (e *expansion) position(i, perDay int64) int64 {
	d, k := int64(e.buf[i/perDay]), i%perDay
	perHour := int64(bits.OnesCount64(e.minutes) * bits.OnesCount64(e.seconds))
	perMinute := int64(bits.OnesCount64(e.seconds))
	return d*secondsPerDay + int64(nthBit(uint64(e.hours), k/perHour))*3600 +
		int64(nthBit(e.minutes, k%perHour/perMinute))*60 + int64(nthBit(e.seconds, k%perMinute))
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
		if !e.takesFine(t) {
			continue
		}
		n += e.countWithin(t, until)
		if n > limit {
			return n, true
		}
	}
	return n, true
}

// takesFine says whether the BY parts leave anything of the fine period that begins at t.
func (e *expansion) takesFine(t int64) bool {
	clock := floorMod(t, secondsPerDay)
	return (e.hours == 0 || e.hours&(1<<(clock/3600)) != 0) &&
		(e.freq < minutely || e.minutes == 0 || e.minutes&(1<<(clock/60%60)) != 0) &&
		(e.freq < secondly || e.seconds == 0 || e.seconds&(1<<(clock%60)) != 0) &&
		e.takes(floorDiv(t, secondsPerDay))
}

// countWithin counts the occurrences of one fine period that begins at t.
func (e *expansion) countWithin(t, until int64) (n int64) {
	if e.freq == secondly {
		return 1
	}
	e.within(t, func(day int64) bool {
		if e.has(partBySetPos) {
			n = e.countPositions(until)
		} else {
			n = e.timesBetween(day, e.start, until)
		}
		return true
	})
	return n
}

// within narrows the times of a day to those of the fine period that begins at t, while do runs.
func (e *expansion) within(t int64, do func(day int64) bool) bool {
	hours, minutes, seconds := e.hours, e.minutes, e.seconds
	defer func() { e.hours, e.minutes, e.seconds = hours, minutes, seconds }()
	day := floorDiv(t, secondsPerDay)
	clock := t - day*secondsPerDay
	e.hours = 1 << (clock / 3600)
	if e.freq >= minutely {
		e.minutes = 1 << (clock / 60 % 60)
	}
	if e.freq == secondly {
		e.seconds = 1 << (clock % 60)
	}
	e.buf = append(e.array[:0], int32(day))
	return do(day)
}
