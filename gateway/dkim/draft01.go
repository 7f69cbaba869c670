package dkim

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The profile of draft-desruisseaux-ischedule-01, whose canonicalisation that draft names and does not define; this is what
// DAViCal 1.1 makes of it. Fields are hashed as "Name: value CRLF" in the order and spelling of h=, the body as it is, and
// DKIM-Signature last without its line end. The message's Host is a field like others.
//
// It is weaker than IS-DKIM-2 asks: what a proxy may change on the way breaks it, and DAViCal signs no message id. So it
// counts only where a submitter's key is pinned (IS-SUB-1), and is written only for a peer that a policy names.
const canonicalizationDraft01 = "simple-http"

var draft01 = profile{
	canonicalizations: []string{canonicalizationDraft01},
	mandatory:         []string{"iSchedule-Version", "Originator", "Recipient", "Content-Type"},
	services:          []string{"*", serviceISchedule, "calendar"}, // the last is DAViCal's own word
}

// forbiddenDraft01 are those of forbidden that change at every hop; Host is not among them.
var forbiddenDraft01 = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "TE", "Trailer", "Trailers", "Transfer-Encoding",
	"Upgrade", FieldName,
}

// IsDraft01 says whether the signature wants the profile of draft-01.
func (s *Signature) IsDraft01() bool { return s.Canonicalization == canonicalizationDraft01 }

// CheckDraft01 is CheckStatic and CheckKey of the draft-01 profile; time is CheckTime's and the body CheckBodyDraft01's. Host
// is that of the request: net/http keeps it out of the header. A field that h= names must be there, once.
func (s *Signature) CheckDraft01(host string, h http.Header, rec *Record, r Rules) error {
	if s.Algorithm != algorithmRSA { // draft-01 knows no other that is still safe
		return failf(ReasonAlgorithm, "a= is %.40q", s.Algorithm)
	}
	if err := s.checkCanonicalization(draft01); err != nil {
		return err
	}
	for _, name := range draft01.mandatory {
		if !s.Signs(name) {
			return failf(ReasonHeaders, "h= lacks %s", name)
		}
	}
	for _, name := range forbiddenDraft01 {
		if s.Signs(name) {
			return failf(ReasonHeaders, "h= holds %s", name)
		}
	}
	if err := s.checkIdentity(); err != nil {
		return err
	}
	if err := s.checkRecord(draft01, rec, r); err != nil {
		return err
	}
	digest, err := hashDraft01(host, h, s.Headers, s.raw)
	if err != nil {
		return err
	}
	return s.checkDigest(digest, rec)
}

// CheckBodyDraft01 verifies bh= against the transfer-decoded body. An l= must cover all of it: what is behind it would be
// anybody's text.
func (s *Signature) CheckBodyDraft01(body []byte) error {
	if s.hasLength && s.length != strconv.Itoa(len(body)) {
		return failf(ReasonLength, "l= does not cover the whole body")
	}
	sum := sha256.Sum256(body)
	if subtle.ConstantTimeCompare(sum[:], s.BodyHash) != 1 {
		return failf(ReasonBodyHash, "bh= does not match the body")
	}
	return nil
}

// SignDraft01 is Sign in the draft-01 profile, as DAViCal verifies it: q= is dns/txt whatever Query says, h= begins with Host, and the
// key must be RSA. The values of h must go out as they are.
func (s *Signer) SignDraft01(host string, h http.Header, body []byte, now time.Time) (string, error) {
	if s.Key == nil {
		return "", errors.New("no signing key")
	}
	if _, ok := s.Key.Public().(*rsa.PublicKey); !ok {
		return "", errors.New("draft-01 signatures need an RSA key")
	}
	names := append([]string{"Host"}, draft01.mandatory...)
	f := form{
		canonicalization: canonicalizationDraft01, query: []string{MethodDNS}, names: names, bodyHash: sha256.Sum256(body),
	}
	return s.write(f, now, func(unsigned string) ([sha256.Size]byte, error) { return hashDraft01(host, h, names, unsigned) })
}

// hashDraft01 hashes the fields that names lists, then the DKIM-Signature value with its b= emptied. There is no canonical
// form, so that nothing may be ambiguous: each name stands once, and so does its field.
func hashDraft01(host string, h http.Header, names []string, signature string) ([sha256.Size]byte, error) {
	var none [sha256.Size]byte
	buf := make([]byte, 0, 1024)
	for i, name := range names {
		values := h.Values(name)
		if strings.EqualFold(name, "Host") {
			values = []string{host}
		}
		switch {
		case containsFold(names[:i], name):
			return none, failf(ReasonHeaders, "h= names %s twice", name)
		case len(values) != 1:
			return none, failf(ReasonHeaders, "the message has %d fields %s, one is wanted", len(values), name)
		case strings.ContainsAny(values[0], "\r\n\x00"):
			return none, failf(ReasonHeaders, "field %s holds a line end or NUL", name)
		}
		buf = append(buf, name...)
		buf = append(buf, ": "...)
		buf = append(buf, values[0]...)
		buf = append(buf, "\r\n"...)
	}
	buf = append(buf, FieldName+": "...)
	buf = append(buf, signature...)
	return sha256.Sum256(buf), nil
}
