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
	if len(l.about.Instances) == 0 {
		return s
	}
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
	l.line("%s %s %s:", l.person(l.From), p.does, l.thing())
	l.line("")
	l.line("  %s", l.title())
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
		l.row("Comment", c)
	}
	if p.todo != "" {
		l.line("")
		l.line("%s", strings.ReplaceAll(p.todo, "%s", l.person(l.From)))
	}
	if l.about.Text != "" {
		l.line("")
		l.line("Description:")
		l.line("")
		l.line("  %s", strings.ReplaceAll(l.about.Text, "\n", "\n  "))
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
		l.line("%-*s%s", label, name+":", strings.ReplaceAll(value, "\n", "\n"+strings.Repeat(" ", label)))
	}
}

// thing is what the message is about.
func (l *letter) thing() string {
	what := "this event"
	if l.about.Component == "VTODO" {
		what = "this task"
	}
	if len(l.about.Instances) > 0 && !l.about.Instances[0].Recurrence.IsZero() {
		if l.about.Instances[0].ThisAndFuture {
			return "one date, and all that follow, of " + what
		}
		if len(l.about.Instances)+l.about.More > 1 {
			return "some dates of " + what
		}
		return "one date of " + what
	}
	return what
}

// occasions says when: of the first component in full, of the others what they change.
func (l *letter) occasions() {
	if len(l.about.Instances) == 0 {
		return
	}
	first := &l.about.Instances[0]
	l.occasion(first)
	if l.about.Rule != "" {
		l.row("Repeats", l.about.Rule)
	}
	l.row("Not on", dates(l.about.Excluded, first))
	l.row("Also on", dates(l.about.Additional, first))
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
	case !o.Start.IsZero():
		l.row("When", when(o))
	case o.Due:
		l.row("Due", moment(o.End, o))
	}
}

func (l *letter) override(o *itip.Occasion) {
	if o.Recurrence.IsZero() {
		l.occasion(o)
		return
	}
	name, said := "Changed", moment(o.Recurrence, o)
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
	l.row(name, said)
}

// dates lists days, told on the clock of the first occasion.
func dates(list []time.Time, o *itip.Occasion) string {
	var said []string
	for i, t := range list {
		if i == maxDates {
			said = append(said, fmt.Sprintf("and %d more", len(list)-maxDates))
			break
		}
		said = append(said, t.Format(longDate))
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
			s += " (need not come)"
		}
		said = append(said, s)
	}
	if l.about.MoreAttendees > 0 {
		said = append(said, fmt.Sprintf("and %d more", l.about.MoreAttendees))
	}
	l.row("Invited", strings.Join(said, "\n"))
}

// name is what the calendar object calls somebody, "" when it does not.
func (l *letter) name(a cua.Address) string {
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
	if name == "" || strings.Contains(name, "@") {
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

// origin says where the mail comes from, and why it is a mail.
func (l *letter) origin() string {
	if l.AuthResult != "" {
		return fmt.Sprintf("This mail was written by the calendar gateway %s, which took the message from the calendar service of %s and checked that it is genuine.", l.Host, l.From.Domain())
	}
	return fmt.Sprintf("This mail was sent by the calendar service of %s. It is a mail because %s has no calendar service (iSchedule) that takes such messages directly.", l.From.Domain(), l.To.Domain())
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }
