package itip

import "slices"

// request applies a REQUEST (RFC 5546 §3.2.2, §3.4.2).
func (a *applier) request() Outcome {
	changed := false
	for i := range a.msg.insts {
		c := &a.msg.insts[i]
		if !a.takes(c) {
			continue
		}
		changed = true
		a.put(c)
	}
	if !changed {
		return Unchanged
	}
	if a.newMaster {
		a.dropContradicted()
	}
	a.mergeZones()
	return Stored
}

// takes says whether a component of the message is news.
func (a *applier) takes(c *instance) bool {
	if old := a.old.find(c.RecurrenceID); old != nil {
		return !older(c.Instance, old.Instance)
	}
	s := a.series()
	if c.RecurrenceID == "" || s == nil || a.newMaster { // with its master it belongs to the new state of the whole
		return true
	}
	if master := s.master; c.Sequence != master.Sequence || !c.DTStamp.Before(master.DTStamp) {
		return c.Sequence >= master.Sequence
	}
	// Older than the master: it is news only while the series has that instance. One that was cancelled left an EXDATE, and
	// the DTSTAMP of its cancellation in the master.
	return s.has(c.in, c.draft.recur)
}

// put places a component of the message in the stored object, with what belongs to the user.
func (a *applier) put(c *instance) {
	n := c.node.clone()
	placed := instance{c.Instance, c.in, c.draft, n}
	if old := a.old.find(c.RecurrenceID); old != nil {
		a.keep(n, a.belongingsOf(old.node), sameTime(c, old))
		for i, it := range a.old.root.items {
			if it.comp == old.node {
				a.old.root.items[i].comp = n
			}
		}
		*old = placed
	} else {
		if s := a.series(); s != nil && c.RecurrenceID != "" {
			a.keep(n, s.own, methodOf(a.m.Method) != mADD && unmoved(c, s.master))
			s.include(c.in, c.draft.recur)
		}
		a.insert(n)
		a.old.insts = append(a.old.insts, placed)
	}
	if c.RecurrenceID == "" {
		a.known = nil
	}
}

// unmoved says whether an override stands where the series has its instance anyway.
func unmoved(c, master *instance) bool {
	return c.AllDay == master.AllDay && c.in.time(c.draft.recur).Equal(c.Start) &&
		c.End.Sub(c.Start) == master.End.Sub(master.Start)
}

// insert puts a main component behind the others.
func (a *applier) insert(n *node) {
	items := a.old.root.items
	at := len(items)
	for i, it := range items {
		if it.comp != nil && it.comp.name == n.name {
			at = i + 1
		}
	}
	a.old.root.items = slices.Insert(items, at, item{comp: n})
}

// sameTime says whether the user's answer still stands: start, end and rule are what they were.
func sameTime(c, old *instance) bool {
	return c.Start.Equal(old.Start) && c.End.Equal(old.End) && c.AllDay == old.AllDay &&
		slices.Equal(values(c.node, "RRULE"), values(old.node, "RRULE")) &&
		slices.Equal(values(c.node, "RDATE"), values(old.node, "RDATE"))
}

func values(n *node, name string) []string {
	var out []string
	for _, p := range n.lines(name) {
		out = append(out, p.value)
	}
	slices.Sort(out)
	return out
}

// dropContradicted removes the stored overrides that the new master has no instance for, and those that were cancelled with the
// master before, unless the message brought them.
func (a *applier) dropContradicted() {
	s := a.series()
	gone := map[*node]bool{}
	for i := range a.old.insts {
		c := &a.old.insts[i]
		if c.RecurrenceID == "" || c.in == &a.msg.in {
			continue
		}
		if !s.has(c.in, c.draft.recur) || c.Status == "CANCELLED" && c.Sequence < s.master.Sequence {
			gone[c.node] = true
		}
	}
	a.old.drop(gone)
}

// drop removes main components.
func (o *object) drop(gone map[*node]bool) {
	o.root.remove(func(it item) bool { return it.comp != nil && gone[it.comp] })
	o.insts = slices.DeleteFunc(o.insts, func(c instance) bool { return gone[c.node] })
}

// addInstance applies an ADD (RFC 5546 §3.2.4, §3.4.4): its component becomes an override of a new RDATE.
func (a *applier) addInstance() Outcome {
	if len(a.msg.insts) != 1 {
		return Unsupported
	}
	c := &a.msg.insts[0]
	start := c.node.first("DTSTART")
	if c.RecurrenceID != "" || start == nil || c.node.first("RRULE") != nil || c.node.first("RDATE") != nil {
		return Unsupported
	}
	id := a.msg.in.recurrenceID(c.draft.start)
	s := a.series()
	if s != nil {
		if c.AllDay != s.master.AllDay {
			return Unsupported
		}
		if c.Sequence < s.master.Sequence {
			return Unchanged
		}
	}
	if old := a.old.find(id); old != nil && older(c.Instance, old.Instance) {
		return Unchanged
	}
	n := c.node.clone()
	n.set(newProperty("RECURRENCE-ID" + start.timeParams() + ":" + start.value))
	inst := *c.Instance
	inst.RecurrenceID = id
	d := *c.draft
	d.recur = d.start
	if s != nil && !s.has(c.in, d.start) {
		s.added = append(s.added, newProperty("RDATE"+start.timeParams()+":"+start.value))
	}
	a.put(&instance{&inst, c.in, &d, n})
	a.mergeZones()
	return Stored
}
