package itip

import (
	"bytes"
	"slices"

	"github.com/calfed/calfed/gateway/cua"
)

// Outcome is what applying a message to a stored object came to.
type Outcome int

// The outcomes.
const (
	Stored      Outcome = iota // the object changed; what was cancelled stays in it, so that late messages find it
	Unchanged                  // older or equal: no change, 2.0 (IS-ITIP-5)
	NoAuthority                // 3.8
	Unsupported                // 3.14: THISANDFUTURE, or a method this cannot apply
	Answer                     // nothing changes; the sender is owed what Refreshed makes of the stored object
)

// Apply computes the stored object of the calendar user owner after message (whose inspection is m) arrives from originator.
// stored is the object with the same UID, nil when there is none. The result has no METHOD. Properties that
// belong to the user (VALARM, own PARTSTAT when the time did not change, TRANSP, X- properties of the stored
// object) are kept. With any outcome but Stored the result is stored itself. IS-ITIP-4, IS-ITIP-5, IS-BACK-4.
//
//   - REQUEST: each component replaces the one with its RECURRENCE-ID, or is added. A new master keeps the overrides that are
//     still among its instances.
//   - ADD: the component becomes an instance of the stored object, by RDATE and an override.
//   - CANCEL of everything sets STATUS:CANCELLED and keeps the object: an older REQUEST that comes late must not revive it.
//     CANCEL of an instance makes an EXDATE of it.
//   - REPLY changes PARTSTAT of the Originator's own ATTENDEE, in an override made for it when it answers for one instance.
//   - COUNTER is for the organizer to decide: a COMMENT says what is proposed, and an attendee who had not answered is TENTATIVE.
//     DECLINECOUNTER becomes a COMMENT in the attendee's object. Nothing else changes.
//   - REFRESH changes nothing; the outcome is Answer.
//
// The error is about bytes that cannot be read, or a result beyond 64 MiB or the other defaults of Limits.
func Apply(stored, message []byte, m *Message, originator, owner cua.Address) ([]byte, Outcome, error) {
	if out := permitted(m, originator); out != Stored {
		return stored, out, nil
	}
	a := applier{m: m, originator: originator, owner: owner, mayCopy: maxCopied + len(stored)}
	if err := a.msg.read(message); err != nil {
		return stored, Unsupported, err
	}
	for i := range a.msg.insts {
		a.msg.insts[i].node.dropScheduling()
	}
	if stored == nil {
		return a.first()
	}
	if err := a.old.read(stored); err != nil {
		return stored, Unsupported, err
	}
	if out := a.matches(); out != Stored {
		return stored, out, nil
	}
	out := a.apply()
	if a.copied > a.mayCopy {
		return stored, Unsupported, tooLarge("message-bytes", 0, "the stored object would be too large")
	}
	if out != Stored {
		return stored, out, nil
	}
	a.known.flush()
	a.old.root.remove(isLine("METHOD"))
	result := a.old.root.render(make([]byte, 0, len(stored)+len(message)))
	if bytes.Equal(result, stored) {
		return stored, Unchanged, nil
	}
	var check object // what we store must be readable by the next message
	if err := check.read(result); err != nil {
		return stored, Unsupported, err
	}
	return result, Stored, nil
}

// maxCopied bounds what applying one message may copy beyond the stored object's size: many small components make many copies of what
// the user keeps in a large one.
const maxCopied = 1 << 20

// permitted judges the message alone.
func permitted(m *Message, originator cua.Address) Outcome {
	if m.Component != "VEVENT" && m.Component != "VTODO" {
		return Unsupported
	}
	switch methodOf(m.Method) {
	case mREQUEST, mADD, mCANCEL, mDECLINECOUNTER:
		if !same(originator, m.Organizer) {
			return NoAuthority
		}
	case mREFRESH, mCOUNTER:
		if originator.IsZero() || !contains(m.Attendees, originator) {
			return NoAuthority
		}
	case mREPLY:
		if len(m.Attendees) != 1 || !same(originator, m.Attendees[0]) {
			return NoAuthority
		}
	default:
		return Unsupported
	}
	if repeats(m.Instances) || slices.ContainsFunc(m.Instances, func(c Instance) bool { return c.Range }) {
		return Unsupported
	}
	return Stored
}

// repeats says whether two components are for one instance: which one would count?
func repeats(list []Instance) bool {
	seen := make(map[string]bool, len(list))
	for i := range list {
		if seen[list[i].RecurrenceID] {
			return true
		}
		seen[list[i].RecurrenceID] = true
	}
	return false
}

// object is a calendar object as lines and as what they mean.
type object struct {
	root  *node
	in    inspector
	insts []instance
}

// instance is one main component of an object.
type instance struct {
	*Instance
	in    *inspector // whose zones the draft's times are in
	draft *draft
	node  *node
}

func (o *object) read(body []byte) error {
	root, err := parseObject(body)
	if err != nil {
		return err
	}
	o.root = root
	o.in = inspector{stored: true}
	if err := o.in.run(body, sized(body)); err != nil {
		return err
	}
	for i, c := range root.comps(o.in.msg.Component) {
		o.insts = append(o.insts, instance{&o.in.msg.Instances[i], &o.in, &o.in.drafts[i], c})
	}
	return nil
}

// find returns the component with a recurrence id, "" for the master.
func (o *object) find(id string) *instance {
	for i := range o.insts {
		if o.insts[i].RecurrenceID == id {
			return &o.insts[i]
		}
	}
	return nil
}

// applier is one application under way: msg is applied to old.
type applier struct {
	m                 *Message
	originator, owner cua.Address
	old, msg          object
	known             *series         // of the master in old
	newMaster         bool            // a REQUEST brings one
	brought           map[string]bool // TZIDs that the message defines anew

	copied  int            // octets of the stored object that were copied into further components,
	mayCopy int            // and how many may be
	gone    map[*node]bool // overrides that were cancelled
	latest  *instance      // the last cancellation of an instance
}

// series is that of the stored master, nil when there is none.
func (a *applier) series() *series {
	if a.known == nil {
		if master := a.old.find(""); master != nil {
			copied := *master // the list it is in may move
			a.known = seriesOf(&copied)
			a.known.own = a.belongingsOf(master.node)
		}
	}
	return a.known
}

// first stores a message about something unknown.
func (a *applier) first() ([]byte, Outcome, error) {
	switch methodOf(a.m.Method) {
	case mREQUEST:
		a.msg.root.remove(isLine("METHOD"))
		return a.msg.root.render(nil), Stored, nil
	case mREPLY, mREFRESH, mCOUNTER:
		return nil, NoAuthority, nil
	case mADD:
		return nil, Unsupported, nil
	}
	return nil, Unchanged, nil
}

// matches judges whether the message is about the stored object, and its sender may change it. IS-ITIP-5.
func (a *applier) matches() Outcome {
	old := a.old.in.msg
	switch {
	case old.UID != a.m.UID || old.Component != a.m.Component:
		return Unsupported
	case !same(old.Organizer, a.m.Organizer):
		return NoAuthority
	case !OrganizerSends(a.m.Method) && !same(a.owner, old.Organizer):
		return NoAuthority // an attendee's copy says nothing of who may answer
	case OrganizerSends(a.m.Method) && same(a.owner, old.Organizer):
		return Unchanged // the organizer's own copy is where the message comes from
	}
	return Stored
}

func (a *applier) apply() Outcome {
	if c := a.msg.find(""); c != nil && methodOf(a.m.Method) == mREQUEST {
		a.newMaster = a.takes(c)
	}
	a.shareZones()
	if repeats(a.msg.in.msg.Instances) {
		return Unsupported
	}
	switch methodOf(a.m.Method) {
	case mREQUEST:
		return a.request()
	case mADD:
		return a.addInstance()
	case mCANCEL:
		return a.cancel()
	case mREFRESH:
		return a.refresh()
	case mCOUNTER:
		return a.counter()
	case mDECLINECOUNTER:
		return a.declineCounter()
	}
	return a.reply()
}

// older says whether a message's component is behind a stored one: by SEQUENCE, then by DTSTAMP (RFC 5546 §2.1.5).
func older(msg, old *Instance) bool {
	if msg.Sequence != old.Sequence {
		return msg.Sequence < old.Sequence
	}
	return msg.DTStamp.Before(old.DTStamp)
}
