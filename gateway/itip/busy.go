package itip

import (
	"cmp"
	"slices"
	"time"

	"github.com/calfed/calfed/gateway/cua"
)

// Busy computes when owner is busy between start and end by one stored calendar object: RRULE, RDATE, EXDATE, overrides, durations and
// time zones honoured; TRANSP:TRANSPARENT, STATUS:CANCELLED, and instances that owner has declined are free, STATUS:TENTATIVE and PARTSTAT
// TENTATIVE or NEEDS-ACTION are BUSY-TENTATIVE. Only VEVENTs take time. Floating times, dates, and times of a TZID that nobody knows
// are in zone (nil = UTC). At most 10 000 periods, of one instance each, within the range, sorted by start. IS-BACK-5.
//
// Errors are *Error. What cannot be told by bounded work is one too, and so are an override for THISANDFUTURE and calendars other than the
// Gregorian (RFC 7529): the caller knows what to say of a calendar that it could not read whole.
func Busy(object []byte, owner cua.Address, zone *time.Location, start, end time.Time) ([]Period, error) {
	b := busyReader{owner: owner, from: start.Unix(), to: end.Unix(), work: recurrenceWork}
	b.in.stored = true
	if err := b.in.run(object, sized(object)); err != nil {
		return nil, err
	}
	if b.in.msg.Component != "VEVENT" || b.from >= b.to {
		return nil, nil
	}
	b.setZone(zone)
	if err := b.read(object); err != nil {
		return nil, err
	}
	slices.SortFunc(b.periods, func(p, q Period) int {
		return cmp.Or(p.Start.Compare(q.Start), p.End.Compare(q.End), cmp.Compare(p.Type, q.Type))
	})
	return slices.Compact(b.periods), nil // an RDATE may repeat what the rule has
}

// busyReader is one computation under way.
type busyReader struct {
	in       inspector
	owner    cua.Address
	own      int16 // the zone of times that name none
	from, to int64 // the asked range
	exp      expansion
	work     int
	periods  []Period
}

func (b *busyReader) setZone(loc *time.Location) {
	if loc == nil {
		loc = time.UTC
	}
	b.own = int16(len(b.in.zones.list))
	b.in.zones.list = append(b.in.zones.list, zone{loc: loc, tried: true})
}

func (b *busyReader) read(object []byte) *Error {
	var nodes []*node // in the order of the instances
	for i := range b.in.drafts {
		inst, d := &b.in.msg.Instances[i], &b.in.drafts[i]
		if inst.Range {
			return scheduling("recurrence-range", d.num, "an override for more than one instance")
		}
		kind := busyKind(inst, b.owner)
		if kind == "" || d.start.form == formNone {
			continue
		}
		if d.recur.form != formNone || d.fromRule == d.toRule && d.rdates == 0 {
			if err := b.add(d, d.start, kind); err != nil {
				return err
			}
			continue
		}
		if nodes == nil {
			root, err := parseObject(object)
			if err != nil {
				return err
			}
			nodes = root.comps("VEVENT")
		}
		if err := b.series(&instance{inst, &b.in, d, nodes[i]}, kind); err != nil {
			return err
		}
	}
	return nil
}

// busyKind is the FBTYPE of an instance for its owner, "" when it takes no time.
func busyKind(inst *Instance, owner cua.Address) string {
	kind := typeBusy
	if inst.Transparent || inst.Status == "CANCELLED" {
		return ""
	}
	if inst.Status == "TENTATIVE" {
		kind = typeTentative
	}
	for i := range inst.Attendees {
		if !same(inst.Attendees[i].Address, owner) {
			continue
		}
		switch inst.Attendees[i].PartStat {
		case "DECLINED":
			return ""
		case "TENTATIVE", "NEEDS-ACTION":
			kind = typeTentative
		}
		break
	}
	return kind
}

// series adds the instances of a recurring master.
func (b *busyReader) series(master *instance, kind string) *Error {
	s, d := seriesOf(master), master.draft
	for i := range b.in.drafts {
		if m := b.in.drafts[i].recur; m.form != formNone {
			if at, ok := s.spot(&b.in, m); ok {
				s.ex[at] = true
			}
		}
	}
	if !s.dropped(spot{d.start.sec, d.start.form == formDate}) {
		if err := b.add(d, d.start, kind); err != nil {
			return err
		}
	}
	for _, r := range s.rules {
		if err := b.rule(s, r, kind); err != nil {
			return err
		}
	}
	return b.dates(s, kind)
}

// rule adds what a rule has in the range. Wall clocks are less than a day away from UTC; two are for what a day may be longer.
func (b *busyReader) rule(s *series, p *property, kind string) *Error {
	d := s.master.draft
	if !b.exp.parse(p.value) {
		return syntax("recurrence-rule", p.num, "malformed RRULE")
	}
	lo, hi := b.from-b.length(d)-2*secondsPerDay, b.to+secondsPerDay
	if b.exp.has(partUntil) {
		r := b.exp.rule
		hi = min(hi, b.in.untilLocal(&r, d))
	}
	var err *Error
	if !b.exp.between(d.start.sec, lo, hi, &b.work, func(at int64) bool {
		if !s.dropped(spot{at, d.start.form == formDate}) {
			m := d.start
			m.sec = at
			err = b.add(d, m, kind)
		}
		return err == nil
	}) {
		return tooLarge("recurrence-rule", p.num, "a rule that bounded work cannot expand")
	}
	return err
}

// dates adds the RDATEs: dates and times as long as the master, and periods of their own length.
func (b *busyReader) dates(s *series, kind string) *Error {
	for _, p := range s.master.node.lines("RDATE") {
		for list, more := p.value, true; more; {
			var v string
			v, list, more = nextValue(list)
			v, end, period := cut(v, '/')
			m, ok := s.in.momentOf(p, v)
			if !ok {
				continue
			}
			if at, ok := s.spot(&b.in, m); ok && s.dropped(at) {
				continue
			}
			d := *s.master.draft
			if period {
				d.end, d.hasDur = moment{}, false
				if to, ok := s.in.momentOf(p, end); ok {
					d.start, d.end = m, to
				} else {
					d.dur, d.hasDur = parseDuration(end)
				}
			}
			if err := b.add(&d, m, kind); err != nil {
				return err
			}
		}
	}
	return nil
}

// length is about how long an instance lasts.
func (b *busyReader) length(d *draft) int64 {
	if d.end.form == formNone {
		return max(0, d.dur.total())
	}
	return max(0, d.end.sec-d.start.sec+2*unknownZone) // on clocks that may differ
}

// add adds the instance of d that starts at m, if it takes time in the range. With DTEND all instances last the same exact time,
// with DURATION, or as days, the same nominal one (RFC 5545 §3.8.5.3).
func (b *busyReader) add(d *draft, m moment, kind string) *Error {
	begin, err := b.instant(m)
	if err != nil {
		return err
	}
	end, rest := m, int64(0)
	switch {
	case d.end.form != formNone && d.end.form != formDate && d.start.form != formDate:
		first, err1 := b.instant(d.start)
		last, err2 := b.instant(d.end)
		if err := cmp.Or(err1, err2); err != nil {
			return err
		}
		rest = last - first
	case d.end.form != formNone:
		end.sec += d.end.sec - d.start.sec
	case d.hasDur:
		end.sec, rest = end.sec+d.dur.days*secondsPerDay, d.dur.secs
	case d.start.form == formDate:
		end.sec += secondsPerDay
	}
	until, err := b.instant(end)
	if err != nil {
		return err
	}
	if until += rest; until <= begin || until <= b.from || begin >= b.to {
		return nil
	}
	if len(b.periods) == maxPeriods {
		return tooLarge("periods", d.num, "too many periods")
	}
	b.periods = append(b.periods, Period{unixUTC(max(begin, b.from)), unixUTC(min(until, b.to)), kind})
	return nil
}

// instant is that of m for the owner.
func (b *busyReader) instant(m moment) (int64, *Error) {
	z := &b.in.zones
	if m.form == formUTC {
		return m.sec, nil
	}
	if m.form == formZoned {
		if t, ok := z.instant(m); ok {
			return t, nil
		}
		if z.work > zoneWork {
			return 0, tooLarge("timezones", 0, "a time zone that bounded work cannot evaluate")
		}
	}
	m.form, m.zone = formZoned, b.own
	t, _ := z.instant(m)
	return t, nil
}
