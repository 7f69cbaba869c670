// Package backend is the border to calendar systems: one interface that every kind of back end implements.
// All deliveries to local users go through it.
package backend

import (
	"context"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
)

// Delivery is one verified message for local users of one back end.
type Delivery struct {
	MessageID   string
	Originator  cua.Address
	SignedBy    string        // d= of an iSchedule signature that proves the Originator; "" = it was proven in another way
	Recipients  []cua.Address // all served by this back end
	ContentType string
	Body        []byte        // as it came (IS-RECV-11), or with fewer ATTENDEEs when a VFREEBUSY was split
	Message     *itip.Message // inspection of Body
}

// Result is the outcome for one recipient. Free/busy answers come back in CalendarData (METHOD:REPLY).
type Result struct {
	Recipient    cua.Address
	Status       ischedule.RequestStatus
	CalendarData []byte
	Description  string
	// Respond is an iTIP message that the recipient's calendar owes the Originator at once: the REQUEST that answers a
	// REFRESH (RFC 5546 §3.2.6). Whoever called Deliver sends it before it answers, and answers 5.1 when it cannot.
	Respond []byte
}

// Backend delivers to one calendar system. Deliver returns one Result per recipient, in order, or an
// error that concerns them all: wrap ErrUnavailable when it may go away.
type Backend interface {
	Deliver(ctx context.Context, d *Delivery) ([]Result, error)
	// Close frees what the back end holds; no Deliver runs any more.
	Close()
}

type unavailable struct{}

func (unavailable) Error() string { return "calendar back end unavailable" }

// ErrUnavailable marks transient failures: the sender may try again (503 or 5.1).
var ErrUnavailable error = unavailable{}

// Check is one step of a back end's test of itself.
type Check struct {
	Name     string // what was tried, for people: "find the user"
	Expected string
	Seen     string // never a credential
	Cause    string // likely, with what to do; "" when OK
	OK       bool
	Skipped  bool // does not apply to this back end, or needs a step that failed
}

// Tester is a Backend that can try itself with a user's calendar: find the user, write, read and remove an event of its
// own, ask free/busy. It leaves nothing behind. Steps come in order; it ends at the first that makes the others pointless.
type Tester interface {
	Test(ctx context.Context, user cua.Address) []Check
}

// Reacher is a Backend that can say whether its calendar system is there and takes its credentials. It needs no user and writes
// nothing.
type Reacher interface {
	Reach(ctx context.Context) Check
}

// Echoes is told what a back end is about to write, so that what the calendar server sends out because of it is known for an
// echo (IS-SUB-3). echo.Memory implements it. Call it before the write leaves: servers send while they store. Who makes the
// object of a message notes both.
type Echoes interface {
	Wrote(owner cua.Address, object []byte)
}
