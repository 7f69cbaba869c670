package mail

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/emersion/go-smtp"

	"github.com/calfed/calfed/gateway/imip"
	"github.com/calfed/calfed/gateway/itip"
)

// maxHops bounds the Received fields of a mail: one with more goes round in circles (RFC 5321 §6.3).
const maxHops = 50

// delivery is the way of one mail through a Handler.
type delivery struct {
	*Handler
	*transaction
	attempt *attempt

	// for metrics and log
	direction, reason string
	messageID         string // of the mail
	originator        string // domain
	proof             string // of the Originator
	cause             error  // may hold addresses
}

// take delivers t, and returns what DATA is answered: nil = 250.
func (h *Handler) take(ctx context.Context, t *transaction, past *memory) *smtp.SMTPError {
	a := past.begin(t, h.cfg.Now())
	if a == nil {
		return answer(451, smtp.EnhancedCode{4, 5, 0}, "this very mail is being delivered now; try again later")
	}
	d := &delivery{Handler: h, transaction: t, attempt: a, direction: directionMail}
	answered := false
	defer func() { past.end(a, answered) }() // a panic leaves the attempt to be gone on with
	failure := d.run(ctx)
	answered = failure == nil || failure.Code >= 500
	d.report(ctx, failure)
	return failure
}

func (d *delivery) run(ctx context.Context) *smtp.SMTPError {
	if hops(d.mail) > maxHops {
		d.reason = "loop"
		return answer(554, smtp.EnhancedCode{5, 4, 6}, "too many Received fields: this mail goes round in circles")
	}
	if d.cfg.Relay == nil {
		// said before anything is delivered: nothing could be done about the rest
		d.reason = "no-smarthost"
		return answer(451, smtp.EnhancedCode{4, 3, 5}, "no smarthost is configured: set spec.submission.smarthost")
	}
	if failure := d.schedule(ctx); failure != nil {
		return failure
	}
	if failure := d.handOn(ctx); failure != nil {
		return failure
	}
	return d.notify(ctx)
}

// schedule delivers what can be delivered as iTIP. What it leaves is the smarthost's.
func (d *delivery) schedule(ctx context.Context) *smtp.SMTPError {
	own := &d.gateway().Capabilities
	m, err := imip.Parse(d.mail, itip.Limits{MaxBytes: int(own.MaxContentLength)}, own.MaxInstances)
	if err != nil {
		d.reason, d.cause = "no-itip", err
		var bad *imip.Error
		if errors.As(err, &bad) {
			d.reason = bad.Reason
		}
		return nil
	}
	d.messageID = m.MessageID
	if m.Message.Component == "VFREEBUSY" {
		d.reason = "freebusy"
		return nil
	}
	originator, permitted, _, err := imip.Parties(m.Message, d.addresses())
	if err != nil {
		d.reason, d.cause = "no-originator", err
		return nil
	}
	d.originator = originator.Domain()
	msg := &message{Mail: m, originator: originator, recipients: d.pending(permitted)}
	if as := d.actingFor(originator.Domain()); as != nil {
		return d.outbound(ctx, msg, as)
	}
	return d.inbound(ctx, msg)
}

// hops counts the Received fields.
func hops(mail []byte) int {
	n := 0
	for line := range bytes.Lines(mail) {
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			break
		}
		const name = "received:"
		if len(line) >= len(name) && strings.EqualFold(string(line[:len(name)]), name) {
			n++
		}
	}
	return n
}

// answer is a reply to DATA.
func answer(code int, enhanced smtp.EnhancedCode, text string) *smtp.SMTPError {
	return &smtp.SMTPError{Code: code, EnhancedCode: enhanced, Message: oneLine(text)}
}

func answerOf(failure *smtp.SMTPError) string {
	if failure.Temporary() {
		return answerDeferred
	}
	return answerRefused
}

// oneLine keeps what others wrote from being more than a line of ours.
func oneLine(s string) string {
	const limit = 400 // a reply line holds 512 octets: RFC 5321 §4.5.3.1.5
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, s)
	return s[:min(len(s), limit)]
}

// report counts and logs.
func (d *delivery) report(ctx context.Context, failure *smtp.SMTPError) {
	level, said := slog.LevelInfo, answerTaken
	attrs := []slog.Attr{slog.String("submitter", d.acting[0].Name), slog.String("direction", d.direction)}
	attr := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	attr("message_id", d.messageID)
	attr("originator_domain", d.originator)
	attr("reason", d.reason)
	attr("proof", d.proof)
	if d.cause != nil {
		d.cfg.Log.LogAttrs(ctx, slog.LevelDebug, "mail: the cause", slog.String("message_id", d.messageID), slog.Any("error", d.cause))
	}
	if failure != nil {
		said = answerOf(failure)
		level = slog.LevelWarn
		attrs = append(attrs, slog.Int("code", failure.Code))
	}
	counts := make(map[state]int)
	for _, r := range d.recipients {
		counts[d.attempt.of(r).state]++
	}
	for _, c := range []struct {
		state state
		name  string
	}{{inCalendar, "calendar"}, {atSmarthost, "smarthost"}, {reported, "reported"}, {unreported, "unreported"}} {
		if n := counts[c.state]; n > 0 {
			attrs = append(attrs, slog.Int(c.name, n))
			if failure == nil {
				d.cfg.Metrics.recipients.WithLabelValues(d.direction, c.name).Add(float64(n))
			}
		}
	}
	d.cfg.Metrics.mails.WithLabelValues(d.direction, said).Inc()
	d.cfg.Log.LogAttrs(ctx, level, "mail "+said, attrs...)
}
