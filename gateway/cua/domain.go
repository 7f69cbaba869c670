package cua

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

const (
	maxDomain    = 253  // octets of a name without its trailing dot, RFC 1035 §2.3.4
	maxLabel     = 63   // octets of one label, RFC 1035 §2.3.4
	maxRawDomain = 1024 // octets of a name as people write it: bounds the IDNA work
)

// lookup maps and validates as UTS #46 says for names that are looked up, with the deviations of
// IDNA 2008 (ß stays ß).
var lookup = idna.New(
	idna.MapForLookup(),
	idna.Transitional(false),
	idna.BidiRule(),
	idna.StrictDomainName(true),
	idna.VerifyDNSLength(true),
)

// Domain turns a host name as people write it into its lower-case A-label form without a trailing
// dot, or fails with an *Error: empty or over-long labels, characters outside LDH, labels that are
// no valid A-label, IP addresses in any notation. A single label (localhost) is a name. IS-ADDR-1.
func Domain(s string) (string, error) {
	s = strings.TrimSuffix(s, ".")
	if s == "" {
		return "", &Error{"empty domain"}
	}
	if len(s) > maxRawDomain {
		return "", &Error{"domain too long"}
	}
	if strings.ContainsAny(s, "[]:") {
		return "", &Error{"IP address in place of a domain name"}
	}
	if needsIDNA(s) {
		if !utf8.ValidString(s) {
			return "", &Error{"domain is not valid UTF-8"}
		}
		ascii, err := lookup.ToASCII(s)
		if err != nil {
			return "", &Error{"domain is not a valid internationalized name"}
		}
		s = ascii
	}
	s = strings.ToLower(s)
	if err := checkLDH(s); err != nil {
		return "", err
	}
	return s, nil
}

// WithinDomain says whether name equals parent or is below it, label-wise. Both in Domain's form;
// nothing is within the empty domain.
func WithinDomain(name, parent string) bool {
	if parent == "" || !strings.HasSuffix(name, parent) {
		return false
	}
	return len(name) == len(parent) || name[len(name)-len(parent)-1] == '.'
}

// needsIDNA says whether s holds U-labels, or A-labels whose Punycode has to be proven.
func needsIDNA(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return true
		}
		if (i == 0 || s[i-1] == '.') && len(s) >= i+4 && strings.EqualFold(s[i:i+4], "xn--") {
			return true
		}
	}
	return false
}

// checkLDH verifies the shape of a lower-case ASCII name.
func checkLDH(s string) *Error {
	if len(s) > maxDomain {
		return &Error{"domain too long"}
	}
	start := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '.' {
			if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
				return &Error{"domain holds a character other than letters, digits and hyphens"}
			}
			continue
		}
		label := s[start:i]
		switch {
		case label == "":
			return &Error{"empty domain label"}
		case len(label) > maxLabel:
			return &Error{"domain label too long"}
		case label[0] == '-' || label[len(label)-1] == '-':
			return &Error{"domain label starts or ends with a hyphen"}
		case i == len(s) && isNumber(label):
			return &Error{"IP address in place of a domain name"}
		}
		start = i + 1
	}
	return nil
}

// isNumber recognises the last label of every notation that some resolver takes for an IPv4
// address: 192.0.2.1, 127.1, 0x7f.1. No top-level domain is all digits (RFC 3696 §2).
func isNumber(label string) bool {
	digits, hex := label, false
	if strings.HasPrefix(label, "0x") {
		digits, hex = label[2:], true
	}
	for i := 0; i < len(digits); i++ {
		c := digits[i]
		if (c < '0' || c > '9') && (!hex || c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
