package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
)

func loopbackOnly() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }

// at is an hour of the day as iCalendar writes it.
func (s *story) at(hour int) string {
	return s.day.Add(time.Duration(hour) * time.Hour).Format("20060102T150405Z")
}

// event is one VEVENT of Anna's, with a METHOD unless it is what a calendar stores.
func (s *story) event(method, uid string, sequence, from, to int, summary string, attendees []string) []byte {
	s.stamp = s.stamp.Add(time.Second) // newer than the last, however fast the demo is
	lines := []string{"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//calfed//demo//EN"}
	if method != "" {
		lines = append(lines, "METHOD:"+method)
	}
	lines = append(lines, "BEGIN:VEVENT", "UID:"+uid, "DTSTAMP:"+s.stamp.Format("20060102T150405Z"),
		"DTSTART:"+s.at(from), "DTEND:"+s.at(to), fmt.Sprintf("SEQUENCE:%d", sequence), "SUMMARY:"+summary)
	if len(attendees) > 0 {
		lines = append(append(lines, "ORGANIZER;CN=Anna:"+anna.URI()), attendees...)
	}
	if method == "CANCEL" {
		lines = append(lines, "STATUS:CANCELLED")
	}
	return written(append(lines, "END:VEVENT", "END:VCALENDAR"))
}

// tea is the meeting the story is about.
func (s *story) tea(method string, sequence, hour int) []byte {
	return s.event(method, teaUID, sequence, hour, hour+1, "Tea", []string{attendee(bert, "NEEDS-ACTION"), attendee(bea, "NEEDS-ACTION")})
}

// answer is a REPLY to the tea.
func (s *story) answer(from cua.Address, partstat string) []byte {
	return s.event("REPLY", teaUID, 0, 10, 11, "Tea", []string{attendee(from, partstat)})
}

// question is a VFREEBUSY REQUEST for the day.
func (s *story) question(who []cua.Address) []byte {
	s.stamp = s.stamp.Add(time.Second)
	question := itip.FreeBusyRequest{
		UID: "busy@alpha.example", Organizer: anna, Attendees: who,
		Start: s.day.Add(8 * time.Hour), End: s.day.Add(18 * time.Hour), Stamp: s.stamp,
	}
	return question.Build()
}

func attendee(a cua.Address, partstat string) string {
	return "ATTENDEE;PARTSTAT=" + partstat + ";RSVP=TRUE:" + a.URI()
}

func written(lines []string) []byte {
	var out []byte
	for _, line := range lines {
		out = itip.Fold(out, line)
	}
	return out
}

// withoutMethod is a message as its sender's own calendar stores it.
func withoutMethod(object []byte) []byte {
	start := bytes.Index(object, []byte("METHOD:"))
	return append(bytes.Clone(object[:start]), object[start+bytes.IndexByte(object[start:], '\n')+1:]...)
}

// unfolded are the lines of an object as a person reads them.
func unfolded(object []byte) []string {
	text := strings.NewReplacer("\r\n ", "", "\r\n\t", "").Replace(string(object))
	return strings.Split(strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n")), "\n")
}

// showCalendar prints the stored tea of a user: the lines that begin with one of some names.
func (s *story) showCalendar(at *site, user cua.Address, names ...string) error {
	object := at.calendars.Object(user, teaUID)
	if object == nil {
		return fmt.Errorf("there is no tea in the calendar of %s", user)
	}
	inside := false
	for _, line := range unfolded(object) {
		inside = inside || line == "BEGIN:VEVENT"
		if inside && line != "END:VCALENDAR" && slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(line, name) }) {
			s.quote(line)
		}
	}
	return nil
}

// holds says whether the stored tea of a user has lines that begin so.
func (s *story) holds(at *site, user cua.Address, beginnings ...string) bool {
	lines := unfolded(at.calendars.Object(user, teaUID))
	for _, beginning := range beginnings {
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, beginning) }) {
			return false
		}
	}
	return true
}

// attendeeLine is the ATTENDEE line of somebody in a user's stored tea.
func (s *story) attendeeLine(at *site, user, who cua.Address) string {
	for _, line := range unfolded(at.calendars.Object(user, teaUID)) {
		if strings.HasPrefix(line, "ATTENDEE") && strings.Contains(line, who.URI()) {
			return line
		}
	}
	return ""
}

// showWire prints what matters of a request.
func (s *story) showWire(p *passed) {
	s.quote("POST " + p.path)
	for _, name := range []string{"iSchedule-Version", "iSchedule-Message-ID", "Originator", "Recipient", "Content-Type"} {
		s.quote(name + ": " + p.header.Get(name))
	}
	for _, tag := range strings.Split(p.header.Get(ischedule.HeaderDKIMSignature), "; ") {
		prefix := "   "
		if strings.HasPrefix(tag, "v=") {
			prefix = "DKIM-Signature: "
		}
		s.quote(prefix + short(tag, 90))
	}
	s.quote(fmt.Sprintf("(%d bytes of iCalendar)", len(p.body)))
}
