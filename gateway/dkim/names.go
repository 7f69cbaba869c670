package dkim

import "strings"

const maxDomainLen = 253

// IsDomain says whether s (lower-case) consists of LDH labels; so it can stand in a DNS name or in a
// path segment as it is. IS-RECV-1.
func IsDomain(s string) bool {
	if s == "" || len(s) > maxDomainLen {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// isWithin says whether domain is parent or below it.
func isWithin(domain, parent string) bool {
	return domain == parent ||
		len(domain) > len(parent) && domain[len(domain)-len(parent)-1] == '.' && strings.HasSuffix(domain, parent)
}

// isFieldName says whether s is an HTTP field name (RFC 9110 §5.6.2 token).
func isFieldName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}
