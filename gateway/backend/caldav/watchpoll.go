package caldav

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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
		var looks errgroup.Group
		looks.SetLimit(atOnce)
		defer func() { _ = looks.Wait() }()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				b.poll(ctx, &looks, send)
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

// poll begins to look at all calendars whose time has come.
func (b *Backend) poll(ctx context.Context, looks *errgroup.Group, send Answer) {
	for _, at := range b.answers.watch.due(b.answers.server) {
		looks.Go(func() error {
			err := b.look(ctx, at, send)
			if err != nil && ctx.Err() == nil {
				b.log.Warn("a calendar cannot be looked at for answers", "cause", err)
			}
			b.answers.watch.done(at, err)
			return nil
		})
	}
}

// maxVanished is how many events a user removes at once. When more are gone, and all that there were, it is the server that has lost them:
// nobody is told.
const maxVanished = 5

// look looks at one calendar, and at its objects only if it has changed.
func (b *Backend) look(ctx context.Context, at place, send Answer) (err error) {
	defer caught(&err)
	state, err := b.calendarState(ctx, at.path)
	if err != nil {
		return err
	}
	stale := b.answers.watch.stale(at, state)
	var missing []*watched
	for _, e := range stale {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		found, err := b.lookAt(ctx, e, state, send)
		switch {
		case err != nil:
			b.later(ctx, e, "an event cannot be looked at for its answer", err)
		case !found:
			missing = append(missing, e)
		}
	}
	if len(missing) > maxVanished && len(missing) == len(stale) {
		return errors.New("all events that are watched are gone at once")
	}
	for _, e := range missing { // a client that moves an event may remove it first: once more
		b.answers.watch.update(e, func(e *watched) { e.missing++ })
	}
	return nil
}

// maxState is in octets. A server whose states are longer has none.
const maxState = 512

// calendarState is what changes whenever something in the calendar does; "" when the server has no such thing.
func (b *Backend) calendarState(ctx context.Context, path string) (string, error) {
	at, err := b.client.resolve(b.client.base, path)
	if err != nil {
		return "", err
	}
	answer, list, err := b.client.propfind(ctx, at, "0", stateProps)
	switch {
	case err != nil:
		return "", err
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
