package itip

import (
	"time"

	"github.com/calfed/calfed/gateway/cua"
)

// Description is what a person wants to know of a message. Text is unescaped, without control and invisible characters, and
// cut at a bounded length. What is not said of an occasion is the master's, or the first component's where there is no master.
type Description struct {
	Method, Component    string
	Summary, Location    string
	Text                 string   // DESCRIPTION; lines end in "\n"
	Comments             []string // at most 10
	URL, Conference      string   // http: and https: only; CONFERENCE is RFC 7986's
	Organizer            Person
	Attendees            []Person // distinct, at most 100
	MoreAttendees        int
	Cancelled            bool // STATUS
	Instances            []Occasion
	More                 int         // instances left out: at most 20 are described
	Rule                 string      // RRULE of the master in English where it can be said so ("every week on Monday, 10 times"), else as written
	Excluded, Additional []time.Time // EXDATE and RDATE, at most 100 each; read as the first Occasion's Start is
}

// Person is an ORGANIZER or ATTENDEE.
type Person struct {
	Address  cua.Address
	Name     string // CN, RFC 6868 decoded
	PartStat string // upper-case, "" = NEEDS-ACTION
	Role     string // upper-case, "" = REQ-PARTICIPANT
}

// Occasion is one main component: the master or an override. Its times are in its own zone, resolved by the message's
// VTIMEZONE first (IS-ITIP-1): a fixed offset under the name of the TZID. Zero times are absent.
type Occasion struct {
	Recurrence    time.Time // when the instance originally was; zero = master
	ThisAndFuture bool
	Start, End    time.Time
	AllDay        bool   // all times are dates, End exclusive
	Floating      bool   // a local time without a zone, or in one that nobody knows: its UTC reading means nothing
	Zone          string // TZID, "" = UTC or none
	Due           bool   // a VTODO: End is DUE
	Cancelled     bool
	// What an override says anew; "" = what the Description says.
	Summary, Location string
}

const (
	maxSummary     = 200 // runes, here and below
	maxPlace       = 300
	maxText        = 4000
	maxComment     = 1000
	maxName        = 100
	maxLink        = 2000
	maxComments    = 10
	maxPeople      = 100
	maxOccasions   = 20
	maxListedDates = 100
)

// Describe reads a message (or stored object) for people. Errors are *Error. Bounded work, as Inspect's.
func Describe(body []byte) (*Description, error) {
	var o object
	if err := o.read(body); err != nil {
		return nil, err
	}
	main := o.find("")
	if main == nil {
		main = &o.insts[0]
	}
	d := &Description{Method: o.in.msg.Method, Component: o.in.msg.Component}
	d.words(main.node)
	d.people(&o, main)
	d.Cancelled = main.Status == "CANCELLED"
	d.Rule = o.rules(main)
	d.Excluded = o.dates(main, "EXDATE")
	d.Additional = o.dates(main, "RDATE")
	d.occasion(&o, main, main)
	for i := range o.insts {
		if inst := &o.insts[i]; inst.node != main.node {
			d.occasion(&o, inst, main)
		}
	}
	return d, nil
}

func (d *Description) words(n *node) {
	d.Summary = n.text("SUMMARY", maxSummary)
	d.Location = n.text("LOCATION", maxPlace)
	if p := n.first("DESCRIPTION"); p != nil {
		d.Text = cleanText(unescapeText(p.value), maxText)
	}
	for _, p := range n.lines("COMMENT") {
		if c := cleanText(unescapeText(p.value), maxComment); c != "" && len(d.Comments) < maxComments {
			d.Comments = append(d.Comments, c)
		}
	}
	d.URL, d.Conference = n.link("URL"), n.link("CONFERENCE")
}

// text is a property in one line.
func (c *node) text(name string, limit int) string {
	p := c.first(name)
	if p == nil {
		return ""
	}
	return cleanLine(unescapeText(p.value), limit)
}

// people lists whom the components name; the main one's word about a person counts.
func (d *Description) people(o *object, main *instance) {
	if p := main.node.first("ORGANIZER"); p != nil {
		d.Organizer, _ = personOf(p)
	}
	seen := make(map[string]bool)
	add := func(n *node) {
		for _, p := range n.lines("ATTENDEE") {
			who, ok := personOf(p)
			if !ok || seen[who.Address.Key()] {
				continue
			}
			seen[who.Address.Key()] = true
			if len(d.Attendees) == maxPeople {
				d.MoreAttendees++
			} else {
				d.Attendees = append(d.Attendees, who)
			}
		}
	}
	add(main.node)
	for i := range o.insts {
		if n := o.insts[i].node; n != main.node {
			add(n)
		}
	}
}

func personOf(p *property) (Person, bool) {
	a, err := cua.Parse(p.value)
	if err != nil {
		return Person{}, false
	}
	who := Person{
		Address:  a,
		Name:     cleanLine(unescapeParam(p.param("CN")), maxName),
		PartStat: upperToken(p.partStat),
		Role:     upperToken(p.param("ROLE")),
	}
	if who.PartStat == "NEEDS-ACTION" {
		who.PartStat = ""
	}
	if who.Role == "REQ-PARTICIPANT" {
		who.Role = ""
	}
	return who, true
}

// occasion adds one component.
func (d *Description) occasion(o *object, inst, main *instance) {
	if len(d.Instances) == maxOccasions {
		d.More++
		return
	}
	c := Occasion{ThisAndFuture: inst.Range, Cancelled: inst.Status == "CANCELLED"}
	start, end := inst.draft.start, moment{}
	if start.form != formNone || inst.draft.end.form != formNone {
		end = o.in.endOf(inst.draft)
	}
	like := start
	if like.form == formNone {
		like = end
	}
	if like.form == formNone {
		like = inst.draft.recur
	}
	c.AllDay = like.form == formDate
	c.Start = o.clock(start, like)
	if end != start {
		c.End = o.clock(end, like)
	}
	c.Recurrence = o.clock(inst.draft.recur, like)
	if like.form == formZoned {
		c.Zone = zoneLabel(o.in.zones.list[like.zone].name)
		_, known := o.in.zones.instant(like)
		c.Floating = !known
	} else {
		c.Floating = like.form == formFloating
	}
	c.Due = d.Component == "VTODO" && inst.node.first("DUE") != nil
	if inst.node != main.node {
		c.Summary = differing(inst.node.text("SUMMARY", maxSummary), d.Summary)
		c.Location = differing(inst.node.text("LOCATION", maxPlace), d.Location)
	}
	d.Instances = append(d.Instances, c)
}

func differing(s, usual string) string {
	if s == usual {
		return ""
	}
	return s
}

// clock is m as a time in its own zone; one in UTC beside a local one is told on the clock of that.
func (o *object) clock(m, like moment) time.Time {
	z := &o.in.zones
	switch m.form {
	case formNone:
		return time.Time{}
	case formUTC:
		if like.form != formZoned {
			break
		}
		if local, ok := z.local(like.zone, m.sec); ok {
			return time.Unix(m.sec, 0).In(time.FixedZone(zoneLabel(z.list[like.zone].name), int(local-m.sec)))
		}
	case formZoned:
		if t, ok := z.instant(m); ok {
			return time.Unix(t, 0).In(time.FixedZone(zoneLabel(z.list[m.zone].name), int(m.sec-t)))
		}
	}
	return unixUTC(m.sec)
}

// dates lists the values of EXDATE or RDATE, of periods the start.
func (o *object) dates(main *instance, name string) []time.Time {
	var out []time.Time
	for _, p := range main.node.lines(name) {
		for list, more := p.value, true; more && len(out) < maxListedDates; {
			var v string
			v, list, more = nextValue(list)
			v, _, _ = cut(v, '/')
			m, ok := parseMoment(v)
			if !ok {
				continue
			}
			if p.tzid != "" && m.form == formFloating {
				i := o.in.zones.index(p.tzid)
				if i < 0 {
					continue
				}
				m.form, m.zone = formZoned, int16(i)
			}
			out = append(out, o.clock(m, main.draft.start))
		}
	}
	return out
}
