package mail

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/emersion/go-smtp"

	"github.com/calfed/calfed/gateway/imip"
	"github.com/calfed/calfed/gateway/smarthost"
)

// maxSingled bounds the transactions that one mail may cost the smarthost because of recipients it does not take.
const maxSingled = 20

// handOn gives the mail, as it came, to the smarthost for everybody who has it from nobody else. A recipient that the smarthost
// alone refuses for good does not keep it from the others: that one is reported. So are all that are left when the smarthost refuses
// the mail after somebody got the message in another way: an answer to our client is about everybody.
func (d *delivery) handOn(ctx context.Context) *smtp.SMTPError {
	for singled := 0; ; singled++ {
		to := d.in(forSmarthost)
		if len(to) == 0 {
			return nil
		}
		err := d.cfg.Relay.Send(ctx, d.envelope(to), d.mail)
		if err == nil {
			for _, r := range to {
				d.attempt.of(r).state = atSmarthost
			}
			return nil
		}
		var said *smarthost.Error
		if !errors.As(err, &said) || said.Temporary || singled == maxSingled {
			return d.passOn(err)
		}
		concerned := d.concerned(said, to)
		if len(concerned) == 0 {
			return d.passOn(err)
		}
		for _, r := range concerned {
			d.attempt.of(r).refuse(r, imip.Failure{Code: said.Code, Enhanced: said.Enhanced, Text: said.Text})
		}
	}
}

// concerned are the recipients that a final refusal is about and that are to be told of one by one; none when the client is told.
func (d *delivery) concerned(said *smarthost.Error, to []*recipient) []*recipient {
	if said.Recipient != "" && len(d.recipients) > 1 {
		if i := slices.IndexFunc(to, func(r *recipient) bool { return r.path == said.Recipient }); i >= 0 {
			return to[i : i+1]
		}
	}
	if len(d.in(inCalendar))+len(d.in(atSmarthost)) > 0 {
		return to
	}
	return nil
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
		if d.from == "" || len(r.notify) > 0 && !slices.Contains(r.notify, string(smtp.DSNNotifyFailure)) {
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
	if err != nil { // the sender has no address that could be told
		d.reason, d.cause = "report", err
		for _, r := range told {
			d.attempt.of(r).state = unreported
		}
		return nil
	}
	e := &smarthost.Envelope{To: []string{d.from}, UTF8: d.utf8, Binary: bytes.ContainsFunc(text, func(r rune) bool { return r >= 0x80 })}
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
	return answer(code, smtp.EnhancedCode{5, 0, 0}, "the smarthost refuses the mail: "+said.Text)
}
