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
