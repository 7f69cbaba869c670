package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"
)

// The algorithms of a= (RFC 8301, RFC 8463). There is no rsa-sha1. IS-DKIM-5.
const (
	algorithmRSA     = "rsa-sha256"
	algorithmEd25519 = "ed25519-sha256"
)

// RSA modulus bounds that no policy moves. IS-DKIM-5.
const (
	leastRSABits   = 1024
	defaultRSABits = 2048
	mostRSABits    = 4096
)

// forbidden fields change or vanish between the hops (D05 §7.1); Content-Length is made after signing.
// A signature cannot sign the field that it is part of. IS-DKIM-4.
var forbidden = []string{
	"Cache-Control", "Connection", "Content-Length", "Host", "Keep-Alive", "Proxy-Authenticate",
	"Proxy-Authorization", "TE", "Trailer", "Transfer-Encoding", "Upgrade", FieldName,
}

// CheckStatic verifies what needs neither clock nor key: algorithm, canonicalisation, l=, h= content (h is
// the message's header: the mandatory fields must be there, and Authorization must be signed when
// present), i=. Header names are expected in net/http's canonical form. IS-DKIM-4..8.
func (s *Signature) CheckStatic(h http.Header) error { return s.checkStatic(iSchedule, h) }

func (s *Signature) checkStatic(p profile, h http.Header) error {
	if err := s.checkAlgorithm(); err != nil {
		return err
	}
	if err := s.checkCanonicalization(p); err != nil {
		return err
	}
	if err := s.checkLength(); err != nil {
		return err
	}
	if err := s.checkHeaders(p, h); err != nil {
		return err
	}
	return s.checkIdentity()
}

func (s *Signature) checkAlgorithm() error {
	if s.Algorithm != algorithmRSA && s.Algorithm != algorithmEd25519 {
		return failf(ReasonAlgorithm, "a= is %.40q", s.Algorithm)
	}
	return nil
}

func (s *Signature) checkCanonicalization(p profile) error {
	if !slices.Contains(p.canonicalizations, s.Canonicalization) {
		return failf(ReasonCanonicalization, "c= is %.40q", s.Canonicalization)
	}
	return nil
}

// checkLength refuses l=: what is behind it would be anybody's text. IS-DKIM-6.
func (s *Signature) checkLength() error {
	if s.hasLength {
		return failf(ReasonLength, "l= is not accepted")
	}
	return nil
}

func (s *Signature) checkHeaders(p profile, h http.Header) error {
	for _, name := range p.mandatory {
		if !s.Signs(name) {
			return failf(ReasonHeaders, "h= lacks %s", name)
		}
		if len(h[http.CanonicalHeaderKey(name)]) == 0 {
			return failf(ReasonHeaders, "the message has no %s", name)
		}
	}
	if len(h["Authorization"]) > 0 && !s.Signs("Authorization") {
		return failf(ReasonHeaders, "h= lacks Authorization")
	}
	for _, name := range forbidden {
		if s.Signs(name) {
			return failf(ReasonHeaders, "h= holds %s", name)
		}
	}
	return nil
}

// checkIdentity wants i= in d= or below. IS-DKIM-8.
func (s *Signature) checkIdentity() error {
	domain, ok := s.identityDomain()
	if !ok || !isWithin(domain, s.Domain) {
		return failf(ReasonIdentity, "i= is not within d=")
	}
	return nil
}

func (s *Signature) identityDomain() (string, bool) {
	at := strings.LastIndexByte(s.Identity, '@')
	if at < 0 {
		return "", false
	}
	domain := strings.ToLower(s.Identity[at+1:])
	return domain, IsDomain(domain)
}

// CheckBody verifies bh= against the transfer-decoded body. IS-DKIM-1.
func (s *Signature) CheckBody(body []byte) error {
	sum := bodyHash(body)
	if subtle.ConstantTimeCompare(sum[:], s.BodyHash) != 1 {
		return failf(ReasonBodyHash, "bh= does not match the body")
	}
	return nil
}

// CheckKey verifies that rec may be used for this signature and that the signature is right.
// IS-DKIM-2,3,5,10.
func (s *Signature) CheckKey(h http.Header, rec *Record, r Rules) error {
	return s.checkKey(iSchedule, h, rec, r)
}

func (s *Signature) checkKey(p profile, h http.Header, rec *Record, r Rules) error {
	if err := s.checkRecord(p, rec, r); err != nil {
		return err
	}
	return s.checkValue(p, h, rec)
}

// checkRecord verifies that the key record allows this signature.
func (s *Signature) checkRecord(p profile, rec *Record, r Rules) error {
	algorithm, keyType := s.Algorithm, ""
	switch algorithm {
	case algorithmRSA:
		keyType = keyRSA
	case algorithmEd25519:
		keyType = keyEd25519
	default:
		return s.checkAlgorithm()
	}
	switch {
	case rec == nil:
		return failf(ReasonKeyMissing, "no key record")
	case rec.Revoked:
		return failf(ReasonKeyRevoked, "p= is empty")
	case rec.KeyType != keyType:
		return failf(ReasonKeyMismatch, "k=%s cannot verify a=%s", rec.KeyType, algorithm)
	case rec.Hashes != nil && !slices.Contains(rec.Hashes, "sha256"):
		return failf(ReasonKeyMismatch, "h= of the key lacks sha256")
	case rec.Services != nil && !slices.ContainsFunc(rec.Services, func(s string) bool { return slices.Contains(p.services, s) }):
		return failf(ReasonKeyMismatch, "s= of the key allows none of %s", strings.Join(p.services, ", "))
	case rec.Testing:
		return failf(ReasonKeyTesting, "t=y: the key is being tested")
	}
	if domain, _ := s.identityDomain(); rec.Strict && domain != s.Domain {
		return failf(ReasonKeyMismatch, "t=s: i= must be in d= itself")
	}
	if pub, ok := rec.Public.(*rsa.PublicKey); ok {
		if bits := pub.N.BitLen(); bits < r.minRSABits() || bits > mostRSABits {
			return failf(ReasonKeySize, "RSA key of %d bits, %d to %d are accepted", bits, r.minRSABits(), mostRSABits)
		}
	}
	return nil
}

// checkValue verifies b=.
func (s *Signature) checkValue(p profile, h http.Header, rec *Record) error {
	if rec == nil {
		return failf(ReasonKeyMissing, "no key record")
	}
	digest, err := p.headerHash(h, s.Headers, s.raw)
	if err != nil {
		return err
	}
	return s.checkDigest(digest, rec)
}

func (s *Signature) checkDigest(digest [sha256.Size]byte, rec *Record) error {
	good := false
	switch pub := rec.Public.(type) {
	case *rsa.PublicKey:
		good = s.Algorithm == algorithmRSA && rsa.VerifyPKCS1v15(pub, crypto.SHA256, digest[:], s.Value) == nil
	case ed25519.PublicKey:
		// RFC 8463 §3: the signed message is the SHA-256 digest.
		good = s.Algorithm == algorithmEd25519 && len(pub) == ed25519.PublicKeySize && ed25519.Verify(pub, digest[:], s.Value)
	}
	if !good {
		return failf(ReasonBadSignature, "b= does not match the signed fields")
	}
	return nil
}
