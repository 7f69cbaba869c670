package caldavtest

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/emersion/go-ical"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
)

// consequences are the messages that a user's write makes necessary (RFC 6638 §3.2): an organizer's go to the attendees, an
// attendee's to the organizer.
func (s *Server) consequences(u *User, before, after []byte) ([]Message, error) {
	old, err := parse(before)
	if err != nil {
		return nil, err
	}
	made, err := parse(after)
	if err != nil {
		return nil, err
	}
	organizer := made.organizer()
	if organizer.IsZero() {
		organizer = old.organizer()
	}
	switch {
	case organizer.IsZero():
		return nil, nil
	case u.is(organizer):
		return s.asOrganizer(u, organizer, old, made, before, after)
	}
	return s.asAttendee(u, organizer, old, made)
}

func (s *Server) asOrganizer(u *User, organizer cua.Address, old, made *event, before, after []byte) ([]Message, error) {
	var out []Message
	invited := others(u, made.attendees())
	uninvited := slices.DeleteFunc(others(u, old.attendees()), func(a cua.Address) bool {
		return slices.ContainsFunc(invited, a.Equal)
	})
	if len(uninvited) > 0 {
		body, err := s.cancellation(old, uninvited)
		if err != nil {
			return nil, err
		}
		out = append(out, Message{organizer, uninvited, body})
	}
	if len(invited) > 0 && !sameContent(before, after, organizer) {
		made.calendar.Props.SetText(ical.PropMethod, "REQUEST")
		for _, c := range made.main {
			s.stamp(c)
		}
		body, err := encode(made.calendar)
		if err != nil {
			return nil, err
		}
		out = append(out, Message{organizer, invited, body})
	}
	return out, nil
}

func others(u *User, all []cua.Address) []cua.Address {
	return slices.DeleteFunc(slices.Clone(all), u.is)
}

// sameContent says whether nothing worth telling the attendees has changed.
func sameContent(before, after []byte, owner cua.Address) bool {
	if before == nil {
		return false
	}
	old, err := itip.Summarize(before, owner)
	if err != nil {
		return false
	}
	made, err := itip.Summarize(after, owner)
	if err != nil || len(old) != len(made) {
		return false
	}
	return slices.EqualFunc(old, made, func(a, b itip.Summary) bool {
		return a.RecurrenceID == b.RecurrenceID && a.Content == b.Content
	})
}

// asAttendee answers for what the user has decided otherwise than before: RFC 6638 §3.2.2.
func (s *Server) asAttendee(u *User, organizer cua.Address, old, made *event) ([]Message, error) {
	var answers []*ical.Component
	if len(made.main) == 0 {
		if c := old.main[0]; own(c, u) != nil && !declined(c, u) {
			answers = append(answers, s.answer(c, u, "DECLINED", value(c, ical.PropRecurrenceID)))
		}
	}
	for _, c := range made.main {
		mine := own(c, u)
		if mine == nil {
			continue
		}
		recurrence := value(c, ical.PropRecurrenceID)
		was := "NEEDS-ACTION"
		if before := cmpOr(old.instance(recurrence), old.instance("")); before != nil && own(before, u) != nil {
			was = partstat(own(before, u))
		}
		if is := partstat(mine); is != was {
			answers = append(answers, s.answer(c, u, is, recurrence))
		}
	}
	answers = append(answers, s.excluded(u, old, made)...)
	if len(answers) == 0 {
		return nil, nil
	}
	calendar := newCalendar("REPLY")
	for _, c := range made.calendarOr(old).Children {
		if c.Name == ical.CompTimezone {
			calendar.Children = append(calendar.Children, c)
		}
	}
	calendar.Children = append(calendar.Children, answers...)
	body, err := encode(calendar)
	if err != nil {
		return nil, err
	}
	from, _ := cua.Parse(own(answers[0], u).Value)
	return []Message{{from, []cua.Address{organizer}, body}}, nil
}

// excluded declines the instances that the user has struck out of the series: SabreDAV does.
func (s *Server) excluded(u *User, old, made *event) (out []*ical.Component) {
	master, before := made.instance(""), old.instance("")
	if master == nil || own(master, u) == nil {
		return nil
	}
	struck := func(c *ical.Component) (all []string) {
		if c != nil {
			for _, p := range c.Props[ical.PropExceptionDates] {
				all = append(all, strings.Split(p.Value, ",")...)
			}
		}
		return all
	}
	known := struck(before)
	for _, at := range struck(master) {
		if !slices.Contains(known, at) {
			answer := s.answer(master, u, "DECLINED", at)
			if start := master.Props.Get(ical.PropDateTimeStart); start != nil {
				answer.Props.Get(ical.PropRecurrenceID).Params = start.Params
			}
			out = append(out, answer)
		}
	}
	return out
}

func (e *event) calendarOr(other *event) *ical.Calendar {
	if e.calendar == nil {
		return other.calendar
	}
	return e.calendar
}

func cmpOr(a, b *ical.Component) *ical.Component {
	if a == nil {
		return b
	}
	return a
}

func partstat(p *ical.Prop) string {
	if s := p.Params.Get(ical.ParamParticipationStatus); s != "" {
		return strings.ToUpper(s)
	}
	return "NEEDS-ACTION"
}

func declined(c *ical.Component, u *User) bool { return partstat(own(c, u)) == "DECLINED" }

// answer is what a REPLY says of one instance.
func (s *Server) answer(c *ical.Component, u *User, partstat, recurrence string) *ical.Component {
	a := ical.NewComponent(c.Name)
	for _, name := range []string{ical.PropUID, ical.PropSequence, ical.PropOrganizer, ical.PropSummary, ical.PropDateTimeStart, ical.PropRecurrenceID} {
		if p := c.Props.Get(name); p != nil {
			a.Props.Set(p)
		}
	}
	if recurrence != "" && a.Props.Get(ical.PropRecurrenceID) == nil {
		a.Props.Set(&ical.Prop{Name: ical.PropRecurrenceID, Params: ical.Params{}, Value: recurrence})
	}
	mine := &ical.Prop{Name: ical.PropAttendee, Params: ical.Params{}, Value: own(c, u).Value}
	mine.Params.Set(ical.ParamParticipationStatus, partstat)
	a.Props.Set(mine)
	s.stamp(a)
	return a
}

// cancellation tells attendees that they are no longer wanted, or that nothing takes place.
func (s *Server) cancellation(e *event, to []cua.Address) ([]byte, error) {
	calendar := newCalendar("CANCEL")
	for _, c := range e.calendar.Children {
		if c.Name == ical.CompTimezone {
			calendar.Children = append(calendar.Children, c)
		}
	}
	for _, c := range e.main {
		if value(c, ical.PropRecurrenceID) != "" && e.instance("") != nil {
			continue // it goes with its series
		}
		gone := ical.NewComponent(c.Name)
		for _, name := range []string{ical.PropUID, ical.PropOrganizer, ical.PropSummary, ical.PropDateTimeStart, ical.PropDateTimeEnd, ical.PropRecurrenceID} {
			if p := c.Props.Get(name); p != nil {
				gone.Props.Set(p)
			}
		}
		for _, a := range to {
			gone.Props.Add(&ical.Prop{Name: ical.PropAttendee, Params: ical.Params{}, Value: a.URI()})
		}
		sequence, _ := strconv.Atoi(value(c, ical.PropSequence))
		gone.Props.Set(&ical.Prop{Name: ical.PropSequence, Params: ical.Params{}, Value: strconv.Itoa(sequence + 1)})
		gone.Props.SetText(ical.PropStatus, "CANCELLED")
		s.stamp(gone)
		calendar.Children = append(calendar.Children, gone)
	}
	return encode(calendar)
}

func (s *Server) stamp(c *ical.Component) {
	c.Props.SetDateTime(ical.PropDateTimeStamp, s.cfg.Now().UTC())
}

func newCalendar(method string) *ical.Calendar {
	c := ical.NewCalendar()
	c.Props.SetText(ical.PropVersion, "2.0")
	c.Props.SetText(ical.PropProductID, "-//calfed//caldavtest//EN")
	c.Props.SetText(ical.PropMethod, method)
	return c
}

func encode(c *ical.Calendar) ([]byte, error) {
	var b bytes.Buffer
	if err := ical.NewEncoder(&b).Encode(c); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
