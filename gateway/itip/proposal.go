package itip

import (
	"cmp"
	"slices"
	"strings"
)

// maxSaid bounds in characters what of somebody else's text goes into a COMMENT of ours.
const maxSaid = 500

// proposal says for people who proposes what, with times on the clock of the stored component.
func (a *applier) proposal(who *property, to, c *instance) string {
	text := introduced(who) + " proposes "
	if when := proposedTime(to, c); when != "" {
		text += when
	} else {
		text += "a change"
	}
	text += ofInstance(to, c)
	if place := c.node.text("LOCATION", maxPlace); place != to.node.text("LOCATION", maxPlace) {
		text += ", at " + cmp.Or(place, "no place")
	}
	if c.RecurrenceID == "" && !slices.Equal(values(c.node, "RRULE"), values(to.node, "RRULE")) {
		text += ", with another recurrence rule"
	}
	return text + said(c.node)
}

// introduced is a calendar user's name and address.
func introduced(line *property) string {
	if line == nil {
		return "somebody"
	}
	who, ok := personOf(line)
	if !ok {
		return "somebody"
	}
	addr := who.Address.URI()
	if who.Address.Scheme() == "mailto" {
		addr = who.Address.Local() + "@" + who.Address.Domain()
	}
	if who.Name == "" {
		return addr
	}
	return who.Name + " <" + addr + ">"
}

// said is what the sender had to say about it.
func said(n *node) string {
	var texts []string
	for _, p := range n.lines("COMMENT") {
		if len(texts) < maxComments {
			texts = append(texts, unescapeText(p.value))
		}
	}
	if text := cleanText(strings.Join(texts, "\n"), maxSaid); text != "" {
		return ": " + text
	}
	return ""
}

// ofInstance names the one instance of a series that c is about.
func ofInstance(to, c *instance) string {
	if c.RecurrenceID == "" {
		return ""
	}
	return " for the instance of " + dateText(to, c, c.draft.recur)
}

const (
	dayText  = "2006-01-02"
	timeText = "15:04"
)

// proposedTime is when c would be, "" when it does not say.
func proposedTime(to, c *instance) string {
	d := c.draft
	end := c.in.endOf(d)
	switch {
	case d.start.form == formNone && d.end.form == formNone:
		return ""
	case d.start.form == formNone:
		return "to be done by " + dateText(to, c, d.end)
	case d.start.form == formDate:
		first, last := format(d.start.sec, dayText), format(end.sec-secondsPerDay, dayText)
		if last <= first {
			return first
		}
		return first + " to " + last
	}
	text, zone := onClock(to, c, d.start)
	until, _ := onClock(to, c, end)
	if day := text[:len(dayText)]; until == text {
		until = ""
	} else if strings.HasPrefix(until, day) {
		until = until[len(day)+1:]
	}
	if until != "" {
		text += " to " + until
	}
	return text + zone
}

// dateText is a date or time with its zone.
func dateText(to, c *instance, m moment) string {
	if m.form == formDate {
		return format(m.sec, dayText)
	}
	text, zone := onClock(to, c, m)
	return text + zone
}

// onClock writes a time of c on the clock of the stored component, and names that clock.
func onClock(to, c *instance, m moment) (text, zone string) {
	const layout = dayText + " " + timeText
	start := to.draft.start
	if m.form == formFloating {
		return format(m.sec, layout), ""
	}
	t, known := c.in.zones.instant(m)
	if start.form == formZoned && known {
		if local, ok := to.in.zones.local(start.zone, t); ok {
			return format(local, layout), " (" + zoneLabel(to.in.zones.list[start.zone].name) + ")"
		}
	}
	if m.form == formZoned && (!known || start.form != formUTC) {
		return format(m.sec, layout), " (" + zoneLabel(c.in.zones.list[m.zone].name) + ")"
	}
	return format(t, layout), " (UTC)"
}
