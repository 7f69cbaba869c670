package sender

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/ischedule"
)

// fallback is the slower way of the Originator's domain for a submission, nil when there is none. Free/busy has none: its
// answer is wanted now.
func (s *Sender) fallback(sub *Submission, m *message) backend.Backend {
	if sub.NoFallback || m.itip.Component == "VFREEBUSY" || m.originator.Scheme() != "mailto" {
		return nil
	}
	return s.cfg.Fallback[sub.Domain.Name]
}

// withoutService leaves a recipient whom iSchedule does not reach, for good, to the fallback; it gets the status where there is
// none. What may pass is never a case for it: two ways at once would bring the message twice. IS-SEND-7, IS-CAP-6.
func (m *message) withoutService(r *recipient, status ischedule.RequestStatus, why string) {
	if m.fallback == nil || r.address.Scheme() != "mailto" {
		r.settle(status, why)
		return
	}
	r.mailed = why
}

// leftOver is the request for those who are left to the fallback; none when nobody is.
func (m *message) leftOver() []*request {
	q := &request{group: &group{fallback: m.fallback}, id: rand.Text()}
	for _, r := range m.recipients {
		if r.mailed == "" || r.settled {
			continue
		}
		q.recipients = append(q.recipients, r)
		if domain := r.address.Domain(); !slices.Contains(q.domains, domain) {
			q.domains = append(q.domains, domain)
		}
	}
	if len(q.recipients) == 0 {
		return nil
	}
	return []*request{q}
}

// mail gives q to the fallback.
func (s *Sender) mail(ctx context.Context, m *message, q *request) string {
	ctx, cancel := context.WithTimeout(ctx, defaultTimeout)
	defer cancel()
	d := &backend.Delivery{MessageID: q.id, Originator: m.originator, ContentType: m.contentType(), Body: m.body, Message: m.itip}
	for _, r := range q.recipients {
		d.Recipients = append(d.Recipients, r.address)
	}
	results, err := q.fallback.Deliver(ctx, d)
	q.cause = err
	switch {
	case errors.Is(err, backend.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		q.settleMailed(ischedule.StatusUnavailable, "the mail server does not take it now; not queued")
		return outcomeTransient
	case err != nil:
		q.settleMailed(ischedule.StatusNoService, "the mail server cannot be used")
		return outcomeRefused
	}
	for i, r := range q.recipients {
		if i < len(results) && results[i].Recipient.Equal(r.address) && results[i].Status.Code != "" {
			r.settleMailed(results[i].Status, results[i].Description)
		}
	}
	q.settleMailed(ischedule.StatusUnavailable, "nothing is known of the mail")
	return outcomeAnswered
}

// settleMailed gives r its status, and says why the message went by mail.
func (r *recipient) settleMailed(status ischedule.RequestStatus, description string) {
	if description != "" {
		description = ": " + description
	}
	r.settle(status, "by mail, because "+r.mailed+description)
}

func (q *request) settleMailed(status ischedule.RequestStatus, description string) {
	for _, r := range q.recipients {
		r.settleMailed(status, description)
	}
}
