package submission

import (
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
)

// davical is a submitter that signed by draft-01, or nil.
func (id identity) davical() *submitter {
	for i := range id {
		if id[i].signature != nil && id[i].signature.IsDraft01() {
			return &id[i]
		}
	}
	return nil
}

// forOrganizer makes the message's ORGANIZER the Originator, and returns the submitter that may send for it, or nil. DAViCal names
// who is logged in: the assistant who writes into a calendar, or this gateway when it does. It sends what organizers send only.
func (id identity) forOrganizer(req *ischedule.Request) *submitter {
	if m, err := itip.Inspect(req.Body, itip.Limits{}, 0); err == nil {
		req.Originator = m.Organizer
	}
	return id.actingFor(req.Originator.Domain())
}

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
