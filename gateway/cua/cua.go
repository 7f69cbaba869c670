// Package cua reads and compares calendar user addresses (RFC 5545 §3.3.3), the names by which
// calendar users know each other: mostly mailto: URIs (RFC 6068), sometimes https: or urn: ones.
//
// It does no look-ups and knows nothing of who exists. IS-ADDR-1.
package cua

import (
	"strings"
	"unicode/utf8"
)

const (
	maxAddress = 2048 // octets of an address as spelled, percent-encoding included
	maxLocal   = 254  // octets of a decoded local part; RFC 5321's 64 is exceeded in the wild
)

// Address is one calendar user address. The zero value is no address.
type Address struct {
	raw    string // as the calendar object or the header spelled it
	scheme string // lower-case; "mailto" for a bare address
	local  string // mailto: the percent-decoded local part, case kept
	domain string // A-label, lower-case, no trailing dot; "" when the scheme names no host
	key    string // what Equal compares
}

// Parse reads one address. A bare address (user@example.org) reads as mailto:. Errors are *Error.
func Parse(s string) (Address, error) {
	if s == "" {
		return Address{}, &Error{"empty"}
	}
	if len(s) > maxAddress {
		return Address{}, &Error{"too long"}
	}
	scheme, rest, ok := splitScheme(s)
	if ok && scheme != "mailto" {
		return parseURI(s, scheme, rest)
	}
	return parseMailto(s, rest)
}

// percent writes a mailbox as RFC 6068 wants it.
var percent = strings.NewReplacer("%", "%25", "?", "%3F", "#", "%23")

// FromMailbox reads an address as mail has it (RFC 5322 addr-spec): it is no URI, and a percent sign stands for itself. Errors
// are *Error.
func FromMailbox(s string) (Address, error) { return Parse("mailto:" + percent.Replace(s)) }

// parseMailto reads the one addr-spec of a mailto: URI or of a bare address.
func parseMailto(raw, spec string) (Address, error) {
	if strings.ContainsAny(spec, "?#") {
		return Address{}, &Error{"a mailto address takes no ? or #"}
	}
	spec, perr := unescape(spec)
	if perr != nil {
		return Address{}, perr
	}
	if !utf8.ValidString(spec) {
		return Address{}, &Error{"not valid UTF-8"}
	}
	local, host, found := strings.Cut(spec, "@")
	if !found || strings.Contains(host, "@") {
		return Address{}, &Error{"exactly one @ is needed"}
	}
	if err := checkLocal(local); err != nil {
		return Address{}, err
	}
	if strings.HasSuffix(host, ".") {
		return Address{}, &Error{"empty domain label"}
	}
	for _, r := range host {
		if err := checkVisible(r); err != nil {
			return Address{}, err
		}
	}
	domain, err := Domain(host)
	if err != nil {
		return Address{}, err
	}
	a := Address{raw: raw, scheme: "mailto", local: local, domain: domain}
	if tail, canonical := strings.CutPrefix(raw, "mailto:"); canonical && tail == spec && host == domain {
		a.key = raw
	} else {
		a.key = "mailto:" + local + "@" + domain
	}
	return a, nil
}

// checkLocal verifies a decoded local part: the dot-atom of RFC 5322 §3.2.3 with RFC 6532's letters,
// less "/", which would be a path separator to whoever builds a URL from it.
func checkLocal(s string) *Error {
	switch {
	case s == "":
		return &Error{"empty local part"}
	case len(s) > maxLocal:
		return &Error{"local part too long"}
	case s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, ".."):
		return &Error{"misplaced dot in the local part"}
	}
	for _, r := range s {
		if err := checkVisible(r); err != nil {
			return err
		}
		switch r {
		case '"':
			return &Error{"quoted local part"}
		case ',', ';', ':':
			return &Error{"list separator: one address is wanted"}
		case '/', '\\', '<', '>', '(', ')', '[', ']':
			return &Error{"character that no unquoted local part may hold, or a slash"}
		}
	}
	return nil
}

// MustParse is Parse for constants in tests and tools.
func MustParse(s string) Address {
	a, err := Parse(s)
	if err != nil {
		panic(err)
	}
	return a
}

// String is the address as it was spelled: what goes on the wire (IS-ADDR-1).
func (a Address) String() string { return a.raw }

// URI is String with "mailto:" put before a bare address: we never write a bare one ourselves.
func (a Address) URI() string {
	if a.raw == "" {
		return ""
	}
	if _, _, ok := splitScheme(a.raw); ok {
		return a.raw
	}
	return "mailto:" + a.raw
}

// Scheme is the lower-case URI scheme, "mailto" for a bare address.
func (a Address) Scheme() string { return a.scheme }

// Local is the percent-decoded local part of a mailto: address, "" for other schemes.
func (a Address) Local() string { return a.local }

// Domain is the address's domain as a lower-case A-label, or "" when it has none (urn:uuid:…):
// then there is no route to it.
func (a Address) Domain() string { return a.domain }

// Key is the comparison form: equal for two spellings of one address. Safe as a map key. The case of
// a local part counts.
func (a Address) Key() string { return a.key }

// Equal compares without regard to scheme spelling, domain case and percent-encoding.
func (a Address) Equal(b Address) bool { return a.key == b.key }

// IsZero says whether a is no address at all.
func (a Address) IsZero() bool { return a.raw == "" }

// Error says why a string is no calendar user address. It never repeats the input.
type Error struct{ Reason string }

func (e *Error) Error() string { return "invalid calendar user address: " + e.Reason }
