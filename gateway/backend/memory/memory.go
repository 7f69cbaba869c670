// Package memory is a calendar store in memory, for the demo and for tests: users of one domain, their
// objects by UID, free/busy computed from them. It applies messages with itip.Apply.
package memory

import (
	"context"
	"time"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/cua"
)

// Store is a calendar system for the users it was made with. Safe for concurrent use.
type Store struct{}

// New makes a Store. now is the clock for DTSTAMP; nil = time.Now.
func New(now func() time.Time, users ...cua.Address) *Store { panic("CONTRACT STUB") }

// Object returns the stored object of a user, nil when there is none.
func (s *Store) Object(user cua.Address, uid string) []byte { panic("CONTRACT STUB") }

// Put stores an object in the user's calendar, as the user's own client would.
func (s *Store) Put(user cua.Address, uid string, object []byte) { panic("CONTRACT STUB") }

// Deliveries counts the messages that changed something.
func (s *Store) Deliveries() int { panic("CONTRACT STUB") }

// Deliver implements backend.Backend: 2.0, 3.7 for an unknown user, 3.8, 3.14.
func (s *Store) Deliver(ctx context.Context, d *backend.Delivery) ([]backend.Result, error) {
	panic("CONTRACT STUB")
}

// Close implements backend.Backend.
func (s *Store) Close() {}
