package itip

import (
	"strings"

	"github.com/calfed/calfed/gateway/cua"
)

// belongings are what in a component is the user's and not the organizer's. IS-BACK-4.
type belongings struct {
	alarms []item
	transp *property
	xs     []*property // X- properties
	answer *property   // the user's ATTENDEE line
	size   int         // octets of all
}

func (a *applier) belongingsOf(n *node) belongings {
	b := belongings{answer: attendee(n, a.owner)}
	for _, it := range n.items {
		switch {
		case it.comp != nil && it.comp.name == "VALARM":
			b.alarms = append(b.alarms, it)
			b.size += it.comp.size()
		case it.line != nil && it.line.name == "TRANSP" && b.transp == nil:
			b.transp = it.line
		case it.line != nil && strings.HasPrefix(it.line.name, "X-"):
			b.xs = append(b.xs, it.line)
			b.size += len(it.line.raw)
		}
	}
	return b
}

// keep carries into n what belongs to the user: alarms, TRANSP, X- properties that the message does not name, and the own
// PARTSTAT when the answer still stands.
func (a *applier) keep(n *node, b belongings, stands bool) {
	if a.copied += b.size; a.copied > a.mayCopy {
		return // Apply refuses the result
	}
	n.remove(isComp("VALARM"))
	n.items = append(n.items, b.alarms...)
	if b.transp != nil {
		n.set(b.transp)
	}
	named := map[string]bool{}
	for _, it := range n.items {
		if it.line != nil {
			named[it.line.name] = true
		}
	}
	var xs []*property
	for _, p := range b.xs {
		if !named[p.name] {
			xs = append(xs, p)
		}
	}
	n.add(xs...)
	if stands {
		a.keepAnswer(n, b.answer)
	}
}

// keepAnswer sets the owner's PARTSTAT in n to what it was.
func (a *applier) keepAnswer(n *node, was *property) {
	mine := attendee(n, a.owner)
	if mine == nil || was == nil {
		return
	}
	if now, then := partStat(mine.partStat), partStat(was.partStat); then != "NEEDS-ACTION" && then != now && isToken(then) {
		n.replace(mine, mine.withParam("PARTSTAT", was.partStat))
	}
}

// attendee finds a calendar user's ATTENDEE line.
func attendee(n *node, who cua.Address) *property {
	for _, p := range n.lines("ATTENDEE") {
		if addr, err := cua.Parse(p.value); err == nil && same(addr, who) {
			return p
		}
	}
	return nil
}
