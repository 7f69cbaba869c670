package itip

import "github.com/calfed/calfed/gateway/cua"

// SelectAttendees returns body with only those ATTENDEE lines of the main components that keep accepts; all other
// bytes stay as they are. keep is asked with the zero Address about a line whose address cannot be read. When every line
// stays, the result is body itself. body may be as long as 64 MiB. Errors are *Error. IS-SEND-3.
func SelectAttendees(body []byte, keep func(cua.Address) bool) ([]byte, error) {
	return editMain(body, func(l *contentLine) ([]byte, bool) {
		if l.name != "ATTENDEE" {
			return nil, false
		}
		addr, _ := cua.Parse(l.value)
		return nil, !keep(addr)
	})
}
