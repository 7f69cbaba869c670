package itip

import (
	"math"
	"slices"
	"strings"
)

// series is a master component and the instances it has. What is asked for every instance is looked up once.
type series struct {
	in     *inspector // whose zones its times are in
	master *instance
	dtst   *property // its DTSTART
	rules  []*property
	ex, rd map[spot]bool // what EXDATE and RDATE name
	back   bool          // some spot left ex: the EXDATE lines must follow
	added  []*property   // EXDATE and RDATE lines to add
	own    belongings
	size   int // octets of the master
}

// spot is where on the clock of the series' DTSTART an instance is: a floating series has instances of no known instant.
type spot struct {
	sec  int64
	date bool
}

func seriesOf(master *instance) *series {
	n := master.node
	s := &series{in: master.in, master: master, dtst: n.first("DTSTART"), rules: n.lines("RRULE"), size: n.size()}
	s.ex, s.rd = s.spots("EXDATE"), s.spots("RDATE")
	return s
}

// spots reads all values of EXDATE or RDATE once.
func (s *series) spots(name string) map[spot]bool {
	out := map[spot]bool{}
	for _, p := range s.master.node.lines(name) {
		for list, more := p.value, true; more; {
			var v string
			v, list, more = nextValue(list)
			if at, ok := s.spotOf(p, v); ok {
				out[at] = true
			}
		}
	}
	return out
}

// has says whether the series has the instance at m, a time of in's zones. Where finding out would be unbounded work, it has.
func (s *series) has(in *inspector, m moment) bool {
	at, ok := s.spot(in, m)
	if !ok {
		return true
	}
	if s.dropped(at) {
		return false
	}
	if s.rd[at] {
		return true
	}
	start := s.master.draft.start
	if start.form == formNone || (start.form == formDate) != at.date {
		return false
	}
	if start.sec == at.sec {
		return true
	}
	for _, p := range s.rules {
		if s.occurs(p.value, start.sec, at.sec) {
			return true
		}
	}
	return false
}

// local is m on the clock of the series' DTSTART. In the same zone that is m as written: through UTC and back, a time that the
// clock skips would become another.
func (s *series) local(in *inspector, m moment) (int64, bool) {
	start := s.master.draft.start
	if m.form == formDate || m.form == formFloating || start.form == formDate || start.form == formFloating {
		return m.sec, true
	}
	if m.form == formZoned && start.form == formZoned && in.zones.list[m.zone].name == s.in.zones.list[start.zone].name {
		return m.sec, true
	}
	t, ok := in.zones.instant(m)
	if !ok || start.form != formZoned {
		return t, ok
	}
	return s.in.zones.local(start.zone, t)
}

func (s *series) spot(in *inspector, m moment) (spot, bool) {
	local, ok := s.local(in, m)
	return spot{local, m.form == formDate}, ok
}

// occurs says whether a rule that starts at start has an occurrence at t: it has one more up to t than before t.
func (s *series) occurs(value string, start, t int64) bool {
	e := s.in.zones.expansion()
	if !e.parse(value) || t < start {
		return false
	}
	r := e.rule
	if r.has(partUntil) && t > s.in.untilLocal(&r, s.master.draft) {
		return false
	}
	e.rule = r
	upTo, exact := e.countUntil(start, t, math.MaxInt32, &s.in.ruleWork)
	if !exact {
		return true
	}
	before, exact := e.countUntil(start, t-1, math.MaxInt32, &s.in.ruleWork)
	return !exact || upTo > before && (r.count == 0 || upTo <= r.count)
}

// spotOf is that of one value of an EXDATE or RDATE.
func (s *series) spotOf(p *property, v string) (spot, bool) {
	v, _, _ = cut(v, '/')
	m, ok := s.in.momentOf(p, v)
	if !ok {
		return spot{}, false
	}
	return s.spot(s.in, m)
}

// momentOf reads one value of an EXDATE or RDATE.
func (in *inspector) momentOf(p *property, v string) (moment, bool) {
	m, ok := parseMoment(v)
	if ok && p.tzid != "" && m.form == formFloating {
		i := in.zones.index(p.tzid)
		m.form, m.zone, ok = formZoned, int16(i), i >= 0
	}
	return m, ok
}

// dropped says whether an EXDATE names the instance; one of the other value type does so by its day.
func (s *series) dropped(at spot) bool {
	return s.ex[at] || len(s.ex) > 0 && s.ex[spot{floorDiv(at.sec, secondsPerDay) * secondsPerDay, !at.date}]
}

// value writes an instance the way the series writes its DTSTART: parameters, colon, value. It fails when the zones differ
// and one is unknown.
func (s *series) value(in *inspector, m moment) (string, bool) {
	start := s.master.draft.start
	if s.dtst == nil || (start.form == formDate) != (m.form == formDate) {
		return "", false
	}
	local, ok := s.local(in, m)
	if !ok {
		return "", false
	}
	layout := layoutLocal
	switch start.form {
	case formDate:
		layout = layoutDate
	case formUTC:
		layout = layoutUTC
	}
	return s.dtst.timeParams() + ":" + format(local, layout), true
}

// exclude makes the instance an EXDATE.
func (s *series) exclude(in *inspector, m moment) bool {
	value, ok := s.value(in, m)
	if !ok {
		return false
	}
	if at, _ := s.spot(in, m); !s.ex[at] {
		s.ex[at] = true
		s.added = append(s.added, newProperty("EXDATE"+value))
	}
	return true
}

// include takes the instance out of the EXDATEs; flush does it to the lines.
func (s *series) include(in *inspector, m moment) {
	if at, ok := s.spot(in, m); ok && s.ex[at] {
		delete(s.ex, at)
		s.back = true
	}
}

// flush brings the master's lines up to date: values that are no longer excluded go, new lines come.
func (s *series) flush() {
	if s == nil {
		return
	}
	n := s.master.node
	if s.back {
		n.items = slices.DeleteFunc(n.items, func(it item) bool { return it.line != nil && it.line.name == "EXDATE" && !s.keeps(it.line) })
		for i, it := range n.items {
			if it.line != nil && it.line.name == "EXDATE" {
				n.items[i].line = s.trimmed(it.line)
			}
		}
	}
	n.add(s.added...)
}

// excludes says whether a value of EXDATE is to stay; one that we cannot place stays.
func (s *series) excludes(p *property, v string) bool {
	at, ok := s.spotOf(p, v)
	return !ok || s.ex[at]
}

// keeps says whether an EXDATE line still excludes something.
func (s *series) keeps(p *property) bool {
	for list, more := p.value, true; more; {
		var v string
		v, list, more = nextValue(list)
		if s.excludes(p, v) {
			return true
		}
	}
	return false
}

// trimmed is an EXDATE line without what is no longer excluded.
func (s *series) trimmed(p *property) *property {
	var keep []string
	dropped := false
	for list, more := p.value, true; more; {
		var v string
		v, list, more = nextValue(list)
		if s.excludes(p, v) {
			keep = append(keep, v)
		} else {
			dropped = true
		}
	}
	if !dropped {
		return p
	}
	return newProperty(p.text[:len(p.text)-len(p.value)] + strings.Join(keep, ","))
}
