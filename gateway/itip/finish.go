package itip

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
