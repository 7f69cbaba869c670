//go:build interop

package interop

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// day is a day at which the meetings of these tests are: in a week, so that no server takes them for past.
var day = time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 7)

const utc = "20060102T150405Z"

// meeting is a one-hour event as the organizer's client makes it, with LF. More are further lines of the event.
func meeting(uid, summary string, start time.Time, organizer, attendee string, more ...string) string {
	event := []string{"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//calfed//interop//EN", "BEGIN:VEVENT", "UID:" + uid,
		"DTSTAMP:" + time.Now().UTC().Format(utc), "DTSTART:" + start.Format(utc), "DTEND:" + start.Add(time.Hour).Format(utc),
		"SUMMARY:" + summary, "SEQUENCE:0", "ORGANIZER:mailto:" + organizer, "ATTENDEE;PARTSTAT=ACCEPTED:mailto:" + organizer,
		"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:" + attendee}
	return strings.Join(slices.Concat(event, more, []string{"END:VEVENT", "END:VCALENDAR", ""}), "\n")
}

// edit gives the property the value (with what precedes it, ":" or parameters) in an object of one event.
func edit(data, name, value string) string {
	list := slices.DeleteFunc(strings.Split(unfold(data), "\n"), func(line string) bool { return propertyName(line) == name })
	end := slices.Index(list, "END:VEVENT")
	return strings.Join(slices.Insert(list, end, name+value), "\n")
}

// answer is the object as the attendee's client stores it with the answer.
func answer(t *testing.T, data, attendee, partstat string) string {
	t.Helper()
	list, found := strings.Split(unfold(data), "\n"), false
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

// moved is the organizer's object with another time, as a client stores it.
func moved(data string, start time.Time) string {
	data = edit(data, "DTSTART", ":"+start.Format(utc))
	data = edit(data, "DTEND", ":"+start.Add(time.Hour).Format(utc))
	data = edit(data, "DTSTAMP", ":"+time.Now().UTC().Format(utc))
	return edit(data, "SEQUENCE", ":1")
}

// cancelled is the organizer's object with STATUS:CANCELLED.
func cancelled(data string) string {
	data = edit(data, "DTSTAMP", ":"+time.Now().UTC().Format(utc))
	data = edit(data, "SEQUENCE", ":2")
	return edit(data, "STATUS", ":CANCELLED")
}

// withInstance is the organizer's series with the instance of a time at another one.
func withInstance(data, at, start, end, summary string) string {
	data = unfold(data)
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

// withoutInstance is the organizer's series without the instance of a time.
func withoutInstance(data, at string) string {
	data = unfold(data)
	rule := data[strings.Index(data, "\nRRULE:")+1:]
	rule = rule[:strings.Index(rule, "\n")+1]
	return strings.Replace(data, rule, rule+"EXDATE:"+at+"\n", 1)
}

// parameters are the values that a parameter has on an attendee's properties, "" where it is not there: one for each
// component that names the attendee.
func parameters(data, attendee, name string) []string {
	var all []string
	for _, line := range strings.Split(unfold(data), "\n") {
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

// told are the lines of an object that a transcript shows.
func told(data string) string {
	shown := []string{"DTSTART", "RECURRENCE-ID", "RRULE", "EXDATE", "SUMMARY", "SEQUENCE", "STATUS", "ORGANIZER", "ATTENDEE"}
	var kept []string
	inside := false
	for _, line := range strings.Split(unfold(data), "\n") {
		inside = inside && line != "END:VEVENT" || line == "BEGIN:VEVENT"
		if inside && slices.Contains(shown, propertyName(line)) {
			kept = append(kept, "    "+line)
		}
	}
	return strings.Join(kept, "\n")
}
