package itip

import (
	"time"

	"github.com/calfed/calfed/gateway/cua"
)

// Busy computes when owner is busy between start and end by one stored calendar object: RRULE, RDATE, EXDATE, overrides, durations and
// time zones honoured; TRANSP:TRANSPARENT, STATUS:CANCELLED, and instances that owner has declined are free, STATUS:TENTATIVE and PARTSTAT
// TENTATIVE or NEEDS-ACTION are BUSY-TENTATIVE. Floating times and dates are in zone (nil = UTC). At most 10 000 periods, sorted.
// IS-BACK-5. Errors are *Error.
func Busy(object []byte, owner cua.Address, zone *time.Location, start, end time.Time) ([]Period, error) {
	panic("not written yet")
}
