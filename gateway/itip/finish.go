package itip

import (
	"time"
)

// endMain judges one main component when it ends.
func (in *inspector) endMain() *Error {
	c := &in.cur
	c.toAtt, c.toRule = len(in.attendees), len(in.rules)
	if !in.stored {
		if in.method == methodUnset {
			return scheduling("method-missing", c.num, "no METHOD before the component") // RFC 5545 §3.6: calendar properties come first
		}
		if err := in.checkMain(c); err != nil {
			return err
		}
	}
	in.drafts = append(in.drafts, c.draft)
	in.msg.Instances = append(in.msg.Instances, c.inst)
	return nil
}

func (in *inspector) checkMain(c *component) *Error {
	if in.msg.Component == "VFREEBUSY" {
		if in.method != mREQUEST && in.method != mREPLY {
			return scheduling("method-unsupported", c.num, "VFREEBUSY knows only REQUEST and REPLY")
		}
		if len(in.drafts) > 0 {
			return scheduling("component-repeated", c.num, "more than one VFREEBUSY")
		}
	}
	if err := in.checkTable(c); err != nil {
		return err
	}
	if in.method == mREPLY && c.count[propAttendee] > 1 { // whose answer is it? IS-ITIP-5
		return scheduling("reply-attendees", c.num, "REPLY with more than one ATTENDEE")
	}
	if tableOf(in.msg.Component) == nil {
		for _, p := range [...]prop{propUID, propOrganizer} {
			if c.count[p] == 0 {
				return scheduling(missingReason(p), c.num, "a property that every message needs is missing")
			}
		}
	}
	if c.hasDur && c.end.form != formNone {
		in.violate("DURATION", "must not appear with DTEND or DUE", int(c.line[propDuration]))
	}
	if in.method == mADD && c.inst.Sequence == 0 && c.count[propSequence] > 0 {
		in.violate("SEQUENCE", "must be above 0", int(c.line[propSequence]))
	}
	if !statusFits(in.msg.Component, in.method, c.inst.Status) {
		in.violate("STATUS", "must be one that the method allows", int(c.line[propStatus]))
	}
	return nil
}

// statusFits checks STATUS against the comments of RFC 5546's tables.
func statusFits(component string, method int, status string) bool {
	if status == "" {
		return true
	}
	if method == mCANCEL {
		return status == "CANCELLED"
	}
	switch component {
	case "VEVENT":
		switch status {
		case "TENTATIVE", "CONFIRMED":
			return true
		}
		return status == "CANCELLED" && method != mREQUEST && method != mADD
	case "VTODO":
		switch status {
		case "NEEDS-ACTION", "COMPLETED", "IN-PROCESS":
			return true
		}
		return status == "CANCELLED" && method != mREQUEST && method != mADD
	}
	return true
}

// finish judges the message as a whole and resolves what needed all of it.
func (in *inspector) finish() *Error {
	m := in.msg
	if err := in.nest.done(); err != nil {
		return err
	}
	switch {
	case in.versions == 0:
		return syntax("version", 0, "no VERSION")
	case m.Method == "" && !in.stored:
		return scheduling("method-missing", 0, "no METHOD")
	case m.Component == "":
		return scheduling("component-missing", 0, "nothing to schedule")
	}
	m.Attendees = in.book.list
	if in.prodIDs == 0 {
		in.violate("PRODID", "must appear", 0)
	}
	if !in.stored && in.method == mREPLY && len(m.Attendees) > 1 {
		return scheduling("reply-attendees", 0, "REPLY with more than one ATTENDEE")
	}
	if n := len(m.Instances); n > 1 && onlyOne(in.method) && !in.stored {
		in.violate(m.Component, "must appear once", in.drafts[1].num)
	}
	for i := range in.drafts {
		in.resolve(&m.Instances[i], &in.drafts[i])
	}
	if err := in.countInstances(); err != nil {
		return err
	}
	in.dateRange()
	in.checkRecurrenceIDs()
	if m.Component == "VFREEBUSY" && !in.stored {
		return in.setRange()
	}
	return nil
}

// resolve turns a draft's local times into instants.
func (in *inspector) resolve(inst *Instance, d *draft) {
	if d.toAtt > d.fromAtt {
		inst.Attendees = in.attendees[d.fromAtt:d.toAtt:d.toAtt]
	}
	inst.AllDay = d.start.form == formDate
	inst.RecurrenceID = in.recurrenceID(d.recur)
	if d.start.form != formNone {
		inst.Start = in.time(d.start)
		inst.End = in.time(in.endOf(d))
		if d.end.form != formNone && inst.End.Before(inst.Start) {
			in.violate("DTEND", "must not be before DTSTART", d.num)
		}
	} else if d.end.form != formNone {
		inst.End = in.time(d.end)
	}
}

// endOf is when an instance ends by DTEND or DUE, DURATION, or the default for an all-day event (RFC 5545 §3.6.1). The days of a
// duration are nominal, the rest is exact.
func (in *inspector) endOf(d *draft) moment {
	end := d.start
	switch {
	case d.end.form != formNone:
		return d.end
	case d.hasDur:
		end.sec += d.dur.days * secondsPerDay
		if d.dur.secs != 0 {
			if t, ok := in.zones.instant(end); ok {
				end = moment{sec: t + d.dur.secs, form: formUTC}
			} else {
				end.sec += d.dur.secs
			}
		}
		in.extend(end, d.num)
	case d.start.form == formDate && in.msg.Component == "VEVENT":
		end.sec += secondsPerDay
	}
	return end
}

func (in *inspector) time(m moment) time.Time {
	if t, ok := in.zones.instant(m); ok {
		return unixUTC(t)
	}
	return unixUTC(m.sec)
}

func unixUTC(sec int64) time.Time { return time.Unix(sec, 0).UTC() }

// recurrenceID is the form in which recurrence ids are compared.
func (in *inspector) recurrenceID(m moment) string {
	switch m.form {
	case formNone:
		return ""
	case formDate:
		return format(m.sec, layoutDate)
	case formFloating:
		return format(m.sec, layoutLocal)
	}
	if t, ok := in.zones.instant(m); ok {
		return format(t, layoutUTC)
	}
	return format(m.sec, layoutLocal)
}

// countInstances implements the counting of IS-ITIP-3 and parses the rules on the way.
func (in *inspector) countInstances() *Error {
	m := in.msg
	bound := int64(in.maxInstances)
	var masters, overrides int64
	for i := range in.drafts {
		d := &in.drafts[i]
		n := int64(1)
		if d.toRule > d.fromRule {
			n = 0
		}
		for j := d.fromRule; j < d.toRule; j++ {
			if !in.zones.expansion().parse(in.rules[j].value) {
				return syntax("recurrence-rule", in.rules[j].num, "malformed RRULE")
			}
			in.noteRule(d, in.rules[j].num)
			n += in.countRule(d, bound)
		}
		n += int64(d.rdates)
		if d.recur.form == formNone {
			masters += max(n, 1)
		} else {
			overrides += max(n, 1)
		}
	}
	m.Count = int(min(max(masters, overrides), bound+1))
	return nil
}

func (in *inspector) noteRule(d *draft, line int) {
	r := &in.zones.exp.rule
	if r.rscale != "" {
		known := false
		for _, s := range in.msg.RScales {
			known = known || s == r.rscale
		}
		if !known {
			in.msg.RScales = append(in.msg.RScales, r.rscale)
		}
	}
	if r.open() && r.finerThanDaily() {
		in.msg.Endless = true
	}
	if r.has(partCount) && r.has(partUntil) {
		in.violate("RRULE", "must not have COUNT and UNTIL", line)
	}
	if r.has(partUnknown) {
		in.violate("RRULE", "must have no unknown parts", line)
	}
	if r.has(partUntil) {
		until := r.until
		if until.form == formFloating && d.start.form == formZoned {
			until.form, until.zone = formZoned, d.start.zone
		}
		in.extend(until, line)
	}
}

// countRule counts one rule's instances: COUNT says it, an open rule adds nothing, UNTIL is counted out.
func (in *inspector) countRule(d *draft, bound int64) int64 {
	e := in.zones.exp
	r := e.rule // a copy: resolving UNTIL expands the rules of its zone
	if r.open() || d.start.form == formNone {
		return 0
	}
	n := int64(0)
	if r.has(partUntil) {
		until := in.untilLocal(&r, d)
		e.rule = r
		var exact bool
		if n, exact = e.countUntil(d.start.sec, until, bound, &in.ruleWork); !exact {
			n = max(n, r.atMost(d.start.sec, until))
		}
		n = max(n, 1) // DTSTART is an instance whatever the rule says
		if !r.has(partCount) {
			return n
		}
	}
	if n == 0 || r.count < n {
		return r.count
	}
	return n
}

// untilLocal is UNTIL on the clock of DTSTART. A date covers its whole day.
func (in *inspector) untilLocal(r *rule, d *draft) int64 {
	switch {
	case r.until.form == formDate && d.start.form != formDate:
		return r.until.sec + secondsPerDay - 1
	case r.until.form == formUTC && d.start.form == formZoned:
		if t, ok := in.zones.local(d.start.zone, r.until.sec); ok {
			return t
		}
		return r.until.sec + unknownZone
	}
	return r.until.sec
}

// dateRange resolves the range of each zone in use; a later local time is no earlier instant, but for an hour a year.
func (in *inspector) dateRange() {
	for i := range in.zones.list {
		z := &in.zones.list[i]
		if !z.used {
			continue
		}
		lo, ok1 := in.zones.offset(int16(i), z.lo)
		hi, ok2 := in.zones.offset(int16(i), z.hi)
		if !ok1 || !ok2 {
			in.violate("TZID", "must name a VTIMEZONE of the message or a known time zone", z.line)
			lo, hi = unknownZone, -unknownZone
		}
		in.reach(z.lo - lo)
		in.reach(z.hi - hi)
	}
	if in.hasDate {
		in.msg.Earliest, in.msg.Latest = unixUTC(in.lo), unixUTC(in.hi)
	}
}

// checkRecurrenceIDs looks for two components that claim to be the same instance.
func (in *inspector) checkRecurrenceIDs() {
	insts := in.msg.Instances
	if len(insts) < 2 {
		return
	}
	seen := make(map[string]struct{}, len(insts))
	for i := range insts {
		if _, ok := seen[insts[i].RecurrenceID]; ok {
			in.violate("RECURRENCE-ID", "must differ between components", in.drafts[i].num)
		}
		seen[insts[i].RecurrenceID] = struct{}{}
	}
}

// setRange takes the asked range from the one VFREEBUSY.
func (in *inspector) setRange() *Error {
	d := &in.drafts[0]
	inst := &in.msg.Instances[0]
	if d.end.form == formNone && !d.hasDur {
		return scheduling("dtend-missing", d.num, "a free/busy message without an end")
	}
	if !inst.Start.Before(inst.End) {
		return scheduling("range", d.num, "a free/busy range that ends before it starts")
	}
	if d.start.form != formUTC || d.end.form != formUTC {
		in.violate("DTSTART", "must be in UTC", d.num)
	}
	in.msg.Start, in.msg.End = inst.Start, inst.End
	return nil
}
