package cua

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// splitScheme returns the lower-case scheme of a URI and what follows its colon; ok is false when s
// starts with no scheme (RFC 3986 §3.1), as a bare address does.
func splitScheme(s string) (scheme, rest string, ok bool) {
	colon := strings.IndexByte(s, ':')
	if colon < 1 {
		return "", s, false
	}
	for i := 0; i < colon; i++ {
		c := s[i] | 0x20
		alpha := c >= 'a' && c <= 'z'
		if !alpha && (i == 0 || !strings.ContainsRune("0123456789+-.", rune(s[i]))) {
			return "", s, false
		}
	}
	return strings.ToLower(s[:colon]), s[colon+1:], true
}

// parseURI reads an address of another scheme than mailto. Its domain is the host of its authority
// part; without one, or when the host is an IP address, there is no route. IS-ADDR-1.
func parseURI(raw, scheme, rest string) (Address, error) {
	a := Address{raw: raw, scheme: scheme}
	if rest == "" {
		return Address{}, &Error{"nothing follows the scheme"}
	}
	if err := checkURI(rest); err != nil {
		return Address{}, err
	}
	var key strings.Builder
	key.WriteString(scheme)
	key.WriteByte(':')
	if after, found := strings.CutPrefix(rest, "//"); found {
		end := strings.IndexAny(after, "/?#")
		if end < 0 {
			end = len(after)
		}
		domain, host, err := authority(after[:end])
		if err != nil {
			return Address{}, err
		}
		a.domain = domain
		key.WriteString("//")
		key.WriteString(host)
		rest = after[end:]
	}
	normalise(&key, rest)
	a.key = key.String()
	return a, nil
}

// checkURI refuses what must stand in no header field, whatever the scheme, also when it hides
// behind percent-encoding.
func checkURI(s string) *Error {
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			return &Error{"not valid UTF-8"}
		case r == '%':
			b, ok := unhex(s[i:])
			if !ok {
				return &Error{"malformed percent-encoding"}
			}
			if b < 0x20 || b == 0x7f {
				return &Error{"control character"}
			}
		default:
			if err := checkVisible(r); err != nil {
				return err
			}
			if strings.ContainsRune("\",<>\\^`{|}", r) {
				return &Error{"character that no URI may hold, or a comma"}
			}
		}
	}
	return nil
}

// authority splits host[:port] and returns the host's domain ("" for an IP address or an empty host)
// and the comparison form of the whole.
func authority(s string) (domain, key string, err error) {
	if strings.Contains(s, "@") {
		return "", "", &Error{"user information before the host"}
	}
	host, port := s, ""
	if bracket := strings.LastIndexByte(s, ']'); strings.HasPrefix(s, "[") {
		if bracket < 0 {
			return "", "", &Error{"malformed IP address"}
		}
		host, port = s[:bracket+1], s[bracket+1:]
	} else if colon := strings.IndexByte(s, ':'); colon >= 0 {
		host, port = s[:colon], s[colon:]
	}
	if len(port) > 6 || port != "" && port[0] != ':' || strings.Trim(port, ":0123456789") != "" || strings.Count(port, ":") > 1 {
		return "", "", &Error{"malformed port"}
	}
	if port == ":" {
		port = ""
	}
	host, perr := unescape(host)
	if perr != nil {
		return "", "", perr
	}
	if host == "" || host[0] == '[' || isIPv4(host) {
		return "", strings.ToLower(host) + port, nil
	}
	domain, err = Domain(host)
	if err != nil {
		return "", "", err
	}
	return domain, domain + port, nil
}

func isIPv4(host string) bool {
	last := strings.TrimSuffix(host, ".")
	last = strings.ToLower(last[strings.LastIndexByte(last, '.')+1:])
	return last != "" && isNumber(last)
}

// normalise writes s so that spellings which RFC 3986 §6.2.2 calls equivalent come out equal.
func normalise(dst *strings.Builder, s string) {
	const hex = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		c := s[i]
		escaped := c >= utf8.RuneSelf
		if c == '%' {
			c, _ = unhex(s[i:])
			i += 2
			escaped = !unreserved(c)
		}
		if escaped {
			dst.Write([]byte{'%', hex[c>>4], hex[c&15]})
		} else {
			dst.WriteByte(c)
		}
	}
}

func unreserved(c byte) bool {
	l := c | 0x20
	return l >= 'a' && l <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

// unescape percent-decodes once.
func unescape(s string) (string, *Error) {
	if !strings.Contains(s, "%") {
		return s, nil
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			var ok bool
			if c, ok = unhex(s[i:]); !ok {
				return "", &Error{"malformed percent-encoding"}
			}
			i += 2
		}
		b.WriteByte(c)
	}
	return b.String(), nil
}

// unhex reads the escape at the start of s.
func unhex(s string) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	hi, lo := nibble(s[1]), nibble(s[2])
	return hi<<4 | lo&15, hi < 16 && lo < 16
}

func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 0xff
}

// checkVisible refuses control characters, blanks of any kind, and invisible characters that make two
// addresses look alike.
func checkVisible(r rune) *Error {
	switch {
	case unicode.IsControl(r):
		return &Error{"control character"}
	case unicode.IsSpace(r):
		return &Error{"blank"}
	case !unicode.IsPrint(r):
		return &Error{"invisible or unassigned character"}
	}
	return nil
}
