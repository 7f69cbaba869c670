package calendartest

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// Day is a day at which the meetings of these tests are: in a week, so that no server takes them for past.
var Day = time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 7)

// UTC is the form of a DATE-TIME in UTC.
const UTC = "20060102T150405Z"

// Meeting is a one-hour event as the organizer's client makes it, with LF. More are further lines of the event.
func Meeting(uid, summary string, start time.Time, organizer, attendee string, more ...string) string {
	event := []string{"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//calfed//test//EN", "BEGIN:VEVENT", "UID:" + uid,
		"DTSTAMP:" + time.Now().UTC().Format(UTC), "DTSTART:" + start.Format(UTC), "DTEND:" + start.Add(time.Hour).Format(UTC),
		"SUMMARY:" + summary, "SEQUENCE:0", "ORGANIZER:mailto:" + organizer, "ATTENDEE;PARTSTAT=ACCEPTED:mailto:" + organizer,
		"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:" + attendee}
	return strings.Join(slices.Concat(event, more, []string{"END:VEVENT", "END:VCALENDAR", ""}), "\n")
}

// Request is the iTIP message, with CRLF, that invites to an event (RFC 5546 §3.2.2).
func Request(event string) string {
	return strings.ReplaceAll(strings.Replace(event, "BEGIN:VEVENT", "METHOD:REQUEST\nBEGIN:VEVENT", 1), "\n", "\r\n")
}

// edit gives the property the value (with what precedes it, ":" or parameters) in an object of one event.
func edit(data, name, value string) string {
	list := slices.DeleteFunc(strings.Split(Unfold(data), "\n"), func(line string) bool { return propertyName(line) == name })
	end := slices.Index(list, "END:VEVENT")
	return strings.Join(slices.Insert(list, end, name+value), "\n")
}

// Answer is the object as the attendee's client stores it with the answer.
func Answer(t testing.TB, data, attendee, partstat string) string {
	t.Helper()
	list, found := strings.Split(Unfold(data), "\n"), false
	for i, line := range list {
		if isAttendee(line, attendee) {
			list[i], found = "ATTENDEE;PARTSTAT="+partstat+":mailto:"+attendee, true
		}
	}
	if !found {
		t.Fatalf("%s is not invited:\n%s", attendee, data)
	}
	return strings.Join(list, "\n")
}

// Moved is the organizer's object with another time, as a client stores it.
func Moved(data string, start time.Time) string {
	data = edit(data, "DTSTART", ":"+start.Format(UTC))
	data = edit(data, "DTEND", ":"+start.Add(time.Hour).Format(UTC))
	data = edit(data, "DTSTAMP", ":"+time.Now().UTC().Format(UTC))
	return edit(data, "SEQUENCE", ":1")
}

// Cancelled is the organizer's object with STATUS:CANCELLED.
func Cancelled(data string) string {
	data = edit(data, "DTSTAMP", ":"+time.Now().UTC().Format(UTC))
	data = edit(data, "SEQUENCE", ":2")
	return edit(data, "STATUS", ":CANCELLED")
}

// WithInstance is the organizer's series with the instance of a time at another one.
func WithInstance(data, at, start, end, summary string) string {
	data = Unfold(data)
	instance := "SEQUENCE:1\nEND:VEVENT\n"
	begin, stop := strings.Index(data, "BEGIN:VEVENT"), strings.Index(data, "END:VEVENT\n")
	for _, line := range slices.Backward(strings.Split(strings.TrimSuffix(data[begin:stop], "\n"), "\n")) {
		switch propertyName(line) {
		case "RRULE":
			line = "RECURRENCE-ID:" + at
		case "DTSTART":
			line = "DTSTART:" + start
		case "DTEND":
			line = "DTEND:" + end
		case "SUMMARY":
			line = "SUMMARY:" + summary
		case "SEQUENCE":
			continue
		}
		instance = line + "\n" + instance
	}
	stop += len("END:VEVENT\n")
	return data[:stop] + instance + data[stop:]
}

// WithoutInstance is the organizer's series without the instance of a time.
func WithoutInstance(data, at string) string {
	data = Unfold(data)
	rule := data[strings.Index(data, "\nRRULE:")+1:]
	rule = rule[:strings.Index(rule, "\n")+1]
	return strings.Replace(data, rule, rule+"EXDATE:"+at+"\n", 1)
}

// Parameters are the values that a parameter has on an attendee's properties, "" where it is not there: one for each
// component that names the attendee.
func Parameters(data, attendee, name string) []string {
	var all []string
	for _, line := range strings.Split(Unfold(data), "\n") {
		if !isAttendee(line, attendee) {
			continue
		}
		value := ""
		if _, after, found := strings.Cut(line, ";"+name+"="); found {
			value = strings.Trim(after[:strings.IndexAny(after, ";:")], `"`)
		}
		all = append(all, value)
	}
	return all
}

func propertyName(line string) string { return line[:max(strings.IndexAny(line, ";:"), 0)] }

func isAttendee(line, address string) bool {
	return propertyName(line) == "ATTENDEE" && strings.HasSuffix(strings.ToLower(line), ":mailto:"+address)
}

// Told are the lines of an object that a transcript shows.
func Told(data string) string {
	shown := []string{"DTSTART", "RECURRENCE-ID", "RRULE", "EXDATE", "SUMMARY", "SEQUENCE", "STATUS", "ORGANIZER", "ATTENDEE"}
	var kept []string
	inside := false
	for _, line := range strings.Split(Unfold(data), "\n") {
		inside = inside && line != "END:VEVENT" || line == "BEGIN:VEVENT"
		if inside && slices.Contains(shown, propertyName(line)) {
			kept = append(kept, "    "+line)
		}
	}
	return strings.Join(kept, "\n")
}

// Unfold undoes the folding of long lines.
func Unfold(data string) string { return strings.ReplaceAll(data, "\n ", "") }
