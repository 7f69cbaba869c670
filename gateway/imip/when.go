package imip

import (
	"time"

	"github.com/calfed/calfed/gateway/itip"
)

const (
	longDate  = "Monday, 2 January 2006"
	shortDate = "Mon 2 Jan 2006"
	clockTime = "15:04"
)

// moment says one time of an occasion: the day in words, so that nobody takes a day for a month.
func moment(t time.Time, o *itip.Occasion) string {
	if o.AllDay {
		return t.Format(longDate)
	}
	return t.Format(longDate+", "+clockTime) + " (" + zone(t, o) + ")"
}

// when says from when to when an occasion lasts.
func when(o *itip.Occasion) string {
	if o.AllDay {
		last := o.End.AddDate(0, 0, -1) // DTEND is the day after
		if o.End.IsZero() || !last.After(o.Start) {
			return o.Start.Format(longDate) + ", all day"
		}
		return o.Start.Format(longDate) + " to " + last.Format(longDate) + ", all day"
	}
	from, to := zone(o.Start, o), zone(o.End, o)
	switch {
	case o.End.IsZero() || !o.End.After(o.Start):
		return moment(o.Start, o)
	case from != to:
		return moment(o.Start, o) + " to " + moment(o.End, o)
	case o.Start.Format(longDate) == o.End.Format(longDate):
		return o.Start.Format(longDate+", "+clockTime) + " to " + o.End.Format(clockTime) + " (" + from + ")"
	}
	return o.Start.Format(longDate+", "+clockTime) + " to " + moment(o.End, o)
}

// zone says on which clock a time is told.
func zone(t time.Time, o *itip.Occasion) string {
	switch {
	case o.Floating && o.Zone != "":
		return o.Zone
	case o.Floating:
		return "local time, wherever you are"
	case t.Location() == time.UTC:
		return "UTC"
	}
	return t.Location().String() + ", UTC" + t.Format("-07:00")
}

// short is a time for a subject line.
func short(t time.Time, o *itip.Occasion) string {
	switch {
	case o.AllDay:
		return t.Format(shortDate)
	case o.Floating && o.Zone == "":
		return t.Format(shortDate + " " + clockTime)
	case o.Floating:
		return t.Format(shortDate+" "+clockTime) + " (" + o.Zone + ")"
	}
	return t.Format(shortDate+" "+clockTime) + " (" + t.Location().String() + ")"
}
