package receiver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/ischedule"
)

// share is the part of a message that one back end gets.
type share struct {
	backend    backend.Backend
	recipients []*recipient
	err        error
}

// deliver hands the message to the back end of each recipient's domain, concurrently, and finishes the answer. It
// goes on when the peer hangs up: what happened is recorded, and the peer's repeat learns it.
//
// When every recipient's outcome is transient the request fails with 503 and the claim is given back, so that a
// repeat runs again; when only some are, these get 5.1 and the answer is final.
func (r *Receiver) deliver(ctx context.Context, m *Message) *ischedule.Error {
	began := time.Now() // the wall clock: how long back ends really take
	dctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.deliveryTimeout())
	defer cancel()
	tried := m.open()
	shares := r.shares(m)
	var wg sync.WaitGroup
	for i, s := range shares {
		if i == len(shares)-1 { // the last one, mostly the only one, needs no goroutine
			s.err = r.deliverShare(dctx, m, s)
			break
		}
		wg.Go(func() { s.err = r.deliverShare(dctx, m, s) })
	}
	wg.Wait()
	var cause error
	for _, s := range shares {
		if s.err == nil {
			continue
		}
		cause = s.err
		r.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "back end failed",
			slog.String("domain", s.recipients[0].route.domain.Name), slog.String("error", s.err.Error()))
	}
	if len(tried) > 0 && allTransient(tried) {
		r.abandon(ctx, m)
		return unavailable("backend-unavailable", "The calendar service is not available now.", retryLater, cause)
	}
	m.answer = m.response().Marshal()
	r.finish(ctx, m)
	if r.hide(tried) {
		select {
		case <-time.After(hideQuantum - time.Since(began)%hideQuantum):
		case <-ctx.Done():
		}
	}
	return nil
}

func allTransient(recipients []*recipient) bool {
	for _, rc := range recipients {
		if rc.result.Status.Code != ischedule.StatusUnavailable.Code {
			return false
		}
	}
	return true
}

// shares groups the recipients by back end. Those whose domain has none are settled: 5.2.
func (r *Receiver) shares(m *Message) []*share {
	var shares []*share
	byBackend := map[backend.Backend]*share{}
	for _, rc := range m.open() {
		be := r.cfg.Backends[rc.route.domain.Name]
		if be == nil {
			rc.settle(ischedule.StatusNoService, "", nil)
			continue
		}
		s, ok := byBackend[be]
		if !ok {
			s = &share{backend: be}
			byBackend[be] = s
			shares = append(shares, s)
		}
		s.recipients = append(s.recipients, rc)
	}
	return shares
}

// deliverShare delivers to one back end and settles its recipients, whatever happens.
func (r *Receiver) deliverShare(ctx context.Context, m *Message, s *share) (err error) {
	defer func() {
		// this runs beside the handler, so net/http would not catch it
		if p := recover(); p != nil {
			err = fmt.Errorf("back end panicked (%T)\n%s", p, debug.Stack()) // the value may quote the message
			s.settleAll(ischedule.StatusUnavailable)
		}
	}()
	d := &backend.Delivery{
		MessageID: m.Request.MessageID, Originator: m.Request.Originator, SignedBy: m.signedBy(s.recipients[0].route),
		ContentType: m.Request.ContentType, Body: m.Request.Body, Message: m.ITIP,
	}
	for _, rc := range s.recipients {
		d.Recipients = append(d.Recipients, rc.address)
	}
	if m.asksFreeBusy() {
		if err := r.partOf(m, d); err != nil {
			s.settleAll(ischedule.StatusUnavailable)
			return fmt.Errorf("split free/busy question: %w", err)
		}
	}
	results, err := s.backend.Deliver(ctx, d)
	switch {
	case errors.Is(err, backend.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		s.settleAll(ischedule.StatusUnavailable)
		return err
	case err != nil:
		s.settleAll(ischedule.StatusNoScheduling)
		return err
	}
	for i, rc := range s.recipients {
		result, ok := resultFor(results, i, rc)
		if !ok || result.Status.Code == "" {
			rc.settle(ischedule.StatusUnavailable, "", nil)
			err = errNoResult
			continue
		}
		if unusable := r.settleResult(ctx, m, rc, result); unusable != nil {
			err = unusable
		}
	}
	return err
}

var errNoResult = errors.New("the back end says nothing about a recipient")

func (s *share) settleAll(status ischedule.RequestStatus) {
	for _, rc := range s.recipients {
		rc.settle(status, "", nil)
	}
}

// resultFor is the back end's result for the recipient at index i.
func resultFor(results []backend.Result, i int, rc *recipient) (backend.Result, bool) {
	if i < len(results) && results[i].Recipient.Equal(rc.address) {
		return results[i], true
	}
	for _, res := range results {
		if res.Recipient.Equal(rc.address) {
			return res, true
		}
	}
	return backend.Result{}, false
}

// settleResult takes over what the back end answered for one recipient, and sends what it owes the Originator. The error, for the
// log, is that it cannot be used.
func (r *Receiver) settleResult(ctx context.Context, m *Message, rc *recipient, res backend.Result) error {
	if hides(rc) && refusesUser(res.Status) {
		rc.settle(ischedule.StatusNoAuthority, "", nil)
		return nil
	}
	rc.settle(res.Status, res.Description, nil)
	if !res.Status.Success() {
		return nil
	}
	if m.asksFreeBusy() {
		data, err := freeBusyAnswer(m, rc, res.CalendarData, r.cfg.Now())
		if err != nil {
			rc.settle(ischedule.StatusUnavailable, "", nil)
			return fmt.Errorf("free/busy answer: %w", err)
		}
		rc.result.CalendarData = data
		return nil
	}
	if len(res.Respond) > 0 {
		if err := r.respond(ctx, m, rc, res.Respond); err != nil {
			rc.settle(ischedule.StatusUnavailable, "", nil)
			return fmt.Errorf("answer to %s: %w", m.ITIP.Method, err)
		}
	}
	return nil
}

var errNoRespond = errors.New("this gateway sends none")

// respond sends the Originator what rc's calendar owes it, before it gets our answer: what is lost then is asked for again.
func (r *Receiver) respond(ctx context.Context, m *Message, rc *recipient, body []byte) error {
	if r.cfg.Respond == nil {
		return errNoRespond
	}
	return r.cfg.Respond(ctx, rc.route.domain, rc.address, m.Request.Originator, body)
}
