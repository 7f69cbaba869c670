package itip

import (
	"strings"

	"github.com/calfed/calfed/gateway/cua"
)

// Inspect reads one iTIP message. It enforces grammar, Limits, IS-ITIP-1 and the refusing part of IS-ITIP-2; the
// rest of the tables lands in Violations. maxInstances bounds the instance count (0 = 1 000 000). Errors are *Error.
//
// Lines end in CRLF; a bare LF is taken for one, a bare CR is refused. Only properties directly in a main component count:
// an ATTENDEE of a VALARM is nobody.
func Inspect(body []byte, lim Limits, maxInstances int) (*Message, error) {
	in := inspector{maxInstances: maxInstances}
	if err := in.run(body, lim); err != nil {
		return nil, err
	}
	return in.msg, nil
}

const (
	defaultMaxInstances = 1_000_000
	maxViolations       = 100
	methodUnset         = -1
)

// inspector is one inspection under way.
type inspector struct {
	scanner      scanner
	maxInstances int
	ruleWork     int  // what recurrence rules may still cost
	stored       bool // a calendar's object, not a message: no METHOD, no tables

	msg    *Message
	method int

	nest     nesting
	versions int
	prodIDs  int

	cur       component
	zones     zones
	obsFrom   int // where the observances of the open VTIMEZONE begin
	zoneName  string
	book      addressBook
	organizer string // its spelling
	attendees []Attendee
	drafts    []draft
	rules     []ruleLine

	lo, hi  int64 // the range of dates whose instant is known
	hasDate bool
}

// component collects what the open main component holds.
type component struct {
	draft
	count [propCount]int32
	line  [propCount]int32 // of the last one
	inst  Instance
}

// draft is an Instance whose zones are not resolved yet: a VTIMEZONE may follow.
type draft struct {
	recur, start, end moment
	dur               duration
	hasDur            bool
	rdates            int
	fromRule, toRule  int
	fromAtt, toAtt    int
	num               int // line of its BEGIN
}

type ruleLine struct {
	value string
	num   int
}

func (in *inspector) run(body []byte, lim Limits) error {
	lim = lim.withDefaults()
	if in.maxInstances <= 0 {
		in.maxInstances = defaultMaxInstances
	}
	in.msg = &Message{}
	in.method = methodUnset
	in.ruleWork = recurrenceWork
	if err := in.scanner.init(body, lim); err != nil {
		return err
	}
	var l contentLine
	for {
		ok, err := in.scanner.next(&l)
		if err == nil && ok {
			err = in.take(&l)
		}
		if err == nil && !ok {
			err = in.finish()
		}
		if err != nil {
			return err
		}
		if !ok {
			return nil
		}
	}
}

// take handles one content line.
func (in *inspector) take(l *contentLine) *Error {
	ended, err := in.nest.take(l, in.scanner.lim)
	if err != nil {
		return err
	}
	switch l.name {
	case "BEGIN":
		return in.begin(l)
	case "END":
		return in.end(l, ended)
	}
	switch open := in.nest.open; len(open) {
	case 1:
		return in.calendarProperty(l)
	case 2:
		if open[1] == in.msg.Component {
			return in.mainProperty(l)
		}
		if open[1] == "VTIMEZONE" && l.name == "TZID" {
			in.zoneName = l.value
		}
	case 3:
		if open[1] == "VTIMEZONE" && len(in.zones.obs) > in.obsFrom {
			in.zones.obs[len(in.zones.obs)-1].observe(l)
		}
	}
	in.noteAttachment(l)
	return nil
}

func (in *inspector) begin(l *contentLine) *Error {
	open := in.nest.open
	name := open[len(open)-1]
	switch len(open) {
	case 2:
		switch {
		case name == "VTIMEZONE":
			in.obsFrom, in.zoneName = len(in.zones.obs), ""
		case isMain(name):
			if in.msg.Component != "" && in.msg.Component != name {
				return scheduling("component-mixed", l.num, "more than one kind of component")
			}
			in.msg.Component = name
			in.cur = component{}
			in.cur.num = l.num
			in.cur.fromAtt, in.cur.fromRule = len(in.attendees), len(in.rules)
		}
	case 3:
		switch {
		case isObservance(open[1], name):
			in.zones.obs = append(in.zones.obs, observance{})
		case open[1] == in.msg.Component && name == "VALARM":
			in.cur.count[propAlarm]++
			in.cur.line[propAlarm] = int32(l.num)
		}
	}
	return nil
}

func isObservance(parent, name string) bool {
	return parent == "VTIMEZONE" && (name == "STANDARD" || name == "DAYLIGHT")
}

func (in *inspector) end(l *contentLine, name string) *Error {
	switch open := in.nest.open; len(open) {
	case 1:
		if name == "VTIMEZONE" {
			return in.endZone(l)
		}
		if name == in.msg.Component {
			return in.endMain()
		}
	case 2:
		if !isObservance(open[1], name) {
			return nil
		}
		if o := &in.zones.obs[len(in.zones.obs)-1]; !o.started || !o.hasAfter {
			in.zones.obs = in.zones.obs[:len(in.zones.obs)-1]
			in.violate("VTIMEZONE", "must have DTSTART and TZOFFSETTO in every observance", l.num)
		}
	}
	return nil
}

func (in *inspector) endZone(l *contentLine) *Error {
	if in.zoneName == "" {
		in.violate("TZID", "must appear in VTIMEZONE", l.num)
		return nil
	}
	i := in.zones.index(in.zoneName)
	if i < 0 {
		return tooLarge("timezones", l.num, "too many time zones")
	}
	if z := &in.zones.list[i]; z.from < z.to {
		in.violate("VTIMEZONE", "must appear once for a TZID", l.num)
	} else {
		z.from, z.to = in.obsFrom, len(in.zones.obs)
	}
	return nil
}

// isMain says whether scheduling is about components of this name. Those that RFC 5546 has no tables for are reported too, so
// that capabilities can refuse them.
func isMain(name string) bool {
	switch name {
	case "VEVENT", "VTODO", "VFREEBUSY", "VJOURNAL", "VPOLL", "VAVAILABILITY":
		return true
	}
	return false
}

func (in *inspector) calendarProperty(l *contentLine) *Error {
	switch l.name {
	case "VERSION":
		if in.versions++; in.versions > 1 || l.value != "2.0" {
			return syntax("version", l.num, "VERSION must be 2.0, once")
		}
	case "PRODID":
		if in.prodIDs++; in.prodIDs > 1 {
			in.violate("PRODID", "must appear once", l.num)
			return nil
		}
		in.msg.ProdID = unescapeText(l.value)
	case "CALSCALE":
		if !strings.EqualFold(l.value, "GREGORIAN") {
			return syntax("calscale", l.num, "CALSCALE must be GREGORIAN")
		}
	case "METHOD":
		return in.setMethod(l)
	}
	in.noteAttachment(l)
	return nil
}

func (in *inspector) setMethod(l *contentLine) *Error {
	if in.msg.Method != "" {
		return scheduling("method-repeated", l.num, "more than one METHOD")
	}
	in.msg.Method = strings.ToUpper(l.value)
	in.method = methodOf(in.msg.Method)
	if in.method == methodUnset && !in.stored {
		return scheduling("method-unsupported", l.num, "METHOD is none that travels between organizer and attendee")
	}
	return nil
}

func (in *inspector) violate(property, rule string, line int) {
	if len(in.msg.Violations) < maxViolations {
		in.msg.Violations = append(in.msg.Violations, Violation{property, rule, line})
	}
}

// noteAttachment looks at value types, wherever the property stands: capabilities speak of the whole message (D05 §9.2).
func (in *inspector) noteAttachment(l *contentLine) {
	switch {
	case l.valueType != "" && strings.EqualFold(l.valueType, "BINARY"), l.encoding != "" && l.binary():
		in.msg.InlineAttachment = true
	case l.name == "ATTACH":
		if len(l.value) >= 5 && strings.EqualFold(l.value[:5], "data:") {
			in.msg.InlineAttachment = true
		} else {
			in.msg.ExternalAttachment = true
		}
	case l.name == "IMAGE" && len(l.value) >= 5 && strings.EqualFold(l.value[:5], "data:"):
		in.msg.InlineAttachment = true
	}
}

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
		in.attendees = make([]Attendee, 0, 8)
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
