package caldavtest

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/emersion/go-ical"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
)

// event is a calendar object with one event or task: its master and overrides.
type event struct {
	calendar *ical.Calendar
	uid      string
	main     []*ical.Component // VEVENT or VTODO
}

var errObject = errors.New("a calendar object holds one event or task, and no METHOD")

// parse reads an object. itip reads it first: go-ical must not see what it cannot bear.
func parse(data []byte) (_ *event, err error) {
	if data == nil {
		return &event{}, nil
	}
	if _, err := itip.Summarize(data, cua.Address{}); err != nil {
		return nil, err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w (%v)", errObject, p)
		}
	}()
	calendar, err := ical.NewDecoder(bytes.NewReader(data)).Decode()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errObject, err)
	}
	e := &event{calendar: calendar}
	for _, c := range calendar.Children {
		if c.Name != ical.CompEvent && c.Name != ical.CompToDo {
			continue
		}
		e.main = append(e.main, c)
		if uid := value(c, ical.PropUID); e.uid == "" {
			e.uid = uid
		} else if uid != e.uid {
			return nil, errObject
		}
	}
	if e.uid == "" || calendar.Props.Get(ical.PropMethod) != nil {
		return nil, errObject
	}
	return e, nil
}

// value is a property's value as written, "" when it is absent.
func value(c *ical.Component, name string) string {
	if p := c.Props.Get(name); p != nil {
		return p.Value
	}
	return ""
}

// organizer of the event; zero when it has none.
func (e *event) organizer() cua.Address {
	for _, c := range e.main {
		if a, err := cua.Parse(value(c, ical.PropOrganizer)); err == nil {
			return a
		}
	}
	return cua.Address{}
}

// attendees of all instances, each once.
func (e *event) attendees() (out []cua.Address) {
	seen := make(map[string]bool)
	for _, c := range e.main {
		for _, p := range c.Props.Values(ical.PropAttendee) {
			a, err := cua.Parse(p.Value)
			if err == nil && !seen[a.Key()] {
				seen[a.Key()] = true
				out = append(out, a)
			}
		}
	}
	return out
}

// own is the user's ATTENDEE line in a component, nil when there is none.
func own(c *ical.Component, u *User) *ical.Prop {
	for i, p := range c.Props[ical.PropAttendee] {
		if a, err := cua.Parse(p.Value); err == nil && u.is(a) {
			return &c.Props[ical.PropAttendee][i]
		}
	}
	return nil
}

// instance is the component with a recurrence id, the master's being ""; nil when there is none.
func (e *event) instance(recurrence string) *ical.Component {
	for _, c := range e.main {
		if value(c, ical.PropRecurrenceID) == recurrence {
			return c
		}
	}
	return nil
}
