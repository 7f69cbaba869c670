package itip

import (
	"time"

	"github.com/calfed/calfed/gateway/cua"
)

// FreeBusyRequest describes a free/busy question (RFC 5546 §3.3.2).
type FreeBusyRequest struct {
	UID        string
	Organizer  cua.Address
	Attendees  []cua.Address
	Start, End time.Time
	Stamp      time.Time
}

// Build writes METHOD:REQUEST with one VFREEBUSY, folded, CRLF.
func (r *FreeBusyRequest) Build() []byte {
	var b []byte
	line := func(name, value string) { b = Fold(b, name+value) }
	line("BEGIN:", "VCALENDAR")
	line("VERSION:", "2.0")
	line("PRODID:", productID)
	line("METHOD:", "REQUEST")
	line("BEGIN:", "VFREEBUSY")
	line("UID:", escapeText(r.UID))
	line("DTSTAMP:", utc(r.Stamp))
	line("DTSTART:", utc(r.Start))
	line("DTEND:", utc(r.End))
	line("ORGANIZER:", plain(r.Organizer.URI()))
	for _, a := range r.Attendees {
		line("ATTENDEE:", plain(a.URI()))
	}
	line("END:", "VFREEBUSY")
	line("END:", "VCALENDAR")
	return b
}
