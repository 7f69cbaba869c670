package itip

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/calfed/calfed/gateway/cua"
)

// Period is one FREEBUSY period in UTC.
type Period struct {
	Start, End time.Time
	Type       string // FBTYPE, upper-case: BUSY, BUSY-UNAVAILABLE, BUSY-TENTATIVE, FREE
}

const (
	maxPeriods    = 10_000
	typeBusy      = "BUSY"
	typeTentative = "BUSY-TENTATIVE"
	typeFree      = "FREE"
	perLine       = 10 // periods in one FREEBUSY line, so that no reader's line limit is met
	productID     = "-//calfed//calfed//EN"
	freeBusyDoc   = 512 // octets of a reply without periods, about
)

// ParseFreeBusy reads the VFREEBUSY of a back end's or a peer's free/busy answer for attendee (zero = any).
// At most 10 000 periods. A component without ATTENDEE speaks for whoever was asked (RFC 4791 §7.10); METHOD may be absent or
// REPLY; periods that are not in UTC are refused, those that end before they start dropped, unknown types BUSY
// (RFC 5545 §3.2.9). Errors are *Error.
func ParseFreeBusy(body []byte, attendee cua.Address) ([]Period, error) {
	p := freeBusyParser{attendee: attendee}
	if err := p.run(body); err != nil {
		return nil, err
	}
	return p.periods, nil
}

type freeBusyParser struct {
	attendee cua.Address
	stack    nesting
	periods  []Period
	from     int  // where the periods of the open component begin
	others   bool // the open component has ATTENDEEs,
	asked    bool // the asked one among them
	found    bool // some component spoke for the asked attendee
}

func (p *freeBusyParser) run(body []byte) error {
	var s scanner
	if err := s.init(body, sized(body)); err != nil {
		return err
	}
	var l contentLine
	for {
		ok, err := s.next(&l)
		if err == nil && ok {
			err = p.take(&l, s.lim)
		}
		if err == nil && !ok {
			err = p.stack.done()
		}
		if err == nil && !ok && !p.found {
			err = scheduling("freebusy-missing", 0, "no VFREEBUSY for the asked attendee")
		}
		if err != nil {
			return err
		}
		if !ok {
			return nil
		}
	}
}

func (p *freeBusyParser) take(l *contentLine, lim Limits) *Error {
	ended, err := p.stack.take(l, lim)
	if err != nil {
		return err
	}
	switch {
	case l.name == "BEGIN":
		if p.stack.depth() == 2 {
			p.from, p.others, p.asked = len(p.periods), false, false
		}
	case ended == "VFREEBUSY" && p.stack.depth() == 1:
		if p.others && !p.asked && !p.attendee.IsZero() {
			p.periods = p.periods[:p.from]
		} else {
			p.found = true
		}
	case p.stack.depth() == 1 && l.name == "METHOD":
		if !strings.EqualFold(l.value, "REPLY") {
			return scheduling("method-unsupported", l.num, "a free/busy answer must be a REPLY")
		}
	case p.stack.in("VFREEBUSY") && l.name == "ATTENDEE":
		p.others = true
		a, err := cua.Parse(l.value)
		p.asked = p.asked || err == nil && same(a, p.attendee)
	case p.stack.in("VFREEBUSY") && l.name == "FREEBUSY":
		return p.add(l)
	}
	return nil
}

func (p *freeBusyParser) add(l *contentLine) *Error {
	kind := busyType(l.fbType)
	for list, more := l.value, true; more; {
		var v string
		v, list, more = nextValue(list)
		from, to, _ := cut(v, '/')
		start, ok := parseMoment(from)
		if !ok || start.form != formUTC {
			return syntax("period", l.num, "malformed period")
		}
		end := start.sec
		if m, ok := parseMoment(to); ok && m.form == formUTC {
			end = m.sec
		} else if d, ok := parseDuration(to); ok {
			end += d.total()
		} else {
			return syntax("period", l.num, "malformed period")
		}
		if end <= start.sec {
			continue
		}
		if len(p.periods) == maxPeriods {
			return tooLarge("periods", l.num, "too many periods")
		}
		p.periods = append(p.periods, Period{unixUTC(start.sec), unixUTC(end), kind})
	}
	return nil
}

func busyType(s string) string {
	switch strings.ToUpper(s) {
	case typeFree:
		return typeFree
	case "BUSY-UNAVAILABLE":
		return "BUSY-UNAVAILABLE"
	case typeTentative:
		return typeTentative
	}
	return typeBusy
}

// FreeBusyReply describes the reply to build.
type FreeBusyReply struct {
	UID        string
	Organizer  cua.Address
	Attendee   cua.Address
	Start, End time.Time
	Stamp      time.Time
	Periods    []Period // clipped to the range, sorted and merged by type
}

// Build writes METHOD:REPLY with one VFREEBUSY, folded, CRLF: what was asked, and the periods, nothing else. IS-BACK-5.
func (r *FreeBusyReply) Build() []byte {
	b := make([]byte, 0, freeBusyDoc+40*len(r.Periods))
	line := func(name, value string) { b = Fold(b, name+value) }
	line("BEGIN:", "VCALENDAR")
	line("VERSION:", "2.0")
	line("PRODID:", productID)
	line("METHOD:", "REPLY")
	line("BEGIN:", "VFREEBUSY")
	line("UID:", escapeText(r.UID))
	line("DTSTAMP:", utc(r.Stamp))
	line("ORGANIZER:", plain(r.Organizer.URI()))
	line("ATTENDEE:", plain(r.Attendee.URI()))
	line("DTSTART:", utc(r.Start))
	line("DTEND:", utc(r.End))
	periods := merge(clip(r.Periods, r.Start, r.End))
	for len(periods) > 0 {
		n := 1
		for n < len(periods) && n < perLine && periods[n].Type == periods[0].Type {
			n++
		}
		var v strings.Builder
		for i, p := range periods[:n] {
			if i > 0 {
				v.WriteByte(',')
			}
			v.WriteString(utc(p.Start) + "/" + utc(p.End))
		}
		line("FREEBUSY;FBTYPE="+periods[0].Type+":", v.String())
		periods = periods[n:]
	}
	line("END:", "VFREEBUSY")
	line("END:", "VCALENDAR")
	return b
}

func utc(t time.Time) string { return t.UTC().Format(layoutUTC) }

// clip keeps what of the periods lies between start and end, with types we know.
func clip(all []Period, start, end time.Time) []Period {
	out := make([]Period, 0, len(all))
	start, end = start.UTC().Truncate(time.Second), end.UTC().Truncate(time.Second)
	for _, p := range all {
		p.Start, p.End, p.Type = p.Start.UTC().Truncate(time.Second), p.End.UTC().Truncate(time.Second), busyType(p.Type)
		if p.Start.Before(start) {
			p.Start = start
		}
		if p.End.After(end) {
			p.End = end
		}
		if p.Start.Before(p.End) {
			out = append(out, p)
		}
	}
	return out
}

// merge sorts by type and start, and joins what touches or overlaps within a type. It works in place.
func merge(p []Period) []Period {
	slices.SortFunc(p, func(a, b Period) int {
		return cmp.Or(strings.Compare(a.Type, b.Type), a.Start.Compare(b.Start), a.End.Compare(b.End))
	})
	out := p[:0]
	for _, q := range p {
		if n := len(out); n > 0 && out[n-1].Type == q.Type && !out[n-1].End.Before(q.Start) {
			if q.End.After(out[n-1].End) {
				out[n-1].End = q.End
			}
			continue
		}
		out = append(out, q)
	}
	return out
}

// BusyOnly reduces periods to what IS-BACK-6's BusyOnly shows: FREE is dropped, every other FBTYPE becomes BUSY, merged.
func BusyOnly(p []Period) []Period {
	out := make([]Period, 0, len(p))
	for _, q := range p {
		if busyType(q.Type) != typeFree && q.Start.Before(q.End) {
			out = append(out, Period{q.Start.UTC(), q.End.UTC(), typeBusy})
		}
	}
	return merge(out)
}

// escapeText writes TEXT (RFC 5545 §3.3.11). Control characters cannot be written and are left out.
func escapeText(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		switch {
		case r == '\\' || r == ';' || r == ',':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r < 0x20 && r != '\t' || r == 0x7F:
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// plain leaves out what would end a content line.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7F {
			return -1
		}
		return r
	}, s)
}
