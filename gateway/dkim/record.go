package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"math"
	"strings"
)

// Values of k= and of s= in a key record.
const (
	keyRSA           = "rsa"
	keyEd25519       = "ed25519"
	serviceISchedule = "ischedule"
)

// Record is a key record (RFC 6376 §3.6.1).
type Record struct {
	Public   crypto.PublicKey // *rsa.PublicKey or ed25519.PublicKey; nil when revoked
	KeyType  string           // k=, "rsa" when absent
	Hashes   []string         // h=, nil = any
	Services []string         // s=, nil = any
	Testing  bool             // t=y
	Strict   bool             // t=s
	Revoked  bool             // empty p=
}

// ParseRecord reads a key record as DNS TXT and http/well-known carry it. Errors are *Error with
// ReasonKeySyntax; a revoked key is a Record, not an error. The size of a key is not judged here.
// IS-DKIM-10.
func ParseRecord(s string) (*Record, error) {
	tags, err := parseTagList(s)
	if err != nil {
		return nil, failf(ReasonKeySyntax, "%v", err)
	}
	for i, t := range tags {
		if t.name == "v" && (i > 0 || t.value != "DKIM1") {
			return nil, failf(ReasonKeySyntax, "v= is not DKIM1, or not first")
		}
	}
	rec := &Record{KeyType: keyRSA}
	for _, t := range tags {
		switch t.name {
		case "h":
			rec.Hashes, err = splitList(strings.ToLower(t.value), maxListItems)
		case "k":
			rec.KeyType = strings.ToLower(t.value)
		case "s":
			rec.Services, err = splitList(strings.ToLower(t.value), maxListItems)
		case "t":
			var flags []string
			flags, err = splitList(strings.ToLower(t.value), maxListItems)
			rec.Testing = containsFold(flags, "y")
			rec.Strict = containsFold(flags, "s")
		}
		if err != nil {
			return nil, failf(ReasonKeySyntax, "%s=: %v", t.name, err)
		}
	}
	p, ok := tags.get("p")
	if !ok {
		return nil, failf(ReasonKeySyntax, "p= missing")
	}
	if p.value == "" {
		rec.Revoked = true
		return rec, nil
	}
	if rec.Public, err = parsePublicKey(rec.KeyType, p.value); err != nil {
		return nil, failf(ReasonKeySyntax, "p=: %v", err)
	}
	return rec, nil
}

func parsePublicKey(keyType, p string) (crypto.PublicKey, error) {
	der, err := decodeBase64(p)
	if err != nil {
		return nil, errors.New("not base64")
	}
	switch keyType {
	case keyEd25519:
		if len(der) != ed25519.PublicKeySize {
			return nil, errors.New("an Ed25519 key has 32 bytes")
		}
		if hasSmallOrder(der) {
			return nil, errors.New("unusable Ed25519 point")
		}
		return ed25519.PublicKey(der), nil
	case keyRSA:
		pub, err := parseRSA(der)
		if err != nil {
			return nil, err
		}
		if pub.E < 3 || pub.E%2 == 0 || pub.E > math.MaxInt32 {
			return nil, errors.New("unusable RSA exponent")
		}
		return pub, nil
	}
	return nil, errors.New("unknown key type")
}

// parseRSA takes a SubjectPublicKeyInfo, or a bare RSAPublicKey, which RFC 6376 names in its text (erratum 3017).
func parseRSA(der []byte) (*rsa.PublicKey, error) {
	if key, err := x509.ParsePKIXPublicKey(der); err == nil {
		if pub, ok := key.(*rsa.PublicKey); ok {
			return pub, nil
		}
		return nil, errors.New("not an RSA key")
	}
	pub, err := x509.ParsePKCS1PublicKey(der)
	if err != nil {
		return nil, errors.New("not an RSA key")
	}
	return pub, nil
}

// FormatRecord writes the record to publish for a public key: v=DKIM1; k=…; p=… without s=
// unless iScheduleOnly. peer-quirks: Cyrus and DAViCal refuse s=ischedule.
func FormatRecord(pub crypto.PublicKey, iScheduleOnly bool) (string, error) {
	var keyType string
	var data []byte
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		der, err := x509.MarshalPKIXPublicKey(pub)
		if err != nil {
			return "", err
		}
		keyType, data = keyRSA, der
	case ed25519.PublicKey:
		keyType, data = keyEd25519, pub
	default:
		return "", errKeyType
	}
	service := ""
	if iScheduleOnly {
		service = "s=" + serviceISchedule + "; "
	}
	return "v=DKIM1; k=" + keyType + "; " + service + "p=" + base64.StdEncoding.EncodeToString(data), nil
}
