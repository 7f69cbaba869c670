package receiver

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
)

// inspect reads the body as iCalendar, once, and holds it against Content-Type (IS-RECV-7) and the RFC 5546 tables
// (IS-ITIP-1, IS-ITIP-2).
func (r *Receiver) inspect(_ context.Context, m *Message) *ischedule.Error {
	msg, err := itip.Inspect(m.Request.Body, itip.Limits{MaxBytes: int(r.maxContentLength())}, r.gateway().Capabilities.MaxInstances)
	if err != nil {
		return calendarError(err)
	}
	m.ITIP = msg
	req := m.Request
	if req.Component != "" && req.Component != msg.Component || req.Method != "" && req.Method != msg.Method {
		return invalidMessage(http.StatusBadRequest, "content-type-mismatch", "Content-Type and body name different components or methods.")
	}
	for _, rt := range m.routes {
		if req.Component == "" || req.Method == "" { // the policy step could not know
			r.judge(m, rt, msg.Component, msg.Method)
		}
		if p := rt.decision.Policy; p != nil && p.Inbound.Strict && len(msg.Violations) > 0 {
			v := msg.Violations[0]
			m.settleRoute(rt, ischedule.StatusNoAuthority,
				invalidMessage(http.StatusBadRequest, "itip-strict", "Not allowed by RFC 5546: "+v.Property+" "+v.Rule+"."))
		}
	}
	return nil
}

func invalidMessage(status int, reason, description string) *ischedule.Error {
	return &ischedule.Error{Name: ischedule.InvalidSchedulingMessage, Status: status, Reason: reason, Description: description}
}

// calendarError turns what inspection found into the protocol's errors.
func calendarError(err error) *ischedule.Error {
	out := &ischedule.Error{
		Name: ischedule.InvalidCalendarData, Status: http.StatusBadRequest, Reason: "calendar-data", Err: err,
		Description: "The body is no valid iCalendar object.",
	}
	var ie *itip.Error
	if !errors.As(err, &ie) {
		return out
	}
	out.Reason = ie.Reason
	where := ie.Reason // holds no calendar content, as Detail
	if ie.Detail != "" {
		where = ie.Detail
	}
	if ie.Line > 0 {
		where = fmt.Sprintf("line %d: %s", ie.Line, where)
	}
	switch ie.Kind {
	case itip.KindSyntax:
		out.Description = "The body is no valid iCalendar object: " + where + "."
	case itip.KindScheduling:
		out.Name = ischedule.InvalidSchedulingMessage
		out.Description = "The body is no valid iTIP message: " + where + "."
	case itip.KindTooLarge:
		out.Name, out.Status = ischedule.MaxContentLength, http.StatusRequestEntityTooLarge
		out.Description = "The scheduling message is too large or too complex."
	}
	return out
}

// parties holds Originator and Recipients against the parties that the calendar object names (IS-RECV-4, IS-RECV-5).
func (r *Receiver) parties(_ context.Context, m *Message) *ischedule.Error {
	recipients := make([]cua.Address, 0, len(m.recipients))
	for _, rc := range m.recipients {
		recipients = append(recipients, rc.address)
	}
	err := m.ITIP.CheckParties(m.Request.Originator, recipients)
	if err == nil {
		return nil
	}
	var pe *itip.PartyError
	switch {
	case errors.As(err, &pe) && !pe.Originator && m.ITIP.Component == "VFREEBUSY":
		return &ischedule.Error{
			Name: ischedule.RecipientMismatch, Status: http.StatusBadRequest, Reason: "recipient-mismatch",
			Description: "The Recipients are not exactly the ATTENDEEs of the VFREEBUSY.", Err: err,
		}
	case pe != nil && !pe.Originator:
		out := invalidMessage(http.StatusBadRequest, "recipient-not-party", "A Recipient is no party that this METHOD goes to.")
		out.Err = err
		return out
	default:
		out := invalidMessage(http.StatusBadRequest, "originator-not-party", "The Originator is not the party that sends this METHOD.")
		out.Err = err
		return out
	}
}

// enforce holds the message against the capabilities document: what is advertised is true (IS-CAP-4, IS-ITIP-3).
func (r *Receiver) enforce(_ context.Context, m *Message) *ischedule.Error {
	x := m.ITIP.Exceeds(&r.gateway().Capabilities)
	if x == nil {
		return nil
	}
	return &ischedule.Error{
		Name: x.Name, Status: http.StatusForbidden, Reason: x.Reason,
		Description: "This is more than the capabilities offer: " + x.Detail + ".",
	}
}
