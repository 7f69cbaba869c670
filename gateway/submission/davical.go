package submission

import "github.com/calfed/calfed/gateway/ischedule"

// forDAViCal shapes an answer for the one system that signs by draft-01. What DAViCal is told it copies into the organizer's
// calendar: a status with its text would be no SCHEDULE-STATUS (RFC 6638 §7.3). And what stands first in calendar-data must
// sort before the digit 1, or it takes the data for a status (PHP 8's comparison); a line break does, and no reader of XML minds it.
func forDAViCal(response *ischedule.Response) {
	for i := range response.Results {
		r := &response.Results[i]
		r.Status.Text = ""
		if len(r.CalendarData) > 0 {
			r.CalendarData = append([]byte("\r\n"), r.CalendarData...)
		}
	}
}
