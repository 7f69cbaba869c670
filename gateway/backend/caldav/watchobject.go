package caldav

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/calfed/calfed/gateway/itip"
)

// lookAt looks at one object of a calendar in a state, and tells the organizer what is new in it. It is not found when the user seems to have
// removed it.
func (b *Backend) lookAt(ctx context.Context, e *watched, state string, send Answer) (found bool, err error) {
	defer caught(&err)
	o, same, err := b.readChanged(ctx, e)
	if err == nil && !same && o == nil {
		o, err = b.moved(ctx, e)
	}
	switch {
	case err != nil:
		return false, err
	case same:
		b.settle(e, state, e.etag, nil)
	case o != nil:
		b.tell(ctx, e, o, state, send)
	case e.missing > 0:
		b.tellGone(ctx, e, send)
	default:
		return false, nil
	}
	return true, nil
}

// readChanged reads the object when it is not as it was looked at last; same = it is. nil when it is not there.
func (b *Backend) readChanged(ctx context.Context, e *watched) (o *object, same bool, err error) {
	at, err := b.client.resolve(b.client.base, e.path)
	if err != nil {
		return nil, false, err
	}
	r := request{http.MethodGet, at, nil, []string{"Accept", "text/calendar"}}
	if e.etag != "" {
		r.header = append(r.header, "If-None-Match", e.etag)
	}
	answer, err := b.client.do(ctx, r)
	if err != nil {
		return nil, false, err
	}
	if e.etag != "" && answer.status == http.StatusNotModified {
		return nil, true, nil
	}
	if o, err = readObject(answer); o == nil || err != nil || uidOf(string(o.body)) != e.key.uid {
		return nil, false, err
	}
	o.url = at
	return o, false, nil
}

// moved finds the object elsewhere among the user's calendars; nil when it is nowhere.
func (b *Backend) moved(ctx context.Context, e *watched) (*object, error) {
	u, err := b.user(ctx, e.owner)
	if err != nil {
		return nil, err
	}
	calendars, err := b.calendars(ctx, u)
	if err != nil {
		return nil, err
	}
	for _, c := range calendars {
		if !c.components.takes(e.component) {
			continue
		}
		found, err := b.query(ctx, c, e.component, e.key.uid)
		if err != nil {
			return nil, err
		}
		if len(found) > 0 {
			return b.get(ctx, found[0])
		}
	}
	return nil, nil
}

// tell tells the organizer what is new in the object.
func (b *Backend) tell(ctx context.Context, e *watched, o *object, state string, send Answer) {
	read, err := itip.Summarize(o.body, e.owner)
	if err != nil {
		b.log.Warn("an event cannot be read for its answer", "cause", err)
		b.settle(e, state, o.etag, nil)
		return
	}
	answers := news(e.known, read)
	reply, err := itip.ReplyOf(o.body, e.owner, answers, b.now())
	if err != nil {
		b.log.Warn("an answer in a calendar cannot be told", "cause", err)
	}
	if reply != nil && !b.sent(ctx, e, reply, send) {
		return
	}
	b.settle(e, state, o.etag, func(e *watched) {
		if e.path = o.url.EscapedPath(); folderOf(e.path) != e.calendar {
			e.calendar, e.seen = folderOf(e.path), "" // the state is that of the calendar it was in
		}
		if reply == nil {
			return
		}
		e.lively = b.now()
		sequence := sequences(read)
		for id, answer := range answers {
			e.known[id] = told{answer, sequence(id)}
		}
		if core, err := coreOf(o.body, e.owner, e.known, b.now()); err == nil {
			e.core = core
		}
	})
}

// tellGone declines what the user has removed.
func (b *Backend) tellGone(ctx context.Context, e *watched, send Answer) {
	if refused := refusals(e.known); len(refused) > 0 && e.core != nil {
		reply, err := itip.ReplyOf(e.core, e.owner, refused, b.now())
		if err != nil {
			b.log.Warn("the refusal of a removed event cannot be told", "cause", err)
		}
		if reply != nil && !b.sent(ctx, e, reply, send) {
			return
		}
	}
	if b.answers.watch.isCurrent(e) {
		b.answers.watch.forget(e.key)
	}
}

// sent sends a reply, and says whether that is done with: the organizer has it, or will never take it.
func (b *Backend) sent(ctx context.Context, e *watched, reply []byte, send Answer) bool {
	w := b.answers.watch
	if !w.isCurrent(e) {
		return false // the organizer changes what would be answered
	}
	err := send(ctx, e.owner, e.organizer, reply)
	switch {
	case err == nil:
		w.metrics.answers.WithLabelValues(answerSent).Inc()
	case errors.Is(err, ErrRefused):
		w.metrics.answers.WithLabelValues(answerRefused).Inc()
		b.log.Warn("a user's answer is refused", "cause", err)
	default:
		if ctx.Err() == nil {
			w.metrics.answers.WithLabelValues(answerFailed).Inc()
		}
		b.later(ctx, e, "a user's answer cannot be sent yet", err)
		return false
	}
	return true
}

// later has an object looked at again after a while.
func (b *Backend) later(ctx context.Context, e *watched, what string, err error) {
	if ctx.Err() != nil {
		return // it is not the object's fault
	}
	level := slog.LevelDebug
	if e.failures == 0 {
		level = slog.LevelWarn // once is enough
	}
	b.log.Log(ctx, level, what, "cause", err)
	b.answers.watch.update(e, func(e *watched) {
		e.failures++
		e.retry = b.now().Add(backoff(e.failures))
		e.etag, e.seen = "", ""
	})
}

// settle notes that nothing is new in the object as long as it, or its calendar, stays as it is.
func (b *Backend) settle(e *watched, state, etag string, change func(*watched)) {
	b.answers.watch.update(e, func(e *watched) {
		e.seen, e.etag, e.missing, e.failures = state, etag, 0, 0
		if change != nil {
			change(e)
		}
	})
}
