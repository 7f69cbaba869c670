package itip

import "strings"

// counter applies a COUNTER to the organizer's copy (RFC 5546 §3.2.7, §3.4.7). All of it applies, or nothing.
func (a *applier) counter() Outcome {
	changed := false
	for i := range a.msg.insts {
		c := &a.msg.insts[i]
		to := a.concerned(c)
		if to == nil {
			return NoAuthority
		}
		line := attendee(to.node, a.originator)
		if line == nil {
			return NoAuthority
		}
		if outdated(c, to) || !a.note(to, c, a.proposal(line, to, c)) {
			continue
		}
		changed = true
		// Who proposes another time for one instance has not answered for the series.
		if to.RecurrenceID == c.RecurrenceID && partStat(line.partStat) == "NEEDS-ACTION" {
			to.node.replace(line, line.withParam("PARTSTAT", "TENTATIVE"))
		}
	}
	if !changed {
		return Unchanged
	}
	return Stored
}

// declineCounter applies a DECLINECOUNTER to the attendee's copy (RFC 5546 §3.2.8, §3.4.8).
func (a *applier) declineCounter() Outcome {
	changed := false
	for i := range a.msg.insts {
		c := &a.msg.insts[i]
		to := a.concerned(c)
		if to == nil || outdated(c, to) {
			continue
		}
		text := introduced(to.node.first("ORGANIZER")) + " declines the proposal" + ofInstance(to, c) + said(c.node)
		changed = a.note(to, c, text) || changed
	}
	if !changed {
		return Unchanged
	}
	return Stored
}

// refresh judges a REFRESH (RFC 5546 §3.2.6, §3.4.6).
func (a *applier) refresh() Outcome {
	if !contains(a.old.in.msg.Attendees, a.originator) {
		return NoAuthority
	}
	return Answer
}

// concerned is the component that holds what a component of the message is about: for an instance without an override that is
// the master. nil when there is no such instance.
func (a *applier) concerned(c *instance) *instance {
	to := a.old.find(c.RecurrenceID)
	if s := a.series(); to == nil && s != nil && s.has(c.in, c.draft.recur) {
		to = a.old.find("")
	}
	return to
}

// outdated says whether a proposal, or its refusal, is about an earlier revision. A DECLINECOUNTER may leave SEQUENCE out.
func outdated(c, to *instance) bool {
	return c.Sequence < to.Sequence && c.node.first("SEQUENCE") != nil
}

// noteParam marks the COMMENTs in which we tell a person what somebody proposes or declines: the DTSTAMP of the message, the
// instance, and whose message it was, with blanks between them.
const noteParam = "X-CALFED-NOTE"

// maxNotes is how many such COMMENTs of one calendar user a component holds; the oldest makes room.
const maxNotes = 5

func (p *property) isNote() bool { return p.name == "COMMENT" && p.param(noteParam) != "" }

// note writes a COMMENT about an instance into a component, in place of an earlier one from the same user about the same instance. It
// reports false when what is there is as new.
func (a *applier) note(to, c *instance, text string) bool {
	at := utc(c.DTStamp)
	from := plain(strings.ReplaceAll(a.originator.Key(), `"`, "'"))
	line := newProperty("COMMENT;" + noteParam + `="` + at + " " + c.RecurrenceID + " " + from + `":` + escapeText(text))
	var oldest *property
	n := 0
	for _, p := range to.node.lines("COMMENT") {
		when, rest, _ := strings.Cut(p.param(noteParam), " ")
		instance, who, _ := strings.Cut(rest, " ")
		if who != from {
			continue
		}
		if instance == c.RecurrenceID {
			if at <= when { // the order of text is that of time
				return false
			}
			to.node.replace(p, line)
			return true
		}
		if n++; oldest == nil || when < stampOf(oldest) {
			oldest = p
		}
	}
	switch {
	case n < maxNotes:
		to.node.add(line)
	case at <= stampOf(oldest):
		return false
	default:
		to.node.replace(oldest, line)
	}
	return true
}

func stampOf(note *property) string {
	at, _, _ := strings.Cut(note.param(noteParam), " ")
	return at
}
