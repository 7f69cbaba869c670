package itip

import "time"

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
