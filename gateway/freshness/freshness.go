// Package freshness says how long an HTTP response may be used without asking again (RFC 9111 §4.2), as a private cache
// sees it: capabilities documents (IS-CAP-5) and key documents (IS-DKIM-12). It stores nothing and knows no clock.
package freshness

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	unstated = 5 * time.Minute // how long a response without any word about it is believed
	most     = 24 * time.Hour
)

// Of is how long a response with this header, come at now, may be used: a day at most, 0 when not at all.
func Of(h http.Header, now time.Time) time.Duration { return min(stated(h, now), most) }

func stated(h http.Header, now time.Time) time.Duration {
	maxAge := time.Duration(-1)
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			if maxAge < 0 {
				maxAge = seconds(strings.Trim(value, `"`))
			}
		}
	}
	switch expires := h.Get("Expires"); {
	case maxAge >= 0:
		if age := h.Get("Age"); age != "" {
			maxAge -= seconds(age)
		}
		return max(0, maxAge)
	case expires != "":
		at, err := http.ParseTime(expires)
		if err != nil {
			return 0 // RFC 9111 §5.3: "0" and the like mean the past
		}
		if date, err := http.ParseTime(h.Get("Date")); err == nil {
			now = date // their clock counts, not ours
		}
		return max(0, at.Sub(now))
	}
	return unstated
}

// seconds reads a delta-seconds (RFC 9111 §1.2.2): what cannot be read is 0, what is too large 2³¹.
func seconds(s string) time.Duration {
	const largest = 1 << 31
	n, err := strconv.ParseUint(s, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		n = largest
	case err != nil:
		return 0
	}
	return time.Duration(min(n, largest)) * time.Second
}
