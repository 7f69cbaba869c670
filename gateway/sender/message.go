package sender

import (
	"bytes"
	"errors"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
	"github.com/calfed/calfed/gateway/snapshot"
)

// message is a submitted message that may leave.
type message struct {
	domain     *snapshot.Domain // of the Originator
	originator cua.Address
	from       string // the Originator on the wire
	itip       *itip.Message
	fallback   backend.Backend // for recipients without iSchedule; nil = none
	body       []byte
	recipients []*recipient // distinct
	asked      []*recipient // one entry for every recipient of the submission, duplicates too
}

// recipient is one calendar user on the way to a status. One goroutine at a time has it.
type recipient struct {
	address   cua.Address
	wire      string // on the wire
	settled   bool
	unreached bool   // nothing was sent: no connection to the receiver
	mailed    string // why it is left to the fallback; "" = it is not
	result    ischedule.RecipientResult
}

// unreached are the recipients to whose receiver no connection came about.
func (m *message) unreached() []*recipient {
	var out []*recipient
	for _, r := range m.recipients {
		if r.unreached && !r.settled {
			out = append(out, r)
		}
	}
	return out
}

// settle gives r its status; the first one stays.
func (r *recipient) settle(status ischedule.RequestStatus, description string) {
	if r.settled {
		return
	}
	r.settled = true
	r.result.Status = status
	r.result.Description = description
}

// judge decides whether a submission may leave at all (IS-SEND-4), and prepares it.
func (s *Sender) judge(sub *Submission) (*message, *ischedule.Error) {
	req := sub.Request
	// exactly the domain, not one below it: another FederatedDomain may own that
	if sub.Domain == nil || req.Originator.Domain() != sub.Domain.Name {
		return nil, ischedule.NewError(ischedule.OriginatorDenied, "originator-domain", "the Originator is not in the domain this submitter may send for")
	}
	if len(req.Recipients) == 0 {
		return nil, ischedule.NewError(ischedule.RecipientMissing, "recipient-missing", "no Recipient")
	}
	own := &s.cfg.Active.Snapshot.Gateway.Capabilities
	m := &message{domain: sub.Domain, originator: req.Originator, body: crlf(req.Body)}
	var err error
	m.itip, err = itip.Inspect(m.body, itip.Limits{MaxBytes: int(own.MaxContentLength)}, own.MaxInstances)
	if err != nil {
		return nil, notITIP(err)
	}
	if (req.Component != "" && req.Component != m.itip.Component) || (req.Method != "" && req.Method != m.itip.Method) {
		return nil, ischedule.NewError(ischedule.InvalidSchedulingMessage, "content-type-mismatch", "component or method of Content-Type differ from the calendar data, which has "+m.itip.Component+" and "+m.itip.Method)
	}
	// what we advertise to submitters is enforced (IS-CAP-4)
	if x := excluded(own, m.itip, len(m.body)); x != nil {
		return nil, ischedule.NewError(x.name, "capability-"+string(x.name), "this gateway does not take the message: "+x.why)
	}
	if own.MaxRecipients > 0 && len(req.Recipients) > own.MaxRecipients {
		return nil, ischedule.NewError(ischedule.MaxRecipients, "capability-max-recipients", "more recipients than this gateway takes in one message")
	}
	if refusal := checkParties(m.itip, req); refusal != nil {
		return nil, refusal
	}
	if m.body, err = itip.WithoutNotes(m.body); err != nil {
		return nil, notITIP(err)
	}
	m.fallback = s.fallback(sub, m)
	return m, m.address(req)
}

// checkParties matches Originator and Recipients with the calendar data (D05 §6.1). A VFREEBUSY may ask about fewer
// users than it lists: the submitter keeps the others to itself, and IS-SEND-3 takes them out of what is sent.
func checkParties(m *itip.Message, req *ischedule.Request) *ischedule.Error {
	err := m.CheckParties(req.Originator, req.Recipients)
	if err == nil {
		return nil
	}
	var party *itip.PartyError
	if !errors.As(err, &party) {
		refusal := ischedule.NewError(ischedule.InvalidSchedulingMessage, "itip-parties", "Originator or Recipients do not match the calendar data")
		refusal.Err = err
		return refusal
	}
	switch {
	case party.Originator:
		return ischedule.NewError(ischedule.InvalidSchedulingMessage, "originator-not-party", "the Originator is not the "+senderProperty(m.Method)+" of the calendar data")
	case len(party.Recipients) > 0 && m.Component == "VFREEBUSY":
		return ischedule.NewError(ischedule.RecipientMismatch, "recipient-mismatch", "a Recipient is no ATTENDEE of the VFREEBUSY")
	case len(party.Recipients) > 0:
		return ischedule.NewError(ischedule.InvalidSchedulingMessage, "recipient-not-party", "a Recipient is no party of the calendar data that "+m.Method+" may go to")
	}
	return nil
}

func senderProperty(method string) string {
	if itip.OrganizerSends(method) {
		return "ORGANIZER"
	}
	return "ATTENDEE that answers"
}

// address fills in the spellings that go out: those of the calendar object, because peers compare the header with it
// byte by byte (Cyrus).
func (m *message) address(req *ischedule.Request) *ischedule.Error {
	spelled := make(map[string]cua.Address, len(m.itip.Attendees)+1)
	for _, a := range append([]cua.Address{m.itip.Organizer}, m.itip.Attendees...) {
		if _, taken := spelled[a.Key()]; !taken {
			spelled[a.Key()] = a
		}
	}
	spelling := func(a cua.Address) string {
		if object, ok := spelled[a.Key()]; ok {
			if w := wireForm(object); w != "" {
				return w
			}
		}
		return wireForm(a)
	}
	if m.from = spelling(req.Originator); m.from == "" {
		return ischedule.NewError(ischedule.OriginatorInvalid, "address-form", "the Originator cannot be written in a header field")
	}
	seen := make(map[string]*recipient, len(req.Recipients))
	for _, a := range req.Recipients {
		r := seen[a.Key()]
		if r == nil {
			r = &recipient{address: a, wire: spelling(a)}
			seen[a.Key()] = r
			m.recipients = append(m.recipients, r)
		}
		m.asked = append(m.asked, r)
	}
	return nil
}

// notITIP maps an inspection failure to its protocol error.
func notITIP(err error) *ischedule.Error {
	name, reason, description := ischedule.InvalidCalendarData, "itip", "the calendar data cannot be read"
	var bad *itip.Error
	if errors.As(err, &bad) {
		reason, description = bad.Reason, bad.Error()
		switch bad.Kind {
		case itip.KindScheduling:
			name = ischedule.InvalidSchedulingMessage
		case itip.KindTooLarge:
			name = ischedule.MaxContentLength
		}
	}
	refusal := ischedule.NewError(name, reason, description)
	refusal.Err = err
	return refusal
}

// crlf returns body with every line end as CRLF and exactly one at its end: what all peers hash alike. Bytes that are
// so already are not copied.
func crlf(body []byte) []byte {
	text := bytes.TrimRight(body, "\r\n")
	bare := bytes.Count(text, []byte("\n")) - bytes.Count(text, []byte("\r\n"))
	if bare == 0 && len(body) == len(text)+2 && bytes.HasSuffix(body, []byte("\r\n")) {
		return body
	}
	out := make([]byte, 0, len(text)+bare+2)
	for i, c := range text {
		if c == '\n' && (i == 0 || text[i-1] != '\r') {
			out = append(out, '\r')
		}
		out = append(out, c)
	}
	return append(out, '\r', '\n')
}
