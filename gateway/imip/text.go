package imip

import (
	"fmt"
	"strings"
	"time"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
)

// letter is a draft with what there is to say.
type letter struct {
	*Draft
	about *itip.Description
	out   strings.Builder
}

const (
	maxDates = 10 // of a list in one line
	label    = 12 // columns
)

func (l *letter) subject() string {
	s := l.phrase().subject + ": " + l.title()
	o := &l.about.Instances[0]
	for _, t := range []time.Time{o.Start, o.Recurrence, o.End} {
		if !t.IsZero() {
			return s + " - " + short(t, o)
		}
	}
	return s
}

func (l *letter) title() string {
	if l.about.Summary != "" {
		return l.about.Summary
	}
	return "(no title)"
}

// text is the part for people.
func (l *letter) text() string {
	p := l.phrase()
	l.line("%s %s:", l.person(l.From), strings.ReplaceAll(p.does, "%s", l.thing()))
	l.line("")
	l.line("%s", wrapped("  ", l.title()))
	l.line("")
	l.occasions()
	l.row("Where", l.about.Location)
	l.row("Link", l.about.URL)
	l.row("Call", l.about.Conference)
	if itip.OrganizerSends(l.Message.Method) {
		l.people()
	} else {
		l.row("Organizer", l.person(l.about.Organizer.Address))
	}
	for _, c := range l.about.Comments {
		l.row("Comment", strings.Join(strings.Fields(c), " "))
	}
	if p.todo != "" {
		l.line("")
		l.line("%s", strings.ReplaceAll(p.todo, "%s", l.person(l.From)))
	}
	if l.about.Text != "" {
		l.line("")
		l.line("Description:")
		l.line("")
		l.line("%s", quotation(l.about.Text))
	}
	l.line("")
	l.line("-- ")
	l.line("%s", l.origin())
	return l.out.String()
}

func (l *letter) line(format string, args ...any) {
	_, _ = l.out.WriteString(strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "\r\n") + "\r\n")
}

// row is a line with a label; there is none for nothing.
func (l *letter) row(name, value string) {
	if value != "" {
		l.line("%-*s%s", label, name+":", wrapped(strings.Repeat(" ", label), value)[label:])
	}
}

// occasions says when: of the first component in full, of the others what they change.
func (l *letter) occasions() {
	first := &l.about.Instances[0]
	l.occasion(first)
	l.row("Repeats", l.about.Rule)
	l.row("Not on", dates(l.about.Excluded, longDate))
	layout := longDate
	if !first.AllDay {
		layout += ", " + clockTime
	}
	l.row("Also on", dates(l.about.Additional, layout))
	for i := range l.about.Instances[1:] {
		l.override(&l.about.Instances[1+i])
	}
	if l.about.More > 0 {
		l.line("(%d more changed dates are not listed here.)", l.about.More)
	}
}

func (l *letter) occasion(o *itip.Occasion) {
	if !o.Recurrence.IsZero() && !o.Recurrence.Equal(o.Start) {
		l.row("Which date", moment(o.Recurrence, o))
	}
	switch {
	case o.Due:
		if !o.Start.IsZero() {
			l.row("Start", moment(o.Start, o))
		}
		l.row("Due", moment(o.End, o))
	case !o.Start.IsZero():
		l.row("When", when(o))
	}
}

func (l *letter) override(o *itip.Occasion) {
	if o.Recurrence.IsZero() {
		l.occasion(o)
		return
	}
	said := moment(o.Recurrence, o)
	if o.ThisAndFuture {
		said += " and all that follow"
	}
	if o.Cancelled || l.Message.Method == "CANCEL" {
		l.row("Cancelled", said)
		return
	}
	if !o.Start.IsZero() {
		said += "\nis now " + when(o)
	}
	if o.Location != "" {
		said += "\nWhere: " + o.Location
	}
	if o.Summary != "" {
		said += "\n" + o.Summary
	}
	l.row("Changed", said)
}

// dates lists days or times, told on the clock of the first occasion.
func dates(list []time.Time, layout string) string {
	var said []string
	for i, t := range list {
		if i == maxDates {
			said = append(said, fmt.Sprintf("and %d more", len(list)-maxDates))
			break
		}
		said = append(said, t.Format(layout))
	}
	return strings.Join(said, "\n")
}

// people lists who is invited, and what they said.
func (l *letter) people() {
	l.row("Organizer", l.person(l.about.Organizer.Address))
	var said []string
	for _, a := range l.about.Attendees {
		if a.Address.Equal(l.about.Organizer.Address) {
			continue
		}
		s := l.person(a.Address)
		if l.Message.Method != "CANCEL" {
			if word, ok := answers[a.PartStat]; ok {
				s += ": " + word
			}
		}
		if a.Role == "OPT-PARTICIPANT" || a.Role == "NON-PARTICIPANT" {
			s += " (optional)"
		}
		said = append(said, s)
	}
	if l.about.MoreAttendees > 0 {
		said = append(said, fmt.Sprintf("and %d more", l.about.MoreAttendees))
	}
	l.row("Invited", strings.Join(said, "\n"))
}

// name is what the calendar object calls somebody, "" when it does not, or when the name is made to be taken for an address.
func (l *letter) name(a cua.Address) string {
	name := l.spelled(a)
	if strings.ContainsAny(name, "@\uff20\ufe6b") || strings.Contains(name, "://") {
		return ""
	}
	return name
}

func (l *letter) spelled(a cua.Address) string {
	if a.Equal(l.about.Organizer.Address) && l.about.Organizer.Name != "" {
		return l.about.Organizer.Name
	}
	for _, p := range l.about.Attendees {
		if p.Address.Equal(a) {
			return p.Name
		}
	}
	return ""
}

// person is a name with its address.
func (l *letter) person(a cua.Address) string {
	where := a.String()
	if a.Scheme() == "mailto" {
		where = address(a)
	}
	name := l.name(a)
	if name == "" {
		return where
	}
	return name + " (" + where + ")"
}

// partStat is the Originator's answer.
func (l *letter) partStat() string {
	for _, p := range l.about.Attendees {
		if p.Address.Equal(l.From) {
			return p.PartStat
		}
	}
	return ""
}
