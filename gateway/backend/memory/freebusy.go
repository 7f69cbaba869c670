package memory

import (
	"bytes"
	"strings"
	"time"

	"github.com/teambition/rrule-go"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
)

// maxSteps bounds the expansion of one recurring event.
const maxSteps = 10_000

// freeBusy answers a question about one user.
func (s *Store) freeBusy(question *itip.Message, user cua.Address) (ischedule.RequestStatus, []byte) {
	if question.Method != "REQUEST" {
		return ischedule.StatusUnsupported, nil
	}
	reply := itip.FreeBusyReply{
		UID: question.UID, Organizer: question.Organizer, Attendee: user,
		Start: question.Start, End: question.End, Stamp: s.now(),
	}
	for _, object := range s.calendars[user.Key()] {
		reply.Periods = append(reply.Periods, busy(object, user, question.Start, question.End)...)
	}
	return ischedule.StatusDelivered, reply.Build()
}

// busy are the periods of an object that overlap [from, to). What cannot be read takes no time.
func busy(object []byte, user cua.Address, from, to time.Time) []itip.Period {
	m, err := itip.Inspect(asMessage(object, user), itip.Limits{}, 0)
	if err != nil || m.Component != "VEVENT" {
		return nil
	}
	overridden := map[int64]bool{}
	for _, in := range m.Instances {
		if at, err := time.Parse(utcForm, in.RecurrenceID); err == nil {
			overridden[at.Unix()] = true
		}
	}
	for _, at := range datesUTC(object, "EXDATE") {
		overridden[at.Unix()] = true
	}
	var periods []itip.Period
	for _, in := range m.Instances {
		kind := busyType(&in, user)
		if kind == "" {
			continue
		}
		starts := []time.Time{in.Start}
		if in.RecurrenceID == "" {
			starts = expand(object, in.Start, to)
		}
		for _, at := range starts {
			end := at.Add(in.End.Sub(in.Start))
			if in.RecurrenceID == "" && overridden[at.Unix()] || !at.Before(to) || !end.After(from) {
				continue
			}
			periods = append(periods, itip.Period{Start: at, End: end, Type: kind})
		}
	}
	return periods
}

// busyType is the FBTYPE of an instance for the user, "" when it takes no time.
func busyType(in *itip.Instance, user cua.Address) string {
	if in.Transparent || in.Status == "CANCELLED" || in.Start.IsZero() {
		return ""
	}
	for _, a := range in.Attendees {
		switch {
		case !a.Address.Equal(user):
		case a.PartStat == "DECLINED":
			return ""
		case a.PartStat == "TENTATIVE":
			return "BUSY-TENTATIVE"
		}
	}
	if in.Status == "TENTATIVE" {
		return "BUSY-TENTATIVE"
	}
	return "BUSY"
}

const utcForm = "20060102T150405Z"

// expand lists the starts of a master up to an instant: DTSTART, RRULE, RDATEs in UTC.
func expand(object []byte, start, to time.Time) []time.Time {
	starts := append([]time.Time{start}, datesUTC(object, "RDATE")...)
	for _, value := range mainValues(object, "RRULE") {
		opt, err := rrule.StrToROption(value)
		if err != nil || opt.Interval < 0 || strings.Contains(strings.ToUpper(value), "INTERVAL=0") { // rrule-go loops on it
			continue
		}
		opt.Dtstart = start
		r, err := rrule.NewRRule(*opt)
		if err != nil {
			continue
		}
		next := r.Iterator()
		for range maxSteps {
			at, ok := next()
			if !ok || !at.Before(to) {
				break
			}
			if !at.Equal(start) {
				starts = append(starts, at)
			}
		}
	}
	return starts
}

// datesUTC are the UTC values of a date list property.
func datesUTC(object []byte, name string) []time.Time {
	var dates []time.Time
	for _, list := range mainValues(object, name) {
		for value := range strings.SplitSeq(list, ",") {
			if at, err := time.Parse(utcForm, value); err == nil {
				dates = append(dates, at)
			}
		}
	}
	return dates
}

// mainValues are the values of a property in the VEVENTs of an object (VTIMEZONE has RRULEs too).
func mainValues(object []byte, name string) []string {
	unfolded := strings.NewReplacer("\r\n ", "", "\r\n\t", "", "\n ", "", "\n\t", "").Replace(string(object))
	var values []string
	inEvent := false
	for line := range strings.Lines(unfolded) {
		line = strings.TrimRight(line, "\r\n")
		switch strings.ToUpper(line) {
		case "BEGIN:VEVENT":
			inEvent = true
		case "END:VEVENT":
			inEvent = false
		}
		head, value, ok := strings.Cut(line, ":")
		head, _, _ = strings.Cut(head, ";")
		if inEvent && ok && strings.EqualFold(head, name) {
			values = append(values, value)
		}
	}
	return values
}

// asMessage makes a stored object readable for itip.Inspect, which wants an iTIP message: METHOD, and parties where
// the user keeps an appointment alone.
func asMessage(object []byte, user cua.Address) []byte {
	before, rest, ok := bytes.Cut(object, []byte("BEGIN:VCALENDAR"))
	if !ok {
		return object
	}
	out := append(append(bytes.Clone(before), "BEGIN:VCALENDAR\r\nMETHOD:REQUEST"...), rest...)
	if len(mainValues(object, "ORGANIZER")) == 0 {
		alone := "ORGANIZER:" + user.URI() + "\r\nATTENDEE:" + user.URI() + "\r\nEND:VEVENT"
		out = bytes.ReplaceAll(out, []byte("END:VEVENT"), []byte(alone))
	}
	return out
}
