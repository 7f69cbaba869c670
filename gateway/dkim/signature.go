package dkim

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// FieldName is the name of the header field that carries a signature.
const FieldName = "DKIM-Signature"

// Key look-up methods of the q= tag (D05 §7.3).
const (
	MethodDNS       = "dns/txt"
	MethodWellKnown = "http/well-known"
	MethodPrivate   = "private-exchange"
)

// MaxSignatures is how many DKIM-Signature fields of one message are tried (IS-DKIM-6).
const MaxSignatures = 4

// Fields returns the values of the message's DKIM-Signature fields, the first MaxSignatures of them. The
// error has ReasonMissing when there is none.
func Fields(h http.Header) ([]string, error) {
	values := h[http.CanonicalHeaderKey(FieldName)]
	if len(values) == 0 {
		return nil, failf(ReasonMissing, "no %s field", FieldName)
	}
	return values[:min(len(values), MaxSignatures)], nil
}

// Signature is one parsed DKIM-Signature field.
type Signature struct {
	Algorithm        string    // a=, lower-case: "rsa-sha256"
	Canonicalization string    // c=, lower-case
	Domain           string    // d=, A-label, lower-case
	Selector         string    // s=, lower-case
	Identity         string    // i=, "@d" when absent
	Headers          []string  // h=, as written, order kept
	Query            []string  // q= methods, lower-case; [dns/txt] when absent
	Time             time.Time // t=, zero when absent
	Expires          time.Time // x=, zero when absent
	BodyHash         []byte    // bh=
	Value            []byte    // b=

	hasLength bool   // l= is there
	length    string // l= as written
	raw       string // the field value with b= emptied, as it is hashed
}

// ParseSignature reads the value of one DKIM-Signature field, folded or not. Errors are *Error. What the
// tags ask for is not judged here: see the Check methods.
func ParseSignature(value string) (*Signature, error) {
	tags, err := parseTagList(value)
	if err != nil {
		return nil, failf(ReasonSyntax, "%v", err)
	}
	// RFC 6376 §3.5 requires v=, anywhere in the list.
	if v, _ := tags.get("v"); v.value != "1" {
		return nil, failf(ReasonVersion, "v= is not 1")
	}
	for _, name := range []string{"a", "b", "bh", "d", "h", "s"} {
		if t, _ := tags.get(name); t.value == "" {
			return nil, failf(ReasonSyntax, "%s= missing or empty", name)
		}
	}
	s := &Signature{Canonicalization: "simple/simple", Query: []string{MethodDNS}}
	var b tag
	for _, t := range tags {
		switch t.name {
		case "a":
			s.Algorithm = strings.ToLower(t.value)
		case "b":
			b = t
			s.Value, err = decodeBase64(t.value)
		case "bh":
			s.BodyHash, err = decodeBase64(t.value)
		case "c":
			s.Canonicalization = strings.ToLower(t.value)
		case "d":
			s.Domain = strings.ToLower(t.value)
		case "h":
			s.Headers, err = splitList(t.value, maxNames)
		case "i":
			if s.Identity = t.value; t.value == "" {
				err = errors.New("empty")
			}
		case "l":
			s.hasLength, s.length = true, t.value
		case "q":
			s.Query, err = splitList(strings.ToLower(t.value), maxListItems)
		case "s":
			s.Selector = strings.ToLower(t.value)
		case "t":
			s.Time, err = parseTime(t.value)
		case "x":
			s.Expires, err = parseTime(t.value)
		}
		if err != nil {
			return nil, failf(ReasonSyntax, "%s=: %v", t.name, err)
		}
	}
	for _, name := range s.Headers {
		if !isFieldName(name) {
			return nil, failf(ReasonSyntax, "h=: %.40q is no field name", name)
		}
	}
	// IS-RECV-1: both go into DNS names and URL paths.
	if !IsDomain(s.Domain) {
		return nil, failf(ReasonSyntax, "d= is no domain name")
	}
	if !IsDomain(s.Selector) || len(s.Selector)+len("._domainkey.")+len(s.Domain) > maxDomainLen {
		return nil, failf(ReasonSyntax, "s= is no selector")
	}
	if s.Identity == "" {
		s.Identity = "@" + s.Domain
	}
	s.raw = value[:b.start] + value[b.end:] // IS-DKIM-3
	return s, nil
}

// Signs says whether field name is covered by h=.
func (s *Signature) Signs(name string) bool { return containsFold(s.Headers, name) }

// parseTime reads seconds since 1970; RFC 6376 §3.5 wants room for twelve digits.
func parseTime(s string) (time.Time, error) {
	if len(s) > 12 || strings.Trim(s, "0123456789") != "" {
		return time.Time{}, strconv.ErrSyntax
	}
	sec, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}, strconv.ErrSyntax
	}
	return time.Unix(sec, 0).UTC(), nil
}
