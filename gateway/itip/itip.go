// Package itip inspects and judges iTIP messages (RFC 5545, RFC 5546) without building an object
// tree: one pass over the bytes, bounded in every dimension, extracts what scheduling needs. It also writes
// free/busy replies, edits objects by content line, and applies a message to a stored object.
// It never re-serialises what it did not write. It does no I/O.
package itip

import (
	"time"

	"github.com/calfed/calfed/gateway/cua"
)

// Limits bound the work on one message. Zero fields take the default in parentheses.
type Limits struct {
	MaxBytes      int // 1 MiB
	MaxLines      int // content lines, 50 000
	MaxLineBytes  int // one unfolded line outside inline attachments, 64 KiB
	MaxParamBytes int // one parameter value, 4 KiB
	MaxDepth      int // component nesting, 4
	MaxComponents int // 2 000
	MaxAttendees  int // distinct over all instances, 1 000
}

// Message is what inspection extracts from one iTIP message.
type Message struct {
	Method    string // upper-case
	Component string // "VEVENT", "VTODO", "VFREEBUSY", upper-case
	UID       string // unescaped
	ProdID    string
	Organizer cua.Address   // zero when absent
	Attendees []cua.Address // distinct over all instances, in order of appearance
	Instances []Instance

	Start, End time.Time // VFREEBUSY: the asked range in UTC; others: zero

	InlineAttachment, ExternalAttachment bool
	RScales                              []string // upper-case, distinct; without GREGORIAN default

	Earliest, Latest time.Time // over the scheduling properties of main components (IS-ITIP-3)
	Count            int       // instances by IS-ITIP-3; counting stops at the asked bound + 1
	Endless          bool      // an open-ended rule finer than daily

	Violations []Violation // RFC 5546 table violations that do not refuse by themselves (IS-ITIP-2)
}

// Instance is one main component.
type Instance struct {
	RecurrenceID string // raw value with its TZID resolved to UTC form where possible; "" = master
	Range        bool   // RANGE=THISANDFUTURE
	Sequence     int
	DTStamp      time.Time
	Status       string // STATUS, upper-case
	Start, End   time.Time
	AllDay       bool
	Transparent  bool
	Attendees    []Attendee
}

// Attendee is one ATTENDEE line.
type Attendee struct {
	Address  cua.Address
	PartStat string // upper-case, NEEDS-ACTION when absent
}

// Violation is one departure from the RFC 5546 tables.
type Violation struct {
	Property string // "DTSTAMP"
	Rule     string // "must appear once"
	Line     int    // 1-based physical line, 0 when unknown
}

// Kind says which protocol error a failure maps to.
type Kind int

const (
	KindSyntax     Kind = iota // not iCalendar: invalid-calendar-data
	KindScheduling             // iCalendar, but no proper iTIP: invalid-scheduling-message
	KindTooLarge               // a limit: max-content-length
)

// Error says what is wrong with a message, and where.
type Error struct {
	Kind   Kind
	Reason string // stable reason code, kebab-case
	Line   int    // 1-based physical line, 0 when unknown
	Detail string // no calendar content
}

func (e *Error) Error() string { panic("CONTRACT STUB") }

// Inspect reads one iTIP message. It enforces grammar, Limits, IS-ITIP-1 and the refusing part of IS-ITIP-2; the
// rest of the tables lands in Violations. maxInstances bounds the instance count (0 = 1 000 000). Errors are *Error.
func Inspect(body []byte, lim Limits, maxInstances int) (*Message, error) { panic("CONTRACT STUB") }

// OrganizerSends says whether method travels from ORGANIZER to ATTENDEEs (REQUEST, ADD, CANCEL,
// DECLINECOUNTER) and not the other way (REPLY, REFRESH, COUNTER). IS-RECV-4.
func OrganizerSends(method string) bool { panic("CONTRACT STUB") }

// CheckParties verifies originator and recipients against ORGANIZER and ATTENDEE for m's method:
// the D05 §6.1 tables. Errors: *PartyError. IS-RECV-4, IS-RECV-5.
func (m *Message) CheckParties(originator cua.Address, recipients []cua.Address) error {
	panic("CONTRACT STUB")
}

// PartyError says which party does not match.
type PartyError struct {
	Originator bool          // the Originator does not match (invalid-scheduling-message)
	Recipients []cua.Address // recipients that do not match; for VFREEBUSY any difference is recipient-mismatch
	Missing    []cua.Address // VFREEBUSY: ATTENDEEs that are no Recipient
}

func (e *PartyError) Error() string { panic("CONTRACT STUB") }

// Period is one FREEBUSY period in UTC.
type Period struct {
	Start, End time.Time
	Type       string // FBTYPE, upper-case: BUSY, BUSY-UNAVAILABLE, BUSY-TENTATIVE, FREE
}

// ParseFreeBusy reads the VFREEBUSY of a back end's or a peer's free/busy answer for attendee (zero = any).
// At most 10 000 periods.
func ParseFreeBusy(body []byte, attendee cua.Address) ([]Period, error) { panic("CONTRACT STUB") }

// FreeBusyReply describes the reply to build.
type FreeBusyReply struct {
	UID        string
	Organizer  cua.Address
	Attendee   cua.Address
	Start, End time.Time
	Stamp      time.Time
	Periods    []Period // clipped to the range, sorted and merged by type
}

// Build writes METHOD:REPLY with one VFREEBUSY, folded, CRLF. IS-BACK-5.
func (r *FreeBusyReply) Build() []byte { panic("CONTRACT STUB") }

// BusyOnly reduces periods to what IS-BACK-6's BusyOnly shows: FREE is dropped, every other FBTYPE becomes BUSY, merged.
func BusyOnly(p []Period) []Period { panic("CONTRACT STUB") }

// SelectAttendees returns body with only those ATTENDEE lines of the main components that keep accepts; all other
// bytes stay as they are. IS-SEND-3.
func SelectAttendees(body []byte, keep func(cua.Address) bool) ([]byte, error) {
	panic("CONTRACT STUB")
}

// Outcome is what applying a message to a stored object came to.
type Outcome int

const (
	Stored      Outcome = iota // the object changed
	Unchanged                  // older or equal: no change, 2.0 (IS-ITIP-5)
	Deleted                    // the whole object goes
	NoAuthority                // 3.8
	Unsupported                // 3.14: THISANDFUTURE, or a method this cannot apply
)

// Apply computes the stored object of the calendar user owner after message (whose inspection is m) arrives from originator.
// stored is the object with the same UID, nil when there is none. The result has no METHOD. Properties that
// belong to the user (VALARM, own PARTSTAT when the time did not change, X- properties of the stored
// object) are kept. IS-ITIP-4, IS-ITIP-5.
func Apply(stored, message []byte, m *Message, originator, owner cua.Address) ([]byte, Outcome, error) {
	panic("CONTRACT STUB")
}

// Fold writes one content line (without line end) folded at 75 octets, never inside a UTF-8 sequence, with CRLF.
// RFC 5545 §3.1.
func Fold(dst []byte, line string) []byte { panic("CONTRACT STUB") }
