package itip

import "github.com/calfed/calfed/gateway/cua"

// Refreshed is the REQUEST that answers a REFRESH of attendee: the organizer's stored object with METHOD, without what is the
// organizer's own (VALARM, private X- properties, SCHEDULE- parameters). NoAuthority: attendee is none of the object's. RFC 5546
// §3.2.6. The error is about bytes that cannot be read.
func Refreshed(stored []byte, attendee cua.Address) ([]byte, Outcome, error) {
	panic("not written yet")
}
