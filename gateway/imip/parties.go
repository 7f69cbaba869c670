package imip

import (
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
)

// Parties says who sends a message that came by mail, and to which of the envelope's recipients it may go as iTIP: the
// Originator is the ORGANIZER or the one replying ATTENDEE, never the mail's From; the recipients are those of
// rcpt that RFC 5546 permits for the method, each once. The others are in rest. An error (*Error): nobody can be the
// Originator. IS-SUB-2.
func Parties(m *itip.Message, rcpt []cua.Address) (originator cua.Address, recipients, rest []cua.Address, err error) {
	permitted := m.Attendees
	originator = m.Organizer
	if !itip.OrganizerSends(m.Method) {
		permitted = []cua.Address{m.Organizer}
		if len(m.Attendees) != 1 {
			return cua.Address{}, nil, rcpt, &Error{Reason: "no-originator", Description: "The calendar message does not say which one of its attendees answers."}
		}
		originator = m.Attendees[0]
	}
	if originator.IsZero() {
		return cua.Address{}, nil, rcpt, &Error{Reason: "no-originator", Description: "The calendar message names no organizer."}
	}
	may := make(map[string]bool, len(permitted))
	for _, a := range permitted {
		may[a.Key()] = true
	}
	seen := make(map[string]bool, len(rcpt))
	for _, a := range rcpt {
		switch {
		case seen[a.Key()]:
		case may[a.Key()]:
			recipients = append(recipients, a)
		default:
			rest = append(rest, a)
		}
		seen[a.Key()] = true
	}
	return originator, recipients, rest, nil
}
