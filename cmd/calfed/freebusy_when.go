package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// parseWhen reads a TIME of the command line; distances count from base, local forms are in zone.
func parseWhen(s string, base time.Time, zone *time.Location) (time.Time, error) {
	s = strings.TrimSpace(s)
	if s == "now" {
		return base, nil
	}
	if distance, ok := strings.CutPrefix(s, "+"); ok {
		return after(base, distance, zone)
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	for _, form := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(form, s, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: want 2026-11-25T14:00:00+01:00, 2026-11-25T14:00, 2026-11-25, now or +8h", s)
}

// after adds a distance: Go's durations, or whole days of the local calendar (+2d), which daylight saving stretches.
func after(base time.Time, distance string, zone *time.Location) (time.Time, error) {
	if days, ok := strings.CutSuffix(distance, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return base.In(zone).AddDate(0, 0, int(n)), nil
		}
	}
	d, err := time.ParseDuration(distance)
	if err != nil || d < 0 {
		return time.Time{}, fmt.Errorf("+%s is no distance: want +90m, +8h or +2d", distance)
	}
	return base.Add(d), nil
}
