package keys

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// unstated is how long a document without any word about it is believed.
const unstated = 5 * time.Minute

// freshness is how long a response may be used (RFC 9111 §4.2), 0 when not at all.
func freshness(h http.Header, now time.Time) time.Duration {
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

// seconds reads a delta-seconds; what cannot be read is none, what is more than a day is a day.
func seconds(s string) time.Duration {
	n, err := strconv.ParseUint(s, 10, 64)
	const day = 24 * 60 * 60
	if err != nil && s != "" && strings.Trim(s, "0123456789") == "" {
		n = day
	} else if err != nil {
		return 0
	}
	return time.Duration(min(n, day)) * time.Second
}
