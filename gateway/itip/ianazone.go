package itip

import (
	"math"
	"strings"
	"time"
)

// load reads an IANA zone, if the name looks like one.
func (z *zones) load(name string) *time.Location {
	if !isZoneName(name) || z.loads == maxZoneLoad {
		return nil
	}
	z.loads++
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil
	}
	return loc
}

// isZoneName says whether name has the shape of an IANA zone: it becomes a file name. "Local" is our own machine's.
func isZoneName(name string) bool {
	if name == "" || len(name) > 64 || name == "Local" {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '-' || part[0] == '+' {
			return false
		}
		for i := 0; i < len(part); i++ {
			if c := part[i]; !isNameByte(c) && c != '_' && c != '+' {
				return false
			}
		}
	}
	return true
}

// stretch finds the offset of an IANA zone at local time sec, and how long it stays so. time.Date would leave open which offset
// it takes of a time that is skipped or occurs twice.
func stretch(loc *time.Location, sec int64) (s span) {
	at := time.Unix(sec, 0).In(loc)
	for range 4 { // the first guess is less than a day off
		begin, end := at.ZoneBounds()
		_, off := at.Zone()
		s = span{math.MinInt64, math.MaxInt64, int64(off)}
		if !begin.IsZero() {
			_, before := begin.Add(-time.Second).Zone()
			s.from = begin.Unix() + int64(max(off, before))
		}
		if !end.IsZero() {
			_, after := end.Zone()
			s.to = end.Unix() + int64(max(off, after))
		}
		switch {
		case sec < s.from:
			at = begin.Add(-time.Second)
		case sec >= s.to:
			at = end
		default:
			return s
		}
	}
	return s
}
