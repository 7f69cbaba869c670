package discovery

import (
	"net/url"
	"strings"
)

// maxPath bounds a Request-URI path from DNS.
const maxPath = 1024

// txtPath reads the path key of TXT records as RFC 6763 §6 says: key=value in each string, keys without regard to
// case, the first one wins, the value as it stands. What is no absolute path is ignored, and warning says why; "" for
// both when there is no such key. IS-DISC-3.
func txtPath(records [][]string) (path, warning string) {
	for _, strs := range records {
		for _, s := range strs {
			key, value, hasValue := strings.Cut(s, "=")
			if !strings.EqualFold(key, "path") {
				continue
			}
			if !hasValue {
				return "", "the key has no value"
			}
			if why := notAPath(value); why != "" {
				return "", why
			}
			return value, ""
		}
	}
	return "", ""
}

// notAPath says why a value cannot be a Request-URI path, "" when it can.
func notAPath(value string) string {
	switch {
	case !strings.HasPrefix(value, "/"):
		return "not an absolute path"
	case strings.HasPrefix(value, "//"):
		return "names a host, not a path"
	case len(value) > maxPath:
		return "too long"
	case strings.ContainsAny(value, `?#\`):
		return "more than a path"
	}
	for _, c := range []byte(value) {
		if c <= ' ' || c >= 0x7f {
			return "a character that no path has"
		}
	}
	// What net/url would write otherwise than it stands is no valid path.
	u, err := url.Parse("https://host.invalid" + value)
	if err != nil || u.EscapedPath() != value {
		return "not well-formed"
	}
	return ""
}
