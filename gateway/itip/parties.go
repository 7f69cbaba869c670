package itip

import (
	"strconv"

	"github.com/calfed/calfed/gateway/cua"
)

// OrganizerSends says whether method travels from ORGANIZER to ATTENDEEs (REQUEST, ADD, CANCEL,
// DECLINECOUNTER) and not the other way (REPLY, REFRESH, COUNTER). IS-RECV-4.
func OrganizerSends(method string) bool {
	switch methodOf(method) {
	case mREQUEST, mADD, mCANCEL, mDECLINECOUNTER:
		return true
	}
	return false
}

// PartyError says which party does not match.
type PartyError struct {
	Originator bool          // the Originator does not match (invalid-scheduling-message)
	Recipients []cua.Address // recipients that do not match; for VFREEBUSY any difference is recipient-mismatch
	Missing    []cua.Address // VFREEBUSY: ATTENDEEs that are no Recipient
}

// Error names no address: it ends up in logs.
func (e *PartyError) Error() string {
	s := "itip: parties do not match the message:"
	if e.Originator {
		s += " originator"
	}
	if n := len(e.Recipients); n > 0 {
		s += " " + strconv.Itoa(n) + " recipients too many"
	}
	if n := len(e.Missing); n > 0 {
		s += " " + strconv.Itoa(n) + " attendees without recipient"
	}
	return s
}

// CheckParties verifies originator and recipients against ORGANIZER and ATTENDEE for m's method:
// the D05 §6.1 tables. SENT-BY is never looked at, so nobody can forward a REQUEST (note 1 there). Errors: *PartyError.
// IS-RECV-4, IS-RECV-5.
func (m *Message) CheckParties(originator cua.Address, recipients []cua.Address) error {
	var e PartyError
	if OrganizerSends(m.Method) {
		e.Originator = !same(originator, m.Organizer)
		e.Recipients = without(recipients, m.Attendees)
		if m.Component == "VFREEBUSY" {
			e.Missing = without(m.Attendees, recipients)
		}
	} else {
		e.Originator = originator.IsZero() || !contains(m.Attendees, originator)
		for _, r := range recipients {
			if !same(r, m.Organizer) {
				e.Recipients = append(e.Recipients, r)
			}
		}
	}
	if e.Originator || len(e.Recipients) > 0 || len(e.Missing) > 0 {
		return &e
	}
	return nil
}

func same(a, b cua.Address) bool { return !a.IsZero() && !b.IsZero() && a.Equal(b) }

// without lists those of all that are not in other.
func without(all, other []cua.Address) []cua.Address {
	var out []cua.Address
	if len(all)*len(other) <= fewAddresses*fewAddresses {
		for _, a := range all {
			if !contains(other, a) {
				out = append(out, a)
			}
		}
		return out
	}
	keys := make(map[string]struct{}, len(other))
	for _, o := range other {
		keys[o.Key()] = struct{}{}
	}
	for _, a := range all {
		if _, ok := keys[a.Key()]; !ok {
			out = append(out, a)
		}
	}
	return out
}
