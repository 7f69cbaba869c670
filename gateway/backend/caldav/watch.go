package caldav

import (
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/calfed/calfed/gateway/cua"
)

// Bounds of a Watch. When it is full, what ends first makes room.
const (
	maxWatched       = 10_000
	maxWatchedOctets = 64 << 20
	maxAnswers       = 1000     // instances of one object; one with more is not watched
	maxCore          = 16 << 10 // octets
	watchFor         = 366 * 24 * time.Hour
	graceAfterEnd    = 24 * time.Hour // answers may come late, and times float
)

// WatchConfig of a Watch.
type WatchConfig struct {
	Registerer prometheus.Registerer // nil = not counted
	Now        func() time.Time      // nil = time.Now
	Log        *slog.Logger          // nil = discard
}

// Watch remembers the objects that back ends stored for attendees on servers that send no answers, and what their organizers know of
// the answers. It outlives the back ends of one configuration, which look at the objects (Backend.WatchAnswers). Safe for
// concurrent use.
type Watch struct {
	now     func() time.Time
	log     *slog.Logger
	metrics *watchMetrics

	mu        sync.Mutex
	entries   map[watchKey]*watched
	calendars map[place]*watchedCalendar
	held      map[watchKey]int // deliveries that are changing the object
	octets    int
	unsaved   bool
}

// NewWatch makes an empty Watch.
func NewWatch(cfg WatchConfig) *Watch {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Watch{
		now: cfg.Now, log: cfg.Log, metrics: newWatchMetrics(cfg.Registerer),
		entries: map[watchKey]*watched{}, calendars: map[place]*watchedCalendar{}, held: map[watchKey]int{},
	}
}

// watchKey names an object of a user. The server is named by a hash of its configuration without the secrets.
type watchKey struct{ server, owner, uid string }

func keyOf(server string, owner cua.Address, uid string) watchKey {
	return watchKey{server, owner.Key(), uid}
}

// place is a calendar on a server, by its escaped path.
type place struct{ server, path string }

// watched is one object. Copies share known and core, which are replaced and never changed.
type watched struct {
	key              watchKey
	calendar, path   string // escaped paths on the server, of the calendar and the object
	component        string
	owner, organizer cua.Address
	known            map[string]told // by RecurrenceID
	core             []byte          // what the answer is made of when the object is gone; nil = it was too large
	until            time.Time
	lively           time.Time // when it last changed

	// of polling
	epoch    int       // counts the changes from elsewhere
	etag     string    // of the object as it was last looked at, "" = look again
	seen     string    // state of the calendar at that time
	missing  int       // how often in a row it was not there
	failures int       // in a row
	retry    time.Time // not before
}

func (e *watched) at() place { return place{e.key.server, e.calendar} }

func (e *watched) size() int {
	n := len(e.calendar) + len(e.path) + 2*len(e.key.uid) + len(e.core) + 512
	for id := range e.known {
		n += len(id) + 64
	}
	return n
}

// watchedCalendar is when to look at a calendar again.
type watchedCalendar struct {
	due      time.Time
	busy     bool // somebody looks at it
	failures int
	objects  map[watchKey]struct{}
}

// hold keeps an object from being looked at while a delivery changes it.
func (w *Watch) hold(key watchKey) (release func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held[key]++
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.held[key]--; w.held[key] == 0 {
			delete(w.held, key)
		}
	}
}

// knows returns what the organizer of an object knows, nil when it is not watched.
func (w *Watch) knows(key watchKey) map[string]told {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e := w.entries[key]; e != nil {
		return e.known
	}
	return nil
}

// note watches an object, in the state that a delivery brought it to.
func (w *Watch) note(e watched) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	if len(e.known) > maxAnswers || !now.Before(e.until) {
		w.remove(e.key)
		return
	}
	if old := w.entries[e.key]; old != nil {
		e.epoch = old.epoch + 1
	}
	e.lively = now
	w.put(&e)
	w.sooner(w.calendars[e.at()], now)
}

// put replaces an entry and keeps the bounds.
func (w *Watch) put(e *watched) {
	c := w.calendars[e.at()]
	if c == nil {
		c = &watchedCalendar{objects: map[watchKey]struct{}{}, due: e.lively.Add(jittered(often))}
	}
	w.remove(e.key)
	w.entries[e.key], w.calendars[e.at()] = e, c
	c.objects[e.key] = struct{}{}
	w.octets += e.size()
	for len(w.entries) > maxWatched || w.octets > maxWatchedOctets {
		first := e
		for _, other := range w.entries {
			if other.until.Before(first.until) {
				first = other
			}
		}
		w.log.Warn("too many invitations are watched for answers: the one that ends first is not any more", "watched", len(w.entries))
		w.remove(first.key)
	}
	w.metrics.watched.Set(float64(len(w.entries)))
}

// forget ends the watch over an object.
func (w *Watch) forget(key watchKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.remove(key)
}

func (w *Watch) remove(key watchKey) {
	w.unsaved = true
	e := w.entries[key]
	if e == nil {
		return
	}
	delete(w.entries, key)
	w.octets -= e.size()
	c := w.calendars[e.at()]
	if delete(c.objects, key); len(c.objects) == 0 && !c.busy {
		delete(w.calendars, e.at())
	}
	w.metrics.watched.Set(float64(len(w.entries)))
}

// update changes an entry as it was looked at (seen) by do, unless a delivery changed the object meanwhile.
func (w *Watch) update(seen *watched, do func(*watched)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.current(seen) {
		return
	}
	changed := *w.entries[seen.key]
	changed.known = maps.Clone(changed.known)
	do(&changed)
	unsaved := w.unsaved || !maps.Equal(changed.known, w.entries[seen.key].known) || changed.path != seen.path
	w.put(&changed)
	w.unsaved = unsaved
}

// isCurrent says whether no delivery has changed the object since, or is about to.
func (w *Watch) isCurrent(seen *watched) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.current(seen)
}

func (w *Watch) current(seen *watched) bool {
	e := w.entries[seen.key]
	return e != nil && e.epoch == seen.epoch && w.held[seen.key] == 0
}
