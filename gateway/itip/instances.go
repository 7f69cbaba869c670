package itip

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
