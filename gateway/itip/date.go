package itip

import (
	"strings"
	"time"
)

// form says what a date value is relative to.
type form uint8

const (
	formNone     form = iota
	formDate          // a calendar day
	formFloating      // local time without a zone
	formUTC
	formZoned // local time with a TZID
)

// moment is a date or date-time as written: seconds since 1970-01-01T00:00:00 on its own clock. Its instant is known only
// when its zone is.
type moment struct {
	sec  int64
	form form
	zone int16 // index into zones, for formZoned
}

// parseMoment reads YYYYMMDD, YYYYMMDDTHHMMSS, YYYYMMDDTHHMMSSZ (RFC 5545 §3.3.4, §3.3.5).
func parseMoment(s string) (moment, bool) {
	if len(s) != 8 && len(s) != 15 && len(s) != 16 {
		return moment{}, false
	}
	y, ok1 := digits(s[0:4])
	mo, ok2 := digits(s[4:6])
	d, ok3 := digits(s[6:8])
	if !ok1 || !ok2 || !ok3 || y == 0 || mo < 1 || mo > 12 || d < 1 || d > daysInMonth(y, mo) {
		return moment{}, false
	}
	sec := daysFromCivil(y, mo, d) * secondsPerDay
	if len(s) == 8 {
		return moment{sec: sec, form: formDate}, true
	}
	h, ok1 := digits(s[9:11])
	mi, ok2 := digits(s[11:13])
	se, ok3 := digits(s[13:15])
	if !ok1 || !ok2 || !ok3 || s[8] != 'T' || h > 23 || mi > 59 || se > 60 {
		return moment{}, false
	}
	m := moment{sec: sec + int64(h*3600+mi*60+min(se, 59)), form: formFloating}
	if len(s) == 16 {
		if s[15] != 'Z' {
			return moment{}, false
		}
		m.form = formUTC
	}
	return m, true
}

func digits(s string) (int, bool) {
	n := 0
	for i := 0; i < len(s); i++ {
		c := s[i] - '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + int(c)
	}
	return n, len(s) > 0
}

// duration is a nominal number of days and an exact number of seconds (RFC 5545 §3.3.6).
type duration struct{ days, secs int64 }

func (d duration) total() int64 { return d.days*secondsPerDay + d.secs }

// parseDuration reads P1W, P2D, PT15M, -P1DT2H and the like; nothing longer than maxDurationDays.
func parseDuration(s string) (duration, bool) {
	var d duration
	neg := false
	if s != "" && (s[0] == '+' || s[0] == '-') {
		neg = s[0] == '-'
		s = s[1:]
	}
	if len(s) < 3 || s[0] != 'P' {
		return d, false
	}
	s = s[1:]
	inTime := false
	for s != "" {
		if s[0] == 'T' && !inTime && len(s) > 1 {
			inTime = true
			s = s[1:]
			continue
		}
		i := 0
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		if i == 0 || i > 9 || i == len(s) {
			return d, false
		}
		n, _ := digits(s[:i])
		v := int64(n)
		switch unit := s[i]; {
		case unit == 'W' && !inTime:
			d.days += 7 * v
		case unit == 'D' && !inTime:
			d.days += v
		case unit == 'H' && inTime:
			d.secs += 3600 * v
		case unit == 'M' && inTime:
			d.secs += 60 * v
		case unit == 'S' && inTime:
			d.secs += v
		default:
			return d, false
		}
		s = s[i+1:]
	}
	if d.total() > maxDurationDays*secondsPerDay {
		return d, false
	}
	if neg {
		d.days, d.secs = -d.days, -d.secs
	}
	return d, true
}

const (
	secondsPerDay   = 86400
	maxDurationDays = 400 * 366
)

// nextValue cuts the first value off a comma-separated list.
func nextValue(list string) (value, rest string, more bool) {
	if i := strings.IndexByte(list, ','); i >= 0 {
		return list[:i], list[i+1:], true
	}
	return list, "", false
}

func isLeap(y int) bool { return y%4 == 0 && (y%100 != 0 || y%400 == 0) }

func daysInMonth(y, m int) int {
	switch m {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if isLeap(y) {
			return 29
		}
		return 28
	}
	return 31
}

// daysFromCivil counts days since 1970-01-01 in the proleptic Gregorian calendar; the year starts in March, so that
// the leap day comes last.
func daysFromCivil(y, m, d int) int64 {
	if m <= 2 {
		y--
		m += 12
	}
	era := floorDiv(int64(y), 400)
	yoe := int64(y) - era*400
	doy := int64((153*(m-3)+2)/5 + d - 1)
	return era*146097 + yoe*365 + yoe/4 - yoe/100 + doy - 719468
}

// civilFromDays is the inverse of daysFromCivil.
func civilFromDays(days int64) (y, m, d int) {
	days += 719468
	era := floorDiv(days, 146097)
	doe := days - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	d = int(doy - (153*mp+2)/5 + 1)
	m = int(mp + 3)
	y = int(yoe + era*400)
	if m > 12 {
		m -= 12
		y++
	}
	return y, m, d
}

// weekdayOf counts from Monday = 0.
func weekdayOf(days int64) int { return int(floorMod(days+3, 7)) }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func floorMod(a, b int64) int64 { return a - floorDiv(a, b)*b }

const (
	layoutUTC   = "20060102T150405Z"
	layoutLocal = "20060102T150405"
	layoutDate  = "20060102"
)

// format writes a number of seconds in one of the layouts.
func format(sec int64, layout string) string { return time.Unix(sec, 0).UTC().Format(layout) }
