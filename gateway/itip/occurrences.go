package itip

import (
	"math/bits"
	"slices"
)

// between gives take the occurrences from lo to hi, both included, of the rule with a DTSTART at start, in order, until take returns
// false. What lies before lo is passed over by arithmetic, or counted where COUNT needs it. Each day looked at and each
// occurrence takes one from work. It reports false when none is left, or the rule is one we cannot expand (RFC 7529).
func (e *expansion) between(start, lo, hi int64, work *int, take func(at int64) bool) bool {
	if e.rscale != "" && e.rscale != "GREGORIAN" || e.skips {
		return false
	}
	left := int64(-1)
	lo = max(lo, start)
	if e.has(partCount) {
		before, exact := e.countUntil(start, lo-1, e.count, work)
		if !exact {
			return false
		}
		if left = e.count - before; left <= 0 {
			return true
		}
	}
	e.from(start)
	w := walk{e: e, lo: lo, hi: hi, work: work, take: take, left: left}
	if e.freq >= hourly {
		w.fine()
	} else {
		w.coarse()
	}
	return !w.spent
}

// walk is one way through the occurrences of an expansion.
type walk struct {
	e      *expansion
	lo, hi int64
	work   *int
	take   func(at int64) bool
	left   int64 // by COUNT; below 0 = no bound
	spent  bool  // no work is left
}

// pay takes n from the work.
func (w *walk) pay(n int) bool {
	w.spent = !spend(w.work, n)
	return !w.spent
}

func (w *walk) coarse() {
	e := w.e
	for p := e.index(floorDiv(w.lo, secondsPerDay)) / e.interval; w.pay(1 + e.looked()); p++ {
		first, ok := e.period(p * e.interval)
		if !ok || first*secondsPerDay > w.hi || !w.period() {
			return
		}
	}
}

func (w *walk) fine() {
	e := w.e
	unit := e.freq.periodSeconds()
	step := e.interval * unit
	t := e.start - floorMod(e.start, unit)
	for t += (w.lo - t) / step * step; t <= w.hi && w.pay(1); t += step {
		if e.takesFine(t) && !e.within(t, func(int64) bool { return w.period() }) {
			return
		}
	}
}

// period gives out what the current period holds.
func (w *walk) period() bool {
	if w.e.has(partBySetPos) {
		return w.positions()
	}
	for _, d := range w.e.buf {
		if day := int64(d) * secondsPerDay; day+secondsPerDay > w.lo && !w.day(day) {
			return false
		}
	}
	return true
}

// positions gives out what BYSETPOS leaves, in order: COUNT may end among them.
func (w *walk) positions() bool {
	var set []int64
	w.e.eachPosition(func(at int64) { set = append(set, at) })
	slices.Sort(set)
	for _, at := range set {
		if !w.give(at) {
			return false
		}
	}
	return true
}

// day gives out the times of one day.
func (w *walk) day(day int64) bool {
	for h := w.e.hours; h != 0; h &= h - 1 {
		hour := day + int64(bits.TrailingZeros32(h))*3600
		if hour+3600 <= w.lo {
			continue
		}
		for m := w.e.minutes; m != 0; m &= m - 1 {
			minute := hour + int64(bits.TrailingZeros64(m))*60
			for s := w.e.seconds; s != 0; s &= s - 1 {
				if !w.give(minute + int64(bits.TrailingZeros64(s))) {
					return false
				}
			}
		}
	}
	return true
}

func (w *walk) give(at int64) bool {
	switch {
	case at < w.lo:
		return true
	case at > w.hi || w.left == 0 || !w.pay(1):
		return false
	}
	w.left--
	return w.take(at)
}

// index is the number of the period that holds a day, counted from DTSTART's.
func (e *expansion) index(day int64) int64 {
	switch e.freq {
	case yearly:
		y, _, _ := civilFromDays(day)
		return int64(y - e.year0)
	case monthly:
		y, m, _ := civilFromDays(day)
		return int64((y-e.year0)*12 + m - e.month0)
	case weekly:
		return (day - e.day0 + int64((weekdayOf(e.day0)-e.wkst+7)%7)) / 7
	}
	return day - e.day0
}
