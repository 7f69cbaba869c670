package mail

import (
	"context"
	"errors"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/imip"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/sender"
	"github.com/calfed/calfed/gateway/snapshot"
	"github.com/calfed/calfed/gateway/submission"
)

// patience is how long mail of strangers is answered 4yz because a calendar server, or DNS, does not answer: longer,
// and the person gets to read it.
const patience = time.Hour

// message is the iTIP message of a mail on its way.
type message struct {
	*imip.Mail
	originator cua.Address
	recipients []*recipient // may get it as iTIP, and have not yet
}

// addresses are the recipients that a calendar can know.
func (d *delivery) addresses() (out []cua.Address) {
	for _, r := range d.recipients {
		if !r.address.IsZero() {
			out = append(out, r.address)
		}
	}
	return out
}

// pending are the recipients among permitted about whom nothing was settled by an earlier attempt.
func (d *delivery) pending(permitted []cua.Address) (out []*recipient) {
	keys := make(map[string]bool, len(permitted))
	for _, a := range permitted {
		keys[a.Key()] = true
	}
	for _, r := range d.recipients {
		if !r.address.IsZero() && keys[r.address.Key()] && d.attempt.of(r).state == forSmarthost {
			out = append(out, r)
		}
	}
	return out
}

// request is the iSchedule form of m for its recipients.
func (m *message) request() *ischedule.Request {
	req := &ischedule.Request{
		Originator: m.originator, Component: m.Message.Component, Method: m.Message.Method, Body: m.Body,
		ContentType: "text/calendar; charset=utf-8; component=" + m.Message.Component + "; method=" + m.Message.Method,
	}
	for _, r := range m.recipients {
		req.Recipients = append(req.Recipients, r.address)
	}
	return req
}

// outbound sends the message of a local user.
func (d *delivery) outbound(ctx context.Context, m *message, as *submission.Acting) *smtp.SMTPError {
	if d.maybeForeign() {
		if _, err := d.cfg.Verifier.Verify(ctx, d.mail, m.originator); err != nil {
			return d.unproven(err)
		}
	}
	d.direction = directionOutbound
	if len(m.recipients) == 0 {
		return nil
	}
	response, refusal := d.cfg.Outbound.Send(ctx, &sender.Submission{
		Submitter: as.Name, Domain: as.Domain, Request: m.request(), NoFallback: true,
	})
	if refusal != nil {
		d.reason, d.cause = refusal.Reason, refusal.Err
		return nil
	}
	for i, r := range m.recipients {
		if i >= len(response.Results) {
			break
		}
		result, o := response.Results[i], d.attempt.of(r)
		switch {
		case result.Status.Success():
			o.state = inCalendar
		case goesByMail(result.Status.Code), d.from == "": // nobody could be told
		default:
			o.refuse(r, imip.Failure{Status: result.Status, Text: result.Description})
		}
	}
	return nil
}

// goesByMail says whether a recipient with this status is reached by mail in place of iSchedule (IS-SEND-7): no calendar service, one
// that does not take such messages, or one that could not be reached.
func goesByMail(code string) bool { return code == "5.1" || code == "5.2" || code == "3.14" }

// maybeForeign says whether a mail with a local Originator may be a stranger's that the MX hands on: it has passed another mail
// server, and goes to our own domains, or has the null sender, whom the MX lets pass to whomever one of ours forwards his mail.
func (d *delivery) maybeForeign() bool {
	if hops(d.mail) == 0 {
		return false
	}
	if d.from == "" {
		return true
	}
	for _, r := range d.recipients {
		if d.actingFor(r.domain) != nil {
			return true
		}
	}
	return false
}

// inbound delivers the message of a stranger to local users.
func (d *delivery) inbound(ctx context.Context, m *message) *smtp.SMTPError {
	local := m.recipients[:0:0]
	d.reason = "not-ours"
	for _, r := range m.recipients {
		as := d.actingFor(r.domain)
		switch {
		case as == nil:
		case as.Domain.Backend.Type == snapshot.BackendIMIP: // gets the mail itself, with its signatures, and no copy in our words
			d.reason = "reads-mail"
		default:
			local = append(local, r)
		}
	}
	if len(local) == 0 {
		return nil
	}
	d.reason = ""
	m.recipients, d.direction = local, directionInbound
	proof, err := d.cfg.Verifier.Verify(ctx, d.mail, m.originator)
	if err != nil {
		return d.unproven(err)
	}
	d.proof = proof.How
	req := m.request()
	req.MessageID = m.MessageID
	response, refusal := d.cfg.Inbound.Mail(ctx, req)
	if refusal != nil {
		d.reason, d.cause = refusal.Reason, refusal.Err
		if refusal.Name == "" && d.patient() {
			return answer(451, smtp.EnhancedCode{4, 4, 1}, "the calendar cannot take this message now; try again later")
		}
		return nil
	}
	return d.settleInbound(m, response)
}

// settleInbound notes who has the message in a calendar. All others read the mail, unless trying again may help.
func (d *delivery) settleInbound(m *message, response *ischedule.Response) *smtp.SMTPError {
	results := make(map[string]ischedule.RequestStatus, len(response.Results))
	for _, result := range response.Results {
		if a, err := cua.Parse(result.Recipient); err == nil {
			results[a.Key()] = result.Status
		}
	}
	again := false
	for _, r := range m.recipients {
		status := results[r.address.Key()]
		if status.Success() {
			d.attempt.of(r).state = inCalendar
		}
		again = again || status.Code == ischedule.StatusUnavailable.Code
	}
	if again && d.patient() {
		d.reason = "backend-unavailable"
		return answer(451, smtp.EnhancedCode{4, 4, 1}, "the calendar server of a recipient does not answer; try again later")
	}
	return nil
}

// unproven leaves the mail to the smarthost, or to a later attempt when proving failed for the moment.
func (d *delivery) unproven(err error) *smtp.SMTPError {
	d.cause = err
	var not *imip.Error
	if errors.As(err, &not) {
		d.reason = not.Reason
		return nil
	}
	d.reason = "proof-unavailable"
	if d.patient() {
		return answer(451, smtp.EnhancedCode{4, 4, 3}, "who sent this mail cannot be looked up in DNS now; try again later")
	}
	return nil
}

func (d *delivery) patient() bool { return d.cfg.Now().Sub(d.attempt.first) < patience }
