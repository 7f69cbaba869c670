package itip

import (
	"math"
	"time"
)

const (
	maxZones    = 64     // distinct TZIDs in one message
	maxZoneLoad = 8      // IANA zones that one message may make us read
	zoneWork    = 20_000 // observances that one message may make us evaluate
)

// unknownZone is how far a local time in a zone nobody knows can be from UTC.
const unknownZone = 14 * 3600

// zones are the time zones that one message names. A TZID means the message's own VTIMEZONE when there is one, else the
// IANA zone of that name (IS-ITIP-1).
type zones struct {
	list  []zone
	obs   []observance
	loads int
	work  int
	exp   *expansion
}

// expansion is the one that rules are expanded in.
func (z *zones) expansion() *expansion {
	if z.exp == nil {
		z.exp = &expansion{}
	}
	return z.exp
}

type zone struct {
	name     string
	from, to int // its observances; none = no VTIMEZONE
	loc      *time.Location
	tried    bool
	unknown  bool
	used     bool
	line     int // of the first use

	lo, hi int64 // the range of local times in use

	spans [4]span // the last answers
	next  uint8
}

// span is a stretch of local time with one offset.
type span struct{ from, to, offset int64 }

// observance is one STANDARD or DAYLIGHT. Times are local to the offset before.
type observance struct {
	start    int64
	started  bool
	before   int64
	after    int64
	hasAfter bool
	rule     string
	dates    []int64
}

// index finds or adds a TZID; -1 when there are too many.
func (z *zones) index(name string) int {
	for i := range z.list {
		if z.list[i].name == name {
			return i
		}
	}
	if len(z.list) == maxZones {
		return -1
	}
	z.list = append(z.list, zone{name: name})
	return len(z.list) - 1
}

// use notes that the message needs local time sec of zone i.
func (z *zones) use(i int16, sec int64, line int) {
	zn := &z.list[i]
	if !zn.used {
		zn.used, zn.lo, zn.hi, zn.line = true, sec, sec, line
	}
	zn.lo, zn.hi = min(zn.lo, sec), max(zn.hi, sec)
}

// offset is the UTC offset in seconds at local time sec of zone i. Of a time that occurs twice it is the first one's, and a
// time that is skipped is read with the offset before (RFC 5545 §3.3.5).
func (z *zones) offset(i int16, sec int64) (int64, bool) {
	zn := &z.list[i]
	for i := range zn.spans {
		if s := &zn.spans[i]; s.from <= sec && sec < s.to {
			return s.offset, true
		}
	}
	if zn.unknown {
		return 0, false
	}
	if zn.from < zn.to {
		if z.work += zn.to - zn.from; z.work > zoneWork {
			zn.unknown = true
			return 0, false
		}
		return zn.remember(z.evaluate(zn, sec)), true
	}
	if !zn.tried {
		zn.tried = true
		zn.loc = z.load(zn.name)
	}
	if zn.loc == nil {
		zn.unknown = true
		return 0, false
	}
	return zn.remember(stretch(zn.loc, sec)), true
}

func (zn *zone) remember(s span) int64 {
	zn.spans[zn.next%uint8(len(zn.spans))] = s
	zn.next++
	return s.offset
}

// evaluate finds the observance in force at local time sec, and how long it stays so.
func (z *zones) evaluate(zn *zone, sec int64) span {
	var best, first *observance
	bestAt, next := int64(math.MinInt64), int64(math.MaxInt64)
	for i := zn.from; i < zn.to; i++ {
		o := &z.obs[i]
		if first == nil || o.start < first.start {
			first = o
		}
		z.work += len(o.dates) / 64
		prev, following := o.around(sec, z)
		if prev != math.MinInt64 && prev >= bestAt {
			best, bestAt = o, prev
		}
		next = min(next, following)
	}
	if best == nil {
		return span{bestAt, next, first.before}
	}
	return span{bestAt, next, best.after}
}

// around finds the last onset at or before local time sec and the first one after it. A rule is followed when it is
// yearly, which those of all known time zones are; of any other only DTSTART counts.
func (o *observance) around(sec int64, z *zones) (prev, next int64) {
	prev, next = math.MinInt64, math.MaxInt64
	o.onset(o.start, sec, &prev, &next)
	for _, t := range o.dates {
		o.onset(t, sec, &prev, &next)
	}
	e := z.expansion()
	if o.rule == "" || sec < o.start || !e.parse(o.rule) || e.freq != yearly || e.rscale != "" {
		return prev, next
	}
	e.from(o.start)
	z.work += e.looked() / 16
	y, _, _ := civilFromDays(floorDiv(sec, secondsPerDay))
	k := int64(y-e.year0) / e.interval
	before, after := o.onsets(e, k, sec, &prev, &next)
	if !before {
		o.onsets(e, k-1, sec, &prev, &next)
	}
	if !after {
		o.onsets(e, k+1, sec, &prev, &next)
		// Nobody looked further: the answer holds no longer than that.
		next = min(next, daysFromCivil(e.year0+int((k+2)*e.interval), 1, 1)*secondsPerDay)
	}
	return prev, next
}

// onset weighs one onset. Local times between it and the clock's jump forward are read with the offset before.
func (o *observance) onset(t, sec int64, prev, next *int64) (before bool) {
	if t += max(0, o.after-o.before); t <= sec {
		*prev = max(*prev, t)
		return true
	}
	*next = min(*next, t)
	return false
}

// onsets weighs those of the rule's k-th year, and says whether some are before sec and some after it.
func (o *observance) onsets(e *expansion, k, sec int64, prev, next *int64) (before, after bool) {
	if k < 0 || e.count > 0 && k >= e.count {
		return false, false
	}
	if _, ok := e.period(k * e.interval); !ok {
		return false, false
	}
	for _, d := range e.buf {
		t := int64(d)*secondsPerDay + floorMod(o.start, secondsPerDay)
		if t < o.start || o.over(&e.rule, t) {
			continue
		}
		if o.onset(t, sec, prev, next) {
			before = true
		} else {
			after = true
		}
	}
	return before, after
}

// over says whether an onset at local time t is past the rule's UNTIL.
func (o *observance) over(r *rule, t int64) bool {
	switch r.until.form {
	case formNone:
		return false
	case formDate:
		return t >= r.until.sec+secondsPerDay
	case formUTC:
		return t-o.before > r.until.sec
	}
	return t > r.until.sec
}

// parseOffset reads +HHMM or +HHMMSS (RFC 5545 §3.3.14).
func parseOffset(s string) (int64, bool) {
	if len(s) != 5 && len(s) != 7 || s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	n, ok := digits(s[1:])
	if len(s) == 5 {
		n *= 100
	}
	sec := int64(n/10000*3600 + n/100%100*60 + n%100)
	if s[0] == '-' {
		sec = -sec
	}
	return sec, ok && sec < secondsPerDay && sec > -secondsPerDay
}

// observe takes one property of a STANDARD or DAYLIGHT. What cannot be read is ignored: the zone is then less exact.
func (o *observance) observe(l *contentLine) {
	switch l.name {
	case "DTSTART":
		if m, ok := parseMoment(l.value); ok {
			o.start, o.started = m.sec, true
		}
	case "TZOFFSETFROM":
		o.before, _ = parseOffset(l.value)
	case "TZOFFSETTO":
		o.after, o.hasAfter = parseOffset(l.value)
	case "RRULE":
		o.rule = l.value
	case "RDATE":
		for list, more := l.value, true; more; {
			var v string
			v, list, more = nextValue(list)
			v, _, _ = cut(v, '/')
			if m, ok := parseMoment(v); ok {
				o.dates = append(o.dates, m.sec)
			}
		}
	}
}

// instant is the instant of m; false when its zone is unknown. Dates and floating times read as UTC.
func (z *zones) instant(m moment) (int64, bool) {
	if m.form != formZoned {
		return m.sec, true
	}
	off, ok := z.offset(m.zone, m.sec)
	return m.sec - off, ok
}

// local is the inverse of instant for a zone: UTC seconds as local ones.
func (z *zones) local(i int16, utc int64) (int64, bool) {
	off, ok := z.offset(i, utc)
	if !ok {
		return 0, false
	}
	off, ok = z.offset(i, utc+off)
	return utc + off, ok
}
