package caldav

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// How often a calendar is looked at: often while a person is likely to answer, and less when the server fails.
const (
	often      = 10 * time.Second
	seldom     = 2 * time.Minute
	livelyFor  = time.Hour // after something in it changed
	maxBackoff = 10 * time.Minute
)

// jittered spreads what came together.
func jittered(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5)
}

// backoff is how long to wait after so many failures in a row.
func backoff(failures int) time.Duration {
	return jittered(min(often<<min(failures, 10), maxBackoff))
}

// due gives out the calendars of a server that are to be looked at now; each is nobody else's until done.
func (w *Watch) due(server string) []place {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	var out []place
	for at, c := range w.calendars {
		if at.server == server && !c.busy && !now.Before(c.due) {
			c.busy = true
			out = append(out, at)
		}
	}
	slices.SortFunc(out, func(a, b place) int { return strings.Compare(a.path, b.path) })
	return out
}

// done gives a calendar back, with how looking at it went.
func (w *Watch) done(at place, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.calendars[at]
	c.busy = false
	if len(c.objects) == 0 {
		delete(w.calendars, at)
		return
	}
	now := w.now()
	if err != nil {
		c.failures++
		c.due = now.Add(backoff(c.failures))
		return
	}
	c.failures = 0
	wait := seldom
	for key := range c.objects {
		if now.Sub(w.entries[key].lively) < livelyFor {
			wait = often
		}
	}
	c.due = now.Add(jittered(wait))
}

// sooner has a calendar looked at soon, unless its server fails.
func (w *Watch) sooner(c *watchedCalendar, now time.Time) {
	if soon := now.Add(jittered(often)); c != nil && c.failures == 0 && c.due.After(soon) {
		c.due = soon
	}
}

// stale are the objects of a calendar that may have changed when its state is this; "" = it has none. What is past goes.
func (w *Watch) stale(at place, state string) []*watched {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	var out []*watched
	for key := range w.calendars[at].objects {
		e := w.entries[key]
		switch {
		case !now.Before(e.until):
			w.remove(key)
		case w.held[key] > 0, now.Before(e.retry), state != "" && e.seen == state:
		default:
			copied := *e
			out = append(out, &copied)
		}
	}
	slices.SortFunc(out, func(a, b *watched) int { return strings.Compare(a.path, b.path) })
	return out
}
