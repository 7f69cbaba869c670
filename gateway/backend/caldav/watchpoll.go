package caldav

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"
)

// tick is how often the times are looked at.
const tick = time.Second

// WatchAnswers looks for the answers of users in the calendars of a server that sends none, and has send send them, until StopWatching or Close.
// It does nothing without Config.Watch, or for a server that sends answers itself. Answers are sent at least once: who is stopped while one is
// under way sends it again.
func (b *Backend) WatchAnswers(send Answer) {
	a := &b.answers
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.watch == nil || a.stop != nil {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	a.stop, a.stopped = stop, stopped
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(tick)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				b.poll(ctx, send)
			}
		}
	}()
}

// StopWatching ends WatchAnswers, and waits for its end.
func (b *Backend) StopWatching() {
	a := &b.answers
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stop == nil {
		return
	}
	a.stop()
	<-a.stopped
	a.stop, a.stopped = nil, nil
}

// poll looks once at all calendars whose time has come.
func (b *Backend) poll(ctx context.Context, send Answer) {
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, at := range b.answers.watch.due(b.answers.server) {
		group.Go(func() error {
			err := b.look(ctx, at, send)
			if err != nil && ctx.Err() == nil {
				b.log.Warn("a calendar cannot be looked at for answers", "cause", err)
			}
			b.answers.watch.done(at, err)
			return nil
		})
	}
	_ = group.Wait()
}

// look looks at one calendar, and at its objects only if it has changed.
func (b *Backend) look(ctx context.Context, at place, send Answer) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("CalDAV back end panicked (%T)\n%s", p, debug.Stack()) // the value may quote the calendar
		}
	}()
	state, err := b.calendarState(ctx, at.path)
	if err != nil {
		return err
	}
	for _, e := range b.answers.watch.stale(at, state) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b.lookAt(ctx, e, state, send)
	}
	return nil
}

// maxState is in octets. A server whose states are longer has none.
const maxState = 512

// calendarState is what changes whenever something in the calendar does; "" when the server has no such thing, or the calendar is gone.
func (b *Backend) calendarState(ctx context.Context, path string) (string, error) {
	at, err := b.client.resolve(b.client.base, path)
	if err != nil {
		return "", err
	}
	answer, list, err := b.client.propfind(ctx, at, "0", stateProps)
	switch {
	case err != nil:
		return "", err
	case answer.status == http.StatusNotFound, answer.status == http.StatusGone:
		return "", nil
	case answer.status == http.StatusForbidden:
		return "", forbidden("the user's calendar", answer.body)
	case answer.status != http.StatusMultiStatus:
		return "", fmt.Errorf("calendar server answers PROPFIND of a calendar with HTTP status %d", answer.status)
	case len(list) == 0 || list[0].found() == nil:
		return "", nil
	}
	props := list[0].found()
	for _, state := range []string{props.CTag, props.SyncToken, props.ETag} {
		if state != "" && len(state) <= maxState {
			return state, nil
		}
	}
	return "", nil
}
