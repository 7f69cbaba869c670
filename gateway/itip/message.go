package itip

import (
	"strconv"
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

func (l Limits) withDefaults() Limits {
	set := func(field *int, value int) {
		if *field <= 0 {
			*field = value
		}
	}
	set(&l.MaxBytes, 1<<20)
	set(&l.MaxLines, 50_000)
	set(&l.MaxLineBytes, 64<<10)
	set(&l.MaxParamBytes, 4<<10)
	set(&l.MaxDepth, 4)
	set(&l.MaxComponents, 2_000)
	set(&l.MaxAttendees, 1_000)
	return l
}

// sized are the limits for bytes that whoever got them has measured before: as many as there are, up to 64 MiB.
func sized(body []byte) Limits {
	return Limits{MaxBytes: min(len(body), 64<<20)}.withDefaults()
}

// Message is what inspection extracts from one iTIP message. Its strings share one copy of the unfolded message: clone what
// must outlive it.
type Message struct {
	Method    string // upper-case
	Component string // "VEVENT", "VTODO", "VFREEBUSY", upper-case; others are reported, and judged by nothing but IS-ITIP-1
	UID       string // unescaped
	ProdID    string
	Organizer cua.Address   // zero when absent
	Attendees []cua.Address // distinct over all instances, in order of appearance
	Instances []Instance

	Start, End time.Time // VFREEBUSY: the asked range in UTC; others: zero

	// ATTACH, and any property with VALUE=BINARY, by value type; a data: URI is inline.
	InlineAttachment, ExternalAttachment bool
	RScales                              []string // upper-case, distinct, as written in rules; no rule names GREGORIAN by default

	// Over the scheduling properties of main components (IS-ITIP-3). Dates and floating times read as UTC; a time in a zone
	// nobody knows counts with all it can be, ±14 h. Zero when there is none.
	Earliest, Latest time.Time

	// Instances by IS-ITIP-3: those of the master by RRULE and RDATE, or the overrides when they are more. EXDATE and EXRULE
	// subtract nothing, open-ended rules add nothing. Counting stops at the asked bound + 1; a rule whose counting would be
	// unbounded work is estimated upwards.
	Count   int
	Endless bool // an open-ended rule finer than daily

	Violations []Violation // departures that do not refuse by themselves (IS-ITIP-2), at most 100
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

// Violation is one departure from the RFC 5546 tables, or from RFC 5545 where we can live with it.
type Violation struct {
	Property string // "DTSTAMP"
	Rule     string // "must appear once"
	Line     int    // 1-based physical line, 0 when unknown
}

// Kind says which protocol error a failure maps to.
type Kind int

// The kinds of failure.
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

func (e *Error) Error() string {
	if e.Line == 0 {
		return "itip: " + e.Reason + ": " + e.Detail
	}
	return "itip: line " + strconv.Itoa(e.Line) + ": " + e.Reason + ": " + e.Detail
}

func syntax(reason string, line int, detail string) *Error {
	return &Error{Kind: KindSyntax, Reason: reason, Line: line, Detail: detail}
}

func scheduling(reason string, line int, detail string) *Error {
	return &Error{Kind: KindScheduling, Reason: reason, Line: line, Detail: detail}
}

func tooLarge(reason string, line int, detail string) *Error {
	return &Error{Kind: KindTooLarge, Reason: reason, Line: line, Detail: detail}
}
