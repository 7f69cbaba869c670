package main

import (
	"strings"
	"time"

	"github.com/calfed/calfed/gateway/cua"
)

// invitation is a REQUEST of about two kilobytes, without its UID: equal UIDs give equal bodies.
type invitation struct{ before, after string }

func newInvitation(originator, recipient cua.Address, now time.Time) invitation {
	const layout = "20060102T150405Z"
	now = now.UTC()
	start := now.Add(7 * 24 * time.Hour).Truncate(time.Hour)
	text := strings.NewReplacer(
		"{stamp}", now.Format(layout), "{start}", start.Format(layout), "{end}", start.Add(time.Hour).Format(layout),
		"{originator}", originator.URI(), "{recipient}", recipient.URI(),
		"\n", "\r\n",
	).Replace(strings.ReplaceAll(invitationText, "{agenda}", strings.Repeat(agendaLine, 22)))
	before, after, _ := strings.Cut(text, "{uid}")
	return invitation{before, after}
}

func (i invitation) body(uid string) []byte {
	body := make([]byte, 0, len(i.before)+len(uid)+len(i.after))
	body = append(body, i.before...)
	body = append(body, uid...)
	return append(body, i.after...)
}

const invitationText = `BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//calfed//load peer//EN
METHOD:REQUEST
BEGIN:VEVENT
UID:{uid}
DTSTAMP:{stamp}
DTSTART:{start}
DTEND:{end}
SEQUENCE:0
SUMMARY:A meeting under load
ORGANIZER:{originator}
ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:{recipient}
DESCRIPTION:Agenda\n{agenda}
END:VEVENT
END:VCALENDAR
`

// agendaLine is a folded line of DESCRIPTION.
const agendaLine = "\n One more point of the agenda\\, nearly as long as a line of text may be\\n"
