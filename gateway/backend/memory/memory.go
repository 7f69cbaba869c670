// Package memory is a calendar store in memory, for the demo and for tests: users of one domain, their
// objects by UID, free/busy computed from them. It applies messages with itip.Apply (IS-ITIP-5).
//
// It is no calendar server: nothing is stored on disk, there is one calendar a user, its floating times and dates are read in UTC, and an
// object that itip.Busy cannot read takes no time.
package memory

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
)

// Store is a calendar system for the users it was made with. Safe for concurrent use.
type Store struct {
	now func() time.Time

	mu         sync.Mutex
	calendars  map[string]map[string][]byte // object by user key and UID
	deliveries int
}

// New makes a Store. now is the clock for DTSTAMP; nil = time.Now.
func New(now func() time.Time, users ...cua.Address) *Store {
	if now == nil {
		now = time.Now
	}
	s := &Store{now: now, calendars: map[string]map[string][]byte{}}
	for _, u := range users {
		s.calendars[u.Key()] = map[string][]byte{}
	}
	return s
}

// Object returns the stored object of a user, nil when there is none.
func (s *Store) Object(user cua.Address, uid string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calendars[user.Key()][uid])
}

// Put stores an object in the user's calendar, as the user's own client would; nil removes it. An unknown user is
// made known.
func (s *Store) Put(user cua.Address, uid string, object []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calendars[user.Key()] == nil {
		s.calendars[user.Key()] = map[string][]byte{}
	}
	s.put(user, uid, slices.Clone(object))
}

func (s *Store) put(user cua.Address, uid string, object []byte) {
	if object == nil {
		delete(s.calendars[user.Key()], uid)
		return
	}
	s.calendars[user.Key()][strings.Clone(uid)] = object
}

// Deliveries counts the messages that changed something.
func (s *Store) Deliveries() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deliveries
}

// Deliver implements backend.Backend: 2.0, 3.7 for an unknown user, 3.8, 3.14.
func (s *Store) Deliver(ctx context.Context, d *backend.Delivery) ([]backend.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	results := make([]backend.Result, len(d.Recipients))
	changed := false
	for i, user := range d.Recipients {
		results[i] = backend.Result{Recipient: user}
		switch {
		case s.calendars[user.Key()] == nil:
			results[i].Status = ischedule.StatusUnknownUser
		case d.Message.Component == "VFREEBUSY":
			results[i].Status, results[i].CalendarData = s.freeBusy(d.Message, user)
		default:
			var did bool
			results[i], did = s.apply(d, user)
			changed = changed || did
		}
	}
	if changed {
		s.deliveries++
	}
	return results, nil
}

// apply stores what the message makes of one user's object, and says whether that changed anything.
func (s *Store) apply(d *backend.Delivery, user cua.Address) (backend.Result, bool) {
	uid, r := d.Message.UID, backend.Result{Recipient: user, Status: ischedule.StatusDelivered}
	stored := s.calendars[user.Key()][uid]
	object, outcome, err := itip.Apply(stored, d.Body, d.Message, d.Originator, user)
	if err == nil && outcome == itip.Answer {
		r.Respond, outcome, err = itip.Refreshed(stored, d.Originator)
	}
	if err != nil {
		r.Status = ischedule.StatusUnavailable
		return r, false
	}
	switch outcome {
	case itip.Stored:
		s.put(user, uid, object)
		return r, true
	case itip.Unchanged, itip.Answer:
	case itip.NoAuthority:
		r.Status = ischedule.StatusNoAuthority
	default:
		r.Status = ischedule.StatusUnsupported
	}
	return r, false
}

// Close implements backend.Backend.
func (s *Store) Close() {}
