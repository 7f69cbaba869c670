package itip

import (
	"strings"

	"github.com/calfed/calfed/gateway/cua"
)

// mainProperty handles a property directly in a main component.
func (in *inspector) mainProperty(l *contentLine) *Error {
	c := &in.cur
	p := propOf(l.name)
	c.count[p]++
	c.line[p] = int32(l.num)
	first := c.count[p] == 1
	switch p {
	case propUID:
		return in.setUID(l, first)
	case propOrganizer:
		return in.setOrganizer(l, first)
	case propAttendee:
		return in.addAttendee(l)
	case propDTStamp:
		m, err := in.moment(l, l.value)
		if err != nil {
			return err
		}
		if m.form != formUTC {
			in.violate("DTSTAMP", "must be in UTC", l.num)
		}
		if first {
			c.inst.DTStamp = unixUTC(m.sec)
		}
	case propDTStart:
		return in.setMoment(l, first, &c.start)
	case propDTEnd, propDue:
		return in.setMoment(l, first && c.end.form == formNone, &c.end)
	case propDuration:
		d, ok := parseDuration(l.value)
		if !ok {
			return syntax("duration", l.num, "malformed DURATION")
		}
		if first {
			c.dur, c.hasDur = d, true
		}
	case propRecurrenceID:
		if l.rng != "" {
			if !strings.EqualFold(l.rng, "THISANDFUTURE") {
				in.violate("RECURRENCE-ID", "must have no RANGE but THISANDFUTURE", l.num)
			}
			c.inst.Range = true
		}
		return in.setMoment(l, first, &c.recur)
	case propRDate:
		n, err := in.dateList(l)
		c.rdates += n
		return err
	case propExDate, propFreeBusy:
		_, err := in.dateList(l)
		return err
	case propRRule:
		in.rules = append(in.rules, ruleLine{l.value, l.num})
	case propSequence:
		n, ok := digits(l.value)
		if !ok || len(l.value) > 9 {
			return syntax("sequence", l.num, "malformed SEQUENCE")
		}
		if first {
			c.inst.Sequence = n
		}
	case propStatus:
		if first {
			c.inst.Status = strings.ToUpper(l.value)
		}
	case propTransp:
		if first {
			c.inst.Transparent = strings.EqualFold(l.value, "TRANSPARENT")
		}
	default:
		in.noteAttachment(l)
	}
	return nil
}

func (in *inspector) setUID(l *contentLine, first bool) *Error {
	if !first {
		return scheduling("uid-repeated", l.num, "more than one UID")
	}
	uid := unescapeText(l.value)
	switch {
	case uid == "":
		return scheduling("uid-missing", l.num, "UID is empty")
	case in.msg.UID == "":
		in.msg.UID = uid
	case in.msg.UID != uid:
		return scheduling("uid-differs", l.num, "components with different UIDs")
	}
	return nil
}

func (in *inspector) setOrganizer(l *contentLine, first bool) *Error {
	if !first {
		return scheduling("organizer-repeated", l.num, "more than one ORGANIZER")
	}
	if l.value == in.organizer && l.value != "" {
		return nil
	}
	a, err := cua.Parse(l.value)
	if err != nil {
		return scheduling("organizer-invalid", l.num, "ORGANIZER is no calendar user address")
	}
	if !in.msg.Organizer.IsZero() && !in.msg.Organizer.Equal(a) {
		return scheduling("organizer-differs", l.num, "components with different ORGANIZERs")
	}
	if in.msg.Organizer.IsZero() {
		in.msg.Organizer, in.organizer = a, l.value
	}
	return nil
}

// addAttendee keeps a line whose address can be read. Any other can be no Recipient; where every ATTENDEE decides, it refuses.
func (in *inspector) addAttendee(l *contentLine) *Error {
	if len(in.book.spelled) > 4*in.scanner.lim.MaxAttendees {
		return tooLarge("attendees", l.num, "too many attendees")
	}
	a, ok := in.book.read(l.value)
	if !ok {
		if !in.stored && (in.msg.Component == "VFREEBUSY" || in.method == mREPLY) {
			return scheduling("attendee-invalid", l.num, "ATTENDEE is no calendar user address")
		}
		in.violate("ATTENDEE", "must be a calendar user address", l.num)
		return nil
	}
	if len(in.book.list) > in.scanner.lim.MaxAttendees {
		return tooLarge("attendees", l.num, "too many attendees")
	}
	if in.attendees == nil {
		in.attendees = make([]Attendee, 0, 16)
	}
	in.attendees = append(in.attendees, Attendee{a, partStat(l.partStat)})
	return nil
}

func partStat(s string) string {
	if s == "" {
		return "NEEDS-ACTION"
	}
	return strings.ToUpper(s)
}

// moment reads one date value by the line's VALUE and TZID parameters.
func (in *inspector) moment(l *contentLine, s string) (moment, *Error) {
	m, ok := parseMoment(s)
	if !ok {
		return m, syntax("date-time", l.num, "malformed date or date-time")
	}
	switch {
	case l.valueType == "":
		if m.form == formDate {
			in.violate(l.name, "must say VALUE=DATE of a date", l.num)
		}
	case strings.EqualFold(l.valueType, "DATE") != (m.form == formDate):
		return m, syntax("date-time", l.num, "value is not of its VALUE type")
	}
	if l.tzid == "" {
		return m, nil
	}
	switch m.form {
	case formUTC:
		in.violate(l.name, "must have no TZID with a UTC time", l.num)
	case formFloating:
		i := in.zones.index(l.tzid)
		if i < 0 {
			return m, tooLarge("timezones", l.num, "too many time zones")
		}
		m.form, m.zone = formZoned, int16(i)
	}
	return m, nil
}

func (in *inspector) setMoment(l *contentLine, first bool, to *moment) *Error {
	m, err := in.moment(l, l.value)
	if err != nil {
		return err
	}
	in.extend(m, l.num)
	if first {
		*to = m
	}
	return nil
}

// dateList reads RDATE, EXDATE and FREEBUSY: dates, date-times or periods.
func (in *inspector) dateList(l *contentLine) (n int, err *Error) {
	for list, more := l.value, true; more; n++ {
		var v string
		v, list, more = nextValue(list)
		start, end, period := cut(v, '/')
		var m moment
		if period {
			var ok bool
			if m, ok = parseMoment(start); !ok || m.form == formDate {
				return n, syntax("period", l.num, "malformed period")
			}
			if l.tzid != "" && m.form == formFloating {
				if m, err = in.moment(&contentLine{name: l.name, num: l.num, tzid: l.tzid}, start); err != nil {
					return n, err
				}
			}
			until := m
			if to, ok := parseMoment(end); ok {
				until.sec = to.sec
			} else if d, ok := parseDuration(end); ok {
				until.sec += d.total()
			} else {
				return n, syntax("period", l.num, "malformed period")
			}
			in.extend(until, l.num)
		} else if m, err = in.moment(l, v); err != nil {
			return n, err
		}
		in.extend(m, l.num)
	}
	return n, nil
}

// extend makes m part of what date limits cover.
func (in *inspector) extend(m moment, line int) {
	if m.form == formZoned {
		in.zones.use(m.zone, m.sec, line)
		return
	}
	in.reach(m.sec)
}

func (in *inspector) reach(sec int64) {
	if !in.hasDate {
		in.lo, in.hi, in.hasDate = sec, sec, true
	}
	in.lo, in.hi = min(in.lo, sec), max(in.hi, sec)
}

// unescapeText undoes TEXT escapes (RFC 5545 §3.3.11).
func unescapeText(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\\' && i+1 < len(s) {
			i++
			if c = s[i]; c == 'n' || c == 'N' {
				c = '\n'
			}
		}
		_ = b.WriteByte(c)
	}
	return b.String()
}
