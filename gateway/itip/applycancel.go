package itip

import "strconv"

// cancel applies a CANCEL (RFC 5546 §3.2.5, §3.4.5).
func (a *applier) cancel() Outcome {
	changed := false
	for i := range a.msg.insts {
		c := &a.msg.insts[i]
		if c.RecurrenceID == "" {
			changed = a.cancelAll(c) || changed
		} else {
			changed = a.cancelOne(c) || changed
		}
	}
	if !changed {
		return Unchanged
	}
	if a.latest != nil {
		stamp(a.series().master, a.latest)
	}
	a.old.drop(a.gone)
	return Stored
}

// cancelAll marks the whole object, unless the stored one is newer.
func (a *applier) cancelAll(c *instance) bool {
	master := a.old.find("")
	if master != nil && overtaken(c, master) {
		return false
	}
	changed := false
	for i := range a.old.insts {
		if old := &a.old.insts[i]; master != nil || !overtaken(c, old) {
			markCancelled(old, c)
			changed = true
		}
	}
	return changed
}

// overtaken says whether a cancellation of everything is behind a stored component. A lower SEQUENCE alone does not tell: Cyrus
// cancels with the SEQUENCE that it has stored, one less than the one it invited with.
func overtaken(c, old *instance) bool {
	return older(c.Instance, old.Instance) && !c.DTStamp.After(old.DTStamp)
}

// markCancelled keeps the component with the SEQUENCE and DTSTAMP of its cancellation, by which later messages are judged.
func markCancelled(old, c *instance) {
	old.node.set(newProperty("STATUS:CANCELLED"))
	if c.Sequence > old.Sequence {
		old.Sequence = c.Sequence
		old.node.set(newProperty("SEQUENCE:" + strconv.Itoa(c.Sequence)))
	}
	stamp(old, c)
}

// stamp moves the stored DTSTAMP up to that of the message.
func stamp(old, c *instance) {
	if c.DTStamp.After(old.DTStamp) {
		old.DTStamp = c.DTStamp
		old.node.set(newProperty("DTSTAMP:" + utc(c.DTStamp)))
	}
}

// cancelOne takes one instance out of the series: an EXDATE in place of its override. Without a master the override stays,
// marked.
func (a *applier) cancelOne(c *instance) bool {
	old, master := a.old.find(c.RecurrenceID), a.old.find("")
	if old != nil && older(c.Instance, old.Instance) {
		return false
	}
	if master == nil {
		if old != nil {
			markCancelled(old, c)
		}
		return old != nil
	}
	if old == nil && c.Sequence < master.Sequence {
		return false
	}
	s := a.series()
	if old == nil && !s.has(c.in, c.draft.recur) {
		return false
	}
	if !s.exclude(c.in, c.draft.recur) {
		return false
	}
	if a.latest == nil || c.DTStamp.After(a.latest.DTStamp) {
		a.latest = c
	}
	if old != nil {
		if a.gone == nil {
			a.gone = map[*node]bool{}
		}
		a.gone[old.node] = true
	}
	return true
}
