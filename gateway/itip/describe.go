package itip

import (
	"time"

	"github.com/calfed/calfed/gateway/cua"
)

// Description is what a person wants to know of a message. Text is unescaped, without control characters, and cut at a
// bounded length.
type Description struct {
	Method, Component    string
	Summary, Location    string
	Text                 string // DESCRIPTION
	Comments             []string
	URL, Conference      string // CONFERENCE of RFC 7986
	Organizer            Person
	Attendees            []Person // distinct, at most 100
	MoreAttendees        int
	Cancelled            bool // STATUS
	Instances            []Occasion
	More                 int    // instances left out: at most 20 are described
	Rule                 string // RRULE of the master in English where it can be said so ("every week on Monday, 10 times"), else as written
	Excluded, Additional []time.Time
}

// Person is an ORGANIZER or ATTENDEE.
type Person struct {
	Address  cua.Address
	Name     string // CN
	PartStat string // upper-case, "" = NEEDS-ACTION
	Role     string
}

// Occasion is one main component: the master or an override.
type Occasion struct {
	Recurrence string    // "" = master; when the instance originally was, as Start is written
	Start, End time.Time // in the event's own zone, resolved by the message's VTIMEZONE first (IS-ITIP-1); zero when absent
	AllDay     bool      // Start and End are dates, End exclusive
	Floating   bool      // a local time without a zone
	Zone       string    // TZID as written, "" = UTC or none
	Due        bool      // a VTODO: End is DUE
}

// Describe reads a message (or stored object) for people. Errors are *Error. Bounded work, as Inspect's.
func Describe(body []byte) (*Description, error) { panic("not written yet") }
