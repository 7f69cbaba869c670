package receiver

import (
	"context"
	"crypto/sha256"
	"net/http"
	"time"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Free/busy privacy, IS-BACK-6. One Originator may ask about one user as often as a person who plans a meeting does,
// and not as often as one who watches.
const (
	maxFreeBusyRange  = 62 * 24 * time.Hour
	freeBusyPerSecond = 1.0 / 3
	freeBusyBurst     = 20
)

// asksFreeBusy says whether m is a question that is answered at once (D05 §6).
func (m *Message) asksFreeBusy() bool {
	return m.ITIP.Component == "VFREEBUSY" && m.ITIP.Method == "REQUEST"
}

// freeBusy applies the privacy rules to a free/busy question. A range that is too long is the fault of the message, so it fails
// as a whole; the rate falls per recipient. Deny is the policy step's: package policy knows it.
func (r *Receiver) freeBusy(_ context.Context, m *Message) *ischedule.Error {
	if !m.asksFreeBusy() {
		return nil
	}
	if asked := m.ITIP.End.Sub(m.ITIP.Start); asked <= 0 || asked > maxFreeBusyRange {
		return invalidMessage(http.StatusForbidden, "freebusy-range", "A free/busy question may cover at most 62 days.")
	}
	now := r.cfg.Now()
	for _, rc := range m.open() {
		pair := sha256.Sum256([]byte(m.Request.Originator.Key() + "\n" + rc.address.Key()))
		wait, ok := r.cfg.Shared.budgets.byQuestion.takeBurst(now, pair, freeBusyPerSecond, freeBusyBurst)
		if !ok {
			rc.settle(ischedule.StatusUnavailable, "too many free/busy questions",
				tooMany("freebusy-rate", "Too many free/busy questions.", wait))
		}
	}
	return nil
}

// freeBusy is how much of the recipient's time the peer may see.
func (rc *recipient) freeBusy() snapshot.FreeBusy {
	if p := rc.route.decision.Policy; p != nil && p.Inbound.FreeBusy != "" {
		return p.Inbound.FreeBusy
	}
	return snapshot.FreeBusyBusyOnly
}

// freeBusyAnswer writes the answer anew out of the periods that the back end named: nothing else that it wrote
// leaves (IS-BACK-5, IS-BACK-6).
func freeBusyAnswer(m *Message, rc *recipient, data []byte, stamp time.Time) ([]byte, error) {
	periods, err := itip.ParseFreeBusy(data, rc.address)
	if err != nil {
		return nil, err
	}
	if rc.freeBusy() != snapshot.FreeBusyFull {
		periods = itip.BusyOnly(periods)
	}
	reply := itip.FreeBusyReply{
		UID: m.ITIP.UID, Organizer: m.ITIP.Organizer, Attendee: asAttendee(m.ITIP, rc.address),
		Start: m.ITIP.Start, End: m.ITIP.End, Stamp: stamp, Periods: periods,
	}
	return reply.Build(), nil
}

// asAttendee is the address as the calendar object spells it.
func asAttendee(msg *itip.Message, address cua.Address) cua.Address {
	for _, a := range msg.Attendees {
		if a.Equal(address) {
			return a
		}
	}
	return address
}

// partOf is the question with only these recipients' ATTENDEEs: what a back end gets that is not asked about all of
// them (IS-SEND-3, IS-RECV-11).
func (r *Receiver) partOf(m *Message, d *backend.Delivery) error {
	if len(d.Recipients) == len(m.ITIP.Attendees) {
		return nil
	}
	keep := map[string]bool{}
	for _, a := range d.Recipients {
		keep[a.Key()] = true
	}
	body, err := itip.SelectAttendees(d.Body, func(a cua.Address) bool { return keep[a.Key()] })
	if err != nil {
		return err
	}
	d.Body = body
	d.Message, err = itip.Inspect(body, itip.Limits{}, 0)
	return err
}
