package snapshot

import (
	"errors"
	"net/url"
	"strings"
)

// The segments of a CalDAV.PrincipalTemplate that stand for a user.
const (
	PlaceLocal   = "{local}"   // the part of the address before the @
	PlaceAddress = "{address}" // the whole address, without mailto:
)

var errPath = errors.New("must be an absolute path without query, empty segments and dot segments")

// CheckPath demands an absolute path as it stands in a URL (RFC 3986 §3.3): no query, no empty segment but the last, no
// dot segment.
func CheckPath(path string) error {
	rest, absolute := strings.CutPrefix(path, "/")
	if !absolute || rest == "" {
		return errPath
	}
	for segment := range strings.SplitSeq(strings.TrimSuffix(rest, "/"), "/") {
		if !isSegment(segment) {
			return errPath
		}
	}
	return nil
}

// CheckPrincipalTemplate demands such a path in which PlaceLocal or PlaceAddress is a segment of its own, each once at
// most. IS-BACK-3.
func CheckPrincipalTemplate(template string) error {
	segments := strings.Split(template, "/")
	found := false
	for _, place := range []string{PlaceLocal, PlaceAddress} {
		count := 0
		for i, s := range segments {
			if s == place {
				count++
				segments[i] = "x"
			}
		}
		if count > 1 {
			return errors.New("must hold " + place + " once at most")
		}
		found = found || count == 1
	}
	if !found {
		return errors.New("must hold " + PlaceLocal + " or " + PlaceAddress + " as a segment of its own")
	}
	return CheckPath(strings.Join(segments, "/"))
}

func isSegment(s string) bool {
	plain, err := url.PathUnescape(s)
	return err == nil && plain != "" && plain != "." && plain != ".." &&
		strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@%") == ""
}
