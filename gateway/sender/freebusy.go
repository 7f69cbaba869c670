package sender

import (
	"errors"
	"fmt"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
)

// maxCalendarData bounds one free/busy answer.
const maxCalendarData = 1 << 20

// freeBusyAnswer checks what a peer returned for one asked user and returns it without control characters, with CRLF
// line ends (XML has only LF). IS-SEND-5.
func freeBusyAnswer(data []byte, asked cua.Address) ([]byte, error) {
	if len(data) == 0 {
		return nil, errors.New("it holds no calendar data")
	}
	if len(data) > maxCalendarData {
		return nil, errors.New("it is too large")
	}
	data = crlf(withoutControls(data))
	answer, err := itip.Inspect(data, itip.Limits{MaxBytes: 2 * maxCalendarData}, 0)
	if err != nil {
		return nil, fmt.Errorf("it is no iTIP message (%w)", err)
	}
	switch {
	case answer.Method != "REPLY" || answer.Component != "VFREEBUSY":
		return nil, errors.New("it is no REPLY with a VFREEBUSY")
	case len(answer.Attendees) != 1 || !answer.Attendees[0].Equal(asked):
		return nil, errors.New("its ATTENDEE is not the user asked about")
	}
	return data, nil
}
