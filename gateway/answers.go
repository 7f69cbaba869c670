package gateway

import (
	"context"
	"fmt"
	"net/http"

	"github.com/calfed/calfed/gateway/backend/caldav"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
	"github.com/calfed/calfed/gateway/sender"
	"github.com/calfed/calfed/gateway/snapshot"
)

// SaveAnswers has write keep, for LoadAnswers, which invitations are watched for answers, when that has changed since the last time.
// Its error is write's.
func (g *Gateway) SaveAnswers(write func([]byte) error) error { return g.answers.Save(write) }

// LoadAnswers takes up what SaveAnswers kept. Call it before the first Apply. The error is about data that cannot be read.
func (g *Gateway) LoadAnswers(data []byte) error { return g.answers.Load(data) }

// watchAnswers has the current back ends look for answers, while traffic is served. Hold applyMu.
func (g *Gateway) watchAnswers() {
	g.mu.RLock()
	gen := g.current
	g.mu.RUnlock()
	if gen != nil && g.isStarted() && g.phase() != phaseClosed {
		gen.backends.watchAnswers(g.answer)
	}
}

// watchesAnswers is a back end whose server tells nobody what its users answer: *caldav.Backend.
type watchesAnswers interface {
	WatchAnswers(send caldav.Answer)
	StopWatching()
}

func (b *Backends) watchAnswers(send caldav.Answer) {
	for _, made := range b.made {
		if w, ok := made.Backend.(watchesAnswers); ok {
			w.WatchAnswers(send)
		}
	}
}

// stopWatching stops all but those that next has too; nil = all.
func (b *Backends) stopWatching(next *Backends) {
	for configuration, made := range b.made {
		if next != nil && next.made[configuration] == made {
			continue
		}
		if w, ok := made.Backend.(watchesAnswers); ok {
			w.StopWatching()
		}
	}
}

// answer sends what a user answered in the calendar, by the configuration of the moment: back ends outlive snapshots. It implements
// caldav.Answer; statuses that go away, and refusals that do, are not final.
func (g *Gateway) answer(ctx context.Context, owner, organizer cua.Address, reply []byte) error {
	gen := g.acquire()
	if gen == nil {
		return errNoSnapshot
	}
	defer gen.release()
	domain, ok := gen.active.Domain(owner.Domain())
	if !ok {
		return fmt.Errorf("%w: the user's domain is not served any more", caldav.ErrRefused)
	}
	status, refusal := gen.send(ctx, domain, owner, organizer, reply)
	switch {
	case refusal != nil && (refusal.Status >= 500 || refusal.Status == http.StatusTooManyRequests):
		return refusal
	case refusal != nil:
		return fmt.Errorf("%w: %w", caldav.ErrRefused, refusal)
	case status.Success():
		return nil
	case status.Code == ischedule.StatusUnavailable.Code:
		return fmt.Errorf("status %s", status.Code) // the text is the peer's
	}
	return fmt.Errorf("%w: status %s", caldav.ErrRefused, status.Code)
}

// respond implements receiver.Respond: the message of a local user leaves as if its calendar system had submitted it.
func (gen *generation) respond(ctx context.Context, domain *snapshot.Domain, from, to cua.Address, body []byte) error {
	status, refusal := gen.send(ctx, domain, from, to, body)
	switch {
	case refusal != nil:
		return refusal
	case !status.Success():
		return fmt.Errorf("the answer to the Originator: %s", status)
	}
	return nil
}

// send sends a message that a local user owes somebody.
func (gen *generation) send(ctx context.Context, domain *snapshot.Domain, from, to cua.Address, body []byte) (ischedule.RequestStatus, *ischedule.Error) {
	m, err := itip.Inspect(body, itip.Limits{}, 0)
	if err != nil {
		return ischedule.RequestStatus{}, &ischedule.Error{Name: ischedule.InvalidCalendarData, Status: http.StatusBadRequest, Reason: "itip", Err: err}
	}
	answer, refusal := gen.sender.Send(ctx, &sender.Submission{Submitter: "calfed", Owed: true, Domain: domain, Request: &ischedule.Request{
		Originator: from, Recipients: []cua.Address{to}, Component: m.Component, Method: m.Method, Body: body,
	}})
	if refusal != nil {
		return ischedule.RequestStatus{}, refusal
	}
	return answer.Results[0].Status, nil
}
