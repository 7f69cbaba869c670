package itip

import "strings"

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
		if open[1] == "VTIMEZONE" && l.name == "TZID" && in.zoneName == "" {
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
	case l.inline():
		in.msg.InlineAttachment = true
	case l.name == "ATTACH":
		in.msg.ExternalAttachment = true
	}
}
