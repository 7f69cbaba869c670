package itip

import (
	"strings"

	"github.com/calfed/calfed/gateway/cua"
)

// Refreshed is the message that answers a REFRESH of attendee (RFC 5546 §3.2.6): the organizer's stored object with METHOD:REQUEST, without
// what is the organizer's own (VALARM, X- properties and components, SCHEDULE- parameters, the proposals of other attendees).
// Components that are cancelled or do not have attendee are left out, and excluded from the series. When the whole is cancelled, that
// is the answer: METHOD:CANCEL.
//
// The outcome is Answer; NoAuthority: attendee is none of the object's; Unsupported: neither VEVENT nor VTODO. The error is about
// bytes that cannot be read.
func Refreshed(stored []byte, attendee cua.Address) ([]byte, Outcome, error) {
	var o object
	if err := o.read(stored); err != nil {
		return nil, Unsupported, err
	}
	if o.in.msg.Component != "VEVENT" && o.in.msg.Component != "VTODO" {
		return nil, Unsupported, nil
	}
	method := "REQUEST"
	if !o.leaveOut(func(c *instance) bool { return c.Status == "CANCELLED" || !invites(c, attendee) }) {
		method = "CANCEL"
		if !o.leaveOut(func(c *instance) bool { return !invites(c, attendee) }) {
			return nil, NoAuthority, nil
		}
	}
	o.root.remove(func(it item) bool { return isPrivate(it) || it.line != nil && it.line.name == "METHOD" })
	o.root.add(newProperty("METHOD:" + method))
	for i := range o.insts {
		publish(o.insts[i].node)
	}
	return o.root.render(nil), Answer, nil
}

func invites(c *instance, who cua.Address) bool {
	for i := range c.Attendees {
		if same(c.Attendees[i].Address, who) {
			return true
		}
	}
	return false
}

// leaveOut drops the components that match and makes EXDATEs of them where their series stays. It reports false, and drops nothing, when
// nothing would stay.
func (o *object) leaveOut(match func(*instance) bool) bool {
	gone := map[*node]bool{}
	var s *series
	for i := range o.insts {
		if c := &o.insts[i]; match(c) {
			gone[c.node] = true
		} else if c.RecurrenceID == "" {
			s = seriesOf(c)
		}
	}
	if len(gone) == len(o.insts) {
		return false
	}
	for i := range o.insts {
		if c := &o.insts[i]; s != nil && gone[c.node] && c.RecurrenceID != "" {
			s.exclude(c.in, c.draft.recur)
		}
	}
	s.flush()
	o.drop(gone)
	return true
}

// publish takes out of a component what others have no business with.
func publish(n *node) {
	n.remove(func(it item) bool { return isPrivate(it) || it.line != nil && it.line.isNote() })
	n.dropScheduling()
}

// dropScheduling takes out of ORGANIZER and ATTENDEEs what one calendar service says to itself: in a message, SCHEDULE-AGENT or
// SCHEDULE-FORCE-SEND would rule the server that stores it (RFC 6638 §7).
func (c *node) dropScheduling() {
	for i, it := range c.items {
		if it.line != nil && (it.line.name == "ORGANIZER" || it.line.name == "ATTENDEE") {
			c.items[i].line = it.line.withoutParams(func(name string) bool {
				return strings.HasPrefix(name, "SCHEDULE-") || name == replyStamp
			})
		}
	}
}

func isPrivate(it item) bool {
	if it.comp != nil {
		return it.comp.name == "VALARM" || strings.HasPrefix(it.comp.name, "X-")
	}
	return strings.HasPrefix(it.line.name, "X-")
}
