package mail

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/emersion/go-smtp"

	"github.com/calfed/calfed/gateway/imip"
	"github.com/calfed/calfed/gateway/smarthost"
)

// maxParts bounds the transactions that one mail may cost the smarthost because of recipients it does not take.
const maxParts = 20

// closing is the reply of a server that says no more (RFC 5321 §3.8).
const closing = 421

// handOn gives the mail, as it came, to the smarthost for everybody who has it from nobody else. A recipient that the smarthost
// does not take keeps it from nobody else: one refused for good is reported, those before one refused for now (452: too many
// recipients) go first, and who alone is refused for now waits for our client to come again. Reported are also all that are
// left when the smarthost refuses the mail after somebody got the message in another way: an answer to our client is about everybody.
func (d *delivery) handOn(ctx context.Context) *smtp.SMTPError {
	var later error
	to := d.in(forSmarthost)
	for parts, n := 0, len(to); n > 0; parts++ {
		err := d.cfg.Relay.Send(ctx, d.envelope(to[:n]), d.mail)
		if err == nil {
			for _, r := range to[:n] {
				d.attempt.of(r).state = atSmarthost
			}
			to = to[n:]
			n = len(to)
			continue
		}
		var said *smarthost.Error
		if !errors.As(err, &said) || said.Code == closing || parts == maxParts {
			return d.passOn(err)
		}
		at := slices.IndexFunc(to[:n], func(r *recipient) bool { return r.path == said.Recipient })
		switch {
		case said.Temporary && at > 0:
			n = at
			continue
		case said.Temporary && at == 0:
			later, to = err, to[1:]
		case said.Temporary:
			return d.passOn(err)
		case at >= 0 && len(d.recipients) > 1:
			d.attempt.of(to[at]).refuse(to[at], failureOf(said))
			to = slices.Delete(to, at, at+1)
		case len(d.in(inCalendar))+len(d.in(atSmarthost)) > 0:
			for _, r := range to {
				d.attempt.of(r).refuse(r, failureOf(said))
			}
			to = nil
		default:
			return d.passOn(err)
		}
		n = len(to)
	}
	if later != nil {
		return d.passOn(later)
	}
	return nil
}

func failureOf(said *smarthost.Error) imip.Failure {
	return imip.Failure{Code: said.Code, Enhanced: said.Enhanced, Text: said.Text}
}

// in are the recipients in a state, each path once.
func (d *delivery) in(s state) (out []*recipient) {
	seen := make(map[string]bool, len(d.recipients))
	for _, r := range d.recipients {
		if d.attempt.of(r).state == s && !seen[r.path] {
			seen[r.path] = true
			out = append(out, r)
		}
	}
	return out
}

// notify reports the refusals to the envelope sender. RFC 3461 §4.1, RFC 3464.
func (d *delivery) notify(ctx context.Context) *smtp.SMTPError {
	report := &imip.Report{To: d.from, Host: d.gateway().Host, Date: d.cfg.Now(), Envelope: d.id, Original: d.mail}
	var told []*recipient
	for _, r := range d.in(refused) {
		o := d.attempt.of(r)
		if len(r.notify) > 0 && !slices.Contains(r.notify, string(smtp.DSNNotifyFailure)) {
			o.state = unreported
			continue
		}
		told = append(told, r)
		report.Failures = append(report.Failures, o.failure)
	}
	if len(told) == 0 {
		return nil
	}
	text, err := imip.ComposeReport(report)
	if err != nil { // the sender has no address that could be told, or is the null one
		d.reason, d.cause = "report", err
		for _, r := range told {
			d.attempt.of(r).state = unreported
		}
		return nil
	}
	e := &smarthost.Envelope{To: []string{d.from}, UTF8: d.utf8}
	if err := d.cfg.Relay.Send(ctx, e, text); err != nil {
		return d.passOn(err)
	}
	for _, r := range told {
		d.attempt.of(r).state = reported
	}
	return nil
}

// passOn tells our client what the smarthost said.
func (d *delivery) passOn(err error) *smtp.SMTPError {
	d.reason, d.cause = "smarthost", err
	var said *smarthost.Error
	isSaid := errors.As(err, &said)
	if !isSaid || said.Code == 0 {
		d.cfg.Log.Warn("the smarthost cannot be used", "error", err) // no reply of its own, which might name recipients
	}
	if !isSaid || said.Temporary {
		return answer(451, smtp.EnhancedCode{4, 4, 1}, "the smarthost does not take the mail now: "+err.Error())
	}
	code := said.Code
	if code < 500 || code > 599 {
		code = 554
	}
	return answer(code, enhancedOf(said), "the smarthost refuses the mail: "+said.Text)
}

// enhancedOf is the smarthost's own code where it gave one for a final refusal.
func enhancedOf(said *smarthost.Error) smtp.EnhancedCode {
	out := smtp.EnhancedCode{5, 0, 0}
	var subject, detail int
	if n, err := fmt.Sscanf(said.Enhanced, "5.%d.%d", &subject, &detail); err == nil && n == 2 {
		out[1], out[2] = subject, detail
	}
	return out
}
