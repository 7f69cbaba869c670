package backend

import (
	"net/url"
	"strings"
)

// SameOrigin says whether to is on the server of from: the same scheme, host and port (RFC 6454 §5), without a user of its own.
// What a calendar server points to elsewhere is not followed: credentials and messages are for this server (IS-BACK-3).
func SameOrigin(from, to *url.URL) bool {
	return to.Scheme == from.Scheme && strings.EqualFold(to.Hostname(), from.Hostname()) && port(to) == port(from) &&
		to.User == nil && to.Opaque == ""
}

func port(u *url.URL) string {
	switch p := u.Port(); {
	case p != "":
		return p
	case u.Scheme == "https":
		return "443"
	default:
		return "80"
	}
}
