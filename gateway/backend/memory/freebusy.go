package memory

import (
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
)

// freeBusy answers a question about one user. What cannot be read takes no time.
func (s *Store) freeBusy(question *itip.Message, user cua.Address) (ischedule.RequestStatus, []byte) {
	if question.Method != "REQUEST" {
		return ischedule.StatusUnsupported, nil
	}
	reply := itip.FreeBusyReply{
		UID: question.UID, Organizer: question.Organizer, Attendee: user,
		Start: question.Start, End: question.End, Stamp: s.now(),
	}
	for _, object := range s.calendars[user.Key()] {
		periods, _ := itip.Busy(object, user, nil, question.Start, question.End)
		reply.Periods = append(reply.Periods, periods...)
	}
	return ischedule.StatusDelivered, reply.Build()
}
