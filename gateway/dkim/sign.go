package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Lifetimes of what we sign. IS-DKIM-7.
const (
	defaultLifetime = 300 * time.Second
	leastLifetime   = 60 * time.Second
)

var errKeyType = errors.New("key is neither RSA nor Ed25519")

// Signer makes DKIM-Signature values for one key. Safe for concurrent use.
type Signer struct {
	Domain   string
	Selector string
	Key      crypto.Signer // *rsa.PrivateKey or ed25519.PrivateKey
	Query    []string      // q=, nil = leave out (dns/txt)
	Lifetime time.Duration // x= - t=; 0 = 300 s, raised to 60 s (IS-DKIM-7)
}

// Sign returns the value of the DKIM-Signature field for a request with these header fields and this
// body: one line, tags separated by "; ", each name once in h=. It signs Content-Type,
// iSchedule-Version, Originator, Recipient, and iSchedule-Message-ID, User-Agent and Authorization when
// present. h is not changed. IS-DKIM-4.
func (s *Signer) Sign(h http.Header, body []byte, now time.Time) (string, error) {
	return s.sign(iSchedule, h, body, now)
}

func (s *Signer) sign(p profile, h http.Header, body []byte, now time.Time) (string, error) {
	h, err := canonicalNames(h)
	if err != nil {
		return "", err
	}
	names, err := p.namesToSign(h)
	if err != nil {
		return "", err
	}
	f := form{canonicalization: p.canonicalizations[0], query: s.Query, names: names, bodyHash: bodyHash(body)}
	return s.write(f, now, func(unsigned string) ([sha256.Size]byte, error) { return p.headerHash(h, names, unsigned) })
}

// form is what differs between the signatures that one Signer makes.
type form struct {
	canonicalization string
	query            []string
	names            []string // h=
	bodyHash         [sha256.Size]byte
}

// write makes the field value. Hash digests the header with the value so far, which ends in an empty b=.
func (s *Signer) write(f form, now time.Time, hash func(unsigned string) ([sha256.Size]byte, error)) (string, error) {
	algorithm, err := s.algorithm()
	if err != nil {
		return "", err
	}
	domain, selector := strings.ToLower(s.Domain), strings.ToLower(s.Selector)
	if !IsDomain(domain) || !IsDomain(selector) || len(selector)+len("._domainkey.")+len(domain) > maxDomainLen {
		return "", errors.New("signing domain or selector is no domain name")
	}
	lifetime := s.Lifetime
	if lifetime == 0 {
		lifetime = defaultLifetime
	}
	lifetime = max(lifetime, leastLifetime)

	var b strings.Builder
	b.WriteString("v=1; a=" + algorithm + "; c=" + f.canonicalization + "; d=" + domain + "; s=" + selector)
	b.WriteString("; t=" + strconv.FormatInt(now.Unix(), 10) + "; x=" + strconv.FormatInt(now.Add(lifetime).Unix(), 10))
	if len(f.query) > 0 {
		query := strings.Join(f.query, ":")
		if !plainText(query) || strings.ContainsAny(query, " \t\r\n;") {
			return "", errors.New("look-up method with a blank or semicolon")
		}
		b.WriteString("; q=" + query)
	}
	b.WriteString("; h=" + strings.Join(f.names, ":") + "; bh=" + base64.StdEncoding.EncodeToString(f.bodyHash[:]) + "; b=")

	digest, err := hash(b.String())
	if err != nil {
		return "", err
	}
	var opts crypto.SignerOpts = crypto.SHA256
	if algorithm == algorithmEd25519 {
		opts = crypto.Hash(0) // RFC 8463 §3: the digest is the message
	}
	value, err := s.Key.Sign(rand.Reader, digest[:], opts)
	if err != nil {
		return "", fmt.Errorf("signing with selector %s: %w", selector, err)
	}
	b.WriteString(base64.StdEncoding.EncodeToString(value))
	return b.String(), nil
}

func (s *Signer) algorithm() (string, error) {
	if s.Key == nil {
		return "", errors.New("no signing key")
	}
	switch pub := s.Key.Public().(type) {
	case *rsa.PublicKey:
		if err := checkSigningSize(pub); err != nil {
			return "", err
		}
		return algorithmRSA, nil
	case ed25519.PublicKey:
		return algorithmEd25519, nil
	}
	return "", errKeyType
}

func (p profile) namesToSign(h http.Header) ([]string, error) {
	names := make([]string, 0, len(p.mandatory)+len(p.optional))
	for _, name := range p.mandatory {
		if len(h[http.CanonicalHeaderKey(name)]) == 0 {
			return nil, fmt.Errorf("nothing to sign: no %s field", name)
		}
		names = append(names, name)
	}
	for _, name := range p.optional {
		if len(h[http.CanonicalHeaderKey(name)]) > 0 {
			names = append(names, name)
		}
	}
	return names, nil
}

// canonicalNames returns h with canonical names: senders may spell them as the wire shall show them.
func canonicalNames(h http.Header) (http.Header, error) {
	same := true
	for name := range h {
		same = same && name == http.CanonicalHeaderKey(name)
	}
	if same {
		return h, nil
	}
	out := make(http.Header, len(h))
	for name, values := range h {
		key := http.CanonicalHeaderKey(name)
		if _, dup := out[key]; dup {
			return nil, fmt.Errorf("field %s stands under two spellings", key)
		}
		out[key] = values
	}
	return out, nil
}
