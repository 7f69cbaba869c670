package itip

import "slices"

// An object defines a TZID once, so the stored object and the message must mean the same by it before their times can be
// compared. They may not at first: governments change the rules, software mangles them, some has one name for many zones. What
// counts is what the result will say: the stored definition, unless the message brings the master that the definition is for.
// A recurrence id names an instance by the clock of its series, but when a single instance is to be is what the message says: where the
// stored definition says otherwise, its times are written in UTC.

// shareZones makes both sides read the TZIDs they have in common as the result will. Recurrence ids follow. The stored times
// stay what they were: the user's answer was for those.
func (a *applier) shareZones() {
	msg, old := &a.msg.in, &a.old.in
	a.brought = map[string]bool{}
	readsStored, readsMessage := false, false
	var meant []singleTime
	for i := range msg.zones.list {
		tzid := msg.zones.list[i].name
		j := old.zones.find(tzid)
		switch {
		case j < 0 || sameZone(&msg.zones, i, &old.zones, j):
		case a.replaces(tzid):
			a.brought[tzid] = true
			old.zones.adopt(j, &msg.zones, i)
			readsMessage = true
		default:
			meant = append(meant, a.singleTimes(int16(i))...)
			msg.zones.adopt(i, &old.zones, j)
			readsStored = true
		}
	}
	if readsStored {
		for _, t := range meant {
			t.keep(msg)
		}
		for i := range a.msg.insts {
			msg.resolve(a.msg.insts[i].Instance, a.msg.insts[i].draft)
		}
	}
	if readsMessage {
		for i := range a.old.insts {
			a.old.insts[i].RecurrenceID = old.recurrenceID(a.old.insts[i].draft.recur)
		}
	}
}

// singleTime is when a single instance of the message begins or ends, as the message means it.
type singleTime struct {
	node  *node
	names []string // of the property
	at    *moment
	sec   int64
}

// singleTimes are those in one zone.
func (a *applier) singleTimes(zone int16) []singleTime {
	var out []singleTime
	for i := range a.msg.insts {
		c := &a.msg.insts[i]
		if c.RecurrenceID == "" && methodOf(a.m.Method) != mADD {
			continue
		}
		for _, t := range [...]singleTime{{names: []string{"DTSTART"}, at: &c.draft.start}, {names: []string{"DTEND", "DUE"}, at: &c.draft.end}} {
			if t.at.form != formZoned || t.at.zone != zone {
				continue
			}
			if sec, ok := c.in.zones.instant(*t.at); ok {
				t.node, t.sec = c.node, sec
				out = append(out, t)
			}
		}
	}
	return out
}

// keep writes the time in UTC if in reads it as another.
func (t singleTime) keep(in *inspector) {
	if sec, ok := in.zones.instant(*t.at); ok && sec == t.sec {
		return
	}
	for _, name := range t.names {
		if p := t.node.first(name); p != nil {
			p = p.withoutParams(func(name string) bool { return name == "TZID" })
			t.node.set(newProperty(p.text[:len(p.text)-len(p.value)] + format(t.sec, layoutUTC)))
			*t.at = moment{sec: t.sec, form: formUTC}
		}
	}
}

// replaces says whether the message's definition of a TZID is the one that the result has.
func (a *applier) replaces(tzid string) bool {
	if !a.msg.in.zones.defines(tzid) {
		return false
	}
	switch methodOf(a.m.Method) {
	case mREQUEST, mADD:
		return a.newMaster || !a.old.in.zones.defines(tzid)
	}
	return false
}

// mergeZones brings the message's VTIMEZONEs along.
func (a *applier) mergeZones() {
	root := a.old.root
	stays := map[string]bool{}
	root.remove(func(it item) bool {
		id, ok := it.tzid()
		if ok && a.brought[id] {
			return true
		}
		stays[id] = true
		return false
	})
	var add []item
	for _, it := range a.msg.root.items {
		if id, ok := it.tzid(); ok && !stays[id] {
			add = append(add, it)
		}
	}
	at := slices.IndexFunc(root.items, func(it item) bool { return it.comp != nil })
	if at < 0 {
		at = len(root.items)
	}
	root.items = slices.Insert(root.items, at, add...)
}

// tzid is what a VTIMEZONE defines.
func (it item) tzid() (string, bool) {
	if it.comp == nil || it.comp.name != "VTIMEZONE" {
		return "", false
	}
	id := it.comp.first("TZID")
	if id == nil || id.value == "" {
		return "", false
	}
	return id.value, true
}

// find is index for those that look only.
func (z *zones) find(name string) int {
	return slices.IndexFunc(z.list, func(zn zone) bool { return zn.name == name })
}

// defines says whether a VTIMEZONE says what the TZID means.
func (z *zones) defines(name string) bool {
	i := z.find(name)
	return i >= 0 && z.list[i].from < z.list[i].to
}

// adopt makes zone i what zone j is elsewhere.
func (z *zones) adopt(i int, from *zones, j int) {
	at, other := len(z.obs), &from.list[j]
	z.obs = append(z.obs, from.obs[other.from:other.to]...)
	z.list[i] = zone{name: other.name, from: at, to: len(z.obs)}
}

// sameZone says whether zones of one name are defined alike, or both not at all.
func sameZone(x *zones, i int, y *zones, j int) bool {
	return slices.EqualFunc(x.obs[x.list[i].from:x.list[i].to], y.obs[y.list[j].from:y.list[j].to], func(o, p observance) bool {
		return o.start == p.start && o.before == p.before && o.after == p.after && o.rule == p.rule && slices.Equal(o.dates, p.dates)
	})
}
