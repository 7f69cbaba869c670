// Package cua reads and compares calendar user addresses (RFC 5545 §3.3.3), the names by which
// calendar users know each other: mostly mailto: URIs (RFC 6068), sometimes https: or urn: ones.
//
// It does no look-ups and knows nothing of who exists. IS-ADDR-1.
package cua

// Address is one calendar user address. The zero value is no address.
type Address struct {
	raw    string // as the calendar object or the header spelled it
	scheme string // lower-case; "mailto" for a bare address
	local  string // mailto: the percent-decoded local part, case kept
	domain string // A-label, lower-case, no trailing dot; "" when the scheme names no host
	key    string // what Equal compares
}

// Parse reads one address. A bare address (user@example.org) reads as mailto:. Errors are *Error.
func Parse(s string) (Address, error) { panic("CONTRACT STUB") }

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
func (a Address) URI() string { panic("CONTRACT STUB") }

// Scheme is the lower-case URI scheme, "mailto" for a bare address.
func (a Address) Scheme() string { return a.scheme }

// Local is the percent-decoded local part of a mailto: address, "" for other schemes.
func (a Address) Local() string { return a.local }

// Domain is the address's domain as a lower-case A-label, or "" when it has none (urn:uuid:…):
// then there is no route to it.
func (a Address) Domain() string { return a.domain }

// Key is the comparison form: equal for two spellings of one address. Safe as a map key.
func (a Address) Key() string { return a.key }

// Equal compares without regard to scheme spelling, domain case and percent-encoding.
func (a Address) Equal(b Address) bool { return a.key == b.key }

// IsZero says whether a is no address at all.
func (a Address) IsZero() bool { return a.raw == "" }

// Error says why a string is no calendar user address. It never repeats the input unescaped.
type Error struct{ Reason string }

func (e *Error) Error() string { return "invalid calendar user address: " + e.Reason }

// Domain turns a host name as people write it into its lower-case A-label form without a trailing
// dot, or fails: empty or over-long labels, characters outside LDH, IP literals. IS-ADDR-1.
func Domain(s string) (string, error) { panic("CONTRACT STUB") }

// WithinDomain says whether name equals parent or is below it, label-wise. Both in Domain's form.
func WithinDomain(name, parent string) bool { panic("CONTRACT STUB") }
