package itip

// replyStamp is the parameter in which an organizer's copy remembers when an attendee answered, so that answers that arrive in
// the wrong order end in the last one (RFC 5546 §2.1.5).
const replyStamp = "X-CALFED-REPLY"

// reply applies a REPLY to the organizer's copy (RFC 5546 §3.2.3, §3.4.3): nothing but the PARTSTAT of the Originator's own
// ATTENDEE. All of it applies, or nothing.
func (a *applier) reply() Outcome {
	changed := false
	for i := range a.msg.insts {
		c := &a.msg.insts[i]
		if len(c.Attendees) != 1 || !isToken(c.Attendees[0].PartStat) {
			return Unsupported
		}
		to := a.old.find(c.RecurrenceID)
		made := false
		if to == nil {
			if to = a.override(c); to == nil {
				return NoAuthority
			}
			made = true
		}
		line := attendee(to.node, a.originator)
		if line == nil {
			return NoAuthority
		}
		at := utc(c.DTStamp)
		if c.Sequence < to.Sequence || at < line.param(replyStamp) { // both in the same form: the order of text is that of time
			continue
		}
		to.node.replace(line, line.withParam("PARTSTAT", c.Attendees[0].PartStat).withParam(replyStamp, at))
		if made {
			a.insert(to.node)
			a.old.insts = append(a.old.insts, *to)
		}
		changed = true
	}
	if !changed {
		return Unchanged
	}
	return Stored
}

func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isNameByte(s[i]) {
			return false
		}
	}
	return s != ""
}

// override makes the component of one instance out of the master, nil when there is no such instance.
func (a *applier) override(c *instance) *instance {
	s := a.series()
	if s == nil || c.RecurrenceID == "" || !s.has(c.in, c.draft.recur) {
		return nil
	}
	master := s.master
	value, ok := s.value(c.in, c.draft.recur)
	if !ok {
		return nil
	}
	if a.copied += s.size; a.copied > a.mayCopy {
		return nil // Apply refuses the result
	}
	local, _ := s.local(c.in, c.draft.recur)
	n := master.node.clone()
	n.remove(isLine("RRULE", "RDATE", "EXDATE", "EXRULE"))
	n.remove(func(it item) bool { return it.line != nil && it.line.isNote() })
	for _, name := range [...]string{"DTEND", "DUE"} {
		if p := n.first(name); p != nil {
			m, ok := parseMoment(p.value)
			if !ok {
				return nil
			}
			n.set(newProperty(p.text[:len(p.text)-len(p.value)] + shifted(m, local-master.draft.start.sec)))
		}
	}
	n.set(newProperty("DTSTART" + value))
	n.add(newProperty("RECURRENCE-ID" + value))
	inst, d := *master.Instance, *master.draft
	inst.RecurrenceID, d.recur = c.RecurrenceID, c.draft.recur
	return &instance{&inst, master.in, &d, n}
}

// shifted is a date or time moved on its own clock, in its own form.
func shifted(m moment, by int64) string {
	switch m.form {
	case formDate:
		return format(m.sec+by, layoutDate)
	case formUTC:
		return format(m.sec+by, layoutUTC)
	}
	return format(m.sec+by, layoutLocal)
}
