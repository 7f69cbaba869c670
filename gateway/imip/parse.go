package imip

import (
	"errors"
	"strings"

	"github.com/calfed/calfed/gateway/itip"
)

// Parse reads a mail (RFC 5322, 2045–2047): text/calendar at the top, or in multipart/alternative, mixed, related or signed to a
// bounded depth; 7bit, 8bit, base64, quoted-printable; the same message twice (alternative and attachment) counts once. An
// application/ics part counts where no text/calendar does. limits bound the calendar object. Errors are ErrNoITIP or *Error.
// IS-SUB-2.
func Parse(mail []byte, limits itip.Limits, maxInstances int) (*Mail, error) {
	h, _, body, err := splitHeader(mail, mailLines)
	if err != nil {
		return nil, malformed(err)
	}
	var p parts
	if err := p.walk(&h, body, 0); err != nil {
		return nil, err
	}
	found, err := p.messages("text/calendar")
	if err == nil && len(found) == 0 {
		found, err = p.messages("application/ics")
	}
	switch {
	case err != nil:
		return nil, err
	case len(found) > 1:
		return nil, &Error{Reason: "several-messages", Description: "The mail holds more than one calendar message, and they differ."}
	case len(found) == 0 && p.hasTNEF():
		return nil, &Error{Reason: "winmail", Description: "The mail came as winmail.dat, which only Outlook can read. " +
			"At the sender: in Exchange set TNEFEnabled to false for remote domains, or in Outlook do not send in Rich Text Format."}
	case len(found) == 0:
		return nil, ErrNoITIP
	}
	m := &Mail{MessageID: messageID(&h), Body: found[0]}
	m.From, _ = mailbox(&h, "From")
	m.Message, err = itip.Inspect(m.Body, limits, maxInstances)
	if err != nil {
		return nil, unusable(err)
	}
	return m, nil
}

func unusable(err error) *Error {
	out := &Error{Reason: "calendar", Description: "The calendar part of the mail cannot be used: " + err.Error() + ".", Err: err}
	var e *itip.Error
	if errors.As(err, &e) {
		out.Reason = e.Reason
	}
	return out
}

// messages lists the different iTIP messages in parts of one media type. METHOD:PUBLISH, and an object without METHOD, is
// nothing that travels between organizer and attendee.
func (p *parts) messages(kind string) ([][]byte, error) {
	var found [][]byte
	seen := make(map[string]bool)
	for i := range p.leaves {
		leaf := &p.leaves[i]
		if leaf.kind != kind {
			continue
		}
		param := strings.ToUpper(leaf.params["method"])
		body, err := leaf.content()
		if err != nil {
			if param == "" {
				continue
			}
			return nil, err
		}
		method := methodIn(body)
		switch {
		case param != "" && param != method: // RFC 6047 §2.4
			return nil, &Error{Reason: "method-mismatch", Description: "The calendar part of the mail says one method in its Content-Type and another in METHOD."}
		case method == "" || method == "PUBLISH":
			continue
		}
		if key := unfolded(body); !seen[key] {
			seen[key] = true
			found = append(found, body)
		}
	}
	return found, nil
}

func (p *parts) hasTNEF() bool {
	for i := range p.leaves {
		switch p.leaves[i].kind {
		case "application/ms-tnef", "application/vnd.ms-tnef":
			return true
		}
	}
	return false
}
