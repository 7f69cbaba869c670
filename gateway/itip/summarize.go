package itip

import "github.com/calfed/calfed/gateway/cua"

// Summary is one main component in what scheduling sees of it.
type Summary struct {
	RecurrenceID string // as Instance has it, "" = master
	Sequence     int
	PartStat     string   // of owner's own ATTENDEE line, upper-case, NEEDS-ACTION when it has none; "" when owner has no line
	Cancelled    bool     // STATUS
	Content      [32]byte // of what makes an update worth sending: all properties but DTSTAMP, SEQUENCE, CREATED, LAST-MODIFIED, X- ones and those only the user sees; order and folding do not count; of ATTENDEE and ORGANIZER the address and PARTSTAT
}

// Summarize reads an object or message with the eyes of owner. Errors are *Error.
func Summarize(body []byte, owner cua.Address) ([]Summary, error) { panic("not written yet") }
