// Package dkim signs and verifies HTTP messages with DKIM (RFC 6376, RFC 8301, RFC 8463) in the profile
// of draft-desruisseaux-ischedule-05 §7 (D05): ischedule-relaxed header canonicalisation, simple body.
// It looks up no keys, keeps no clock, and decides nothing about who may sign for whom beyond
// what the signature itself must satisfy.
package dkim

import (
	"crypto"
	"net/http"
	"time"
)

// Key look-up methods of the q= tag (D05 §7.3).
const (
	MethodDNS       = "dns/txt"
	MethodWellKnown = "http/well-known"
	MethodPrivate   = "private-exchange"
)

// Signature is one parsed DKIM-Signature field.
type Signature struct {
	Algorithm        string    // a=, lower-case: "rsa-sha256"
	Canonicalization string    // c=
	Domain           string    // d=, A-label, lower-case
	Selector         string    // s=, lower-case
	Identity         string    // i=, "@d" when absent
	Headers          []string  // h=, as written, order kept
	Query            []string  // q= methods, lower-case; [dns/txt] when absent
	Time             time.Time // t=, zero when absent
	Expires          time.Time // x=, zero when absent
	BodyHash         []byte    // bh=
	Value            []byte    // b=
	// unexported: the raw field value
	raw string
}

// Error is a verification failure with a stable reason code.
type Error struct {
	Reason string // one of the Reason… constants
	Detail string // for logs and the `dkim verify` command; holds no secret
}

func (e *Error) Error() string { panic("CONTRACT STUB") }

// Reason codes: stable, printed by the command line, counted in metrics.
const (
	ReasonMissing          = "signature-missing"
	ReasonTooMany          = "signature-too-many"
	ReasonSyntax           = "signature-syntax"
	ReasonVersion          = "signature-version"
	ReasonAlgorithm        = "signature-algorithm"
	ReasonCanonicalization = "signature-canonicalization"
	ReasonLength           = "signature-body-length" // l=
	ReasonHeaders          = "signature-headers"     // h= lacks a mandatory or holds a forbidden field
	ReasonIdentity         = "signature-identity"    // i= outside d=
	ReasonAlignment        = "signature-alignment"   // d= does not speak for the Originator
	ReasonTimeMissing      = "signature-time-missing"
	ReasonFuture           = "signature-future"
	ReasonExpired          = "signature-expired"
	ReasonBodyHash         = "body-hash-mismatch"
	ReasonKeySyntax        = "key-syntax"
	ReasonKeyMissing       = "key-missing"
	ReasonKeyRevoked       = "key-revoked"
	ReasonKeyTesting       = "key-testing"
	ReasonKeyMismatch      = "key-mismatch" // k=, h=, s=, t=s do not allow this signature
	ReasonKeySize          = "key-size"
	ReasonBadSignature     = "signature-mismatch"
)

// MaxSignatures is how many DKIM-Signature fields of one message are tried (IS-DKIM-6).
const MaxSignatures = 4

// Rules are what a verifier demands beyond RFC 6376; the zero value is the default.
type Rules struct {
	MaxAge       time.Duration // 0 = 1 h (IS-DKIM-7)
	MinRSABits   int           // 0 = 2048; below 1024 is raised to 1024 (IS-DKIM-5)
	TimeOptional bool          // PeerPolicy signatureTime: Optional
}

// ParseSignature reads the value of one DKIM-Signature field. Errors are *Error.
func ParseSignature(value string) (*Signature, error) { panic("CONTRACT STUB") }

// CheckStatic verifies what needs neither clock nor key: algorithm, canonicalisation, l=, h= content (h is
// the message's header: Authorization must be signed when present), i=. IS-DKIM-4..8.
func (s *Signature) CheckStatic(h http.Header) error { panic("CONTRACT STUB") }

// CheckTime verifies t= and x= against now. IS-DKIM-7.
func (s *Signature) CheckTime(now time.Time, r Rules) error { panic("CONTRACT STUB") }

// CheckBody verifies bh= against the transfer-decoded body. IS-DKIM-1.
func (s *Signature) CheckBody(body []byte) error { panic("CONTRACT STUB") }

// CheckKey verifies that rec may be used for this signature and that the signature is right.
// IS-DKIM-2,3,5,10.
func (s *Signature) CheckKey(h http.Header, rec *Record, r Rules) error { panic("CONTRACT STUB") }

// AlignedWith says whether d= speaks for originatorDomain: equal or its parent, never a public suffix, or
// listed in thirdParty. IS-DKIM-8.
func (s *Signature) AlignedWith(originatorDomain string, thirdParty []string) error {
	panic("CONTRACT STUB")
}

// Valid until: the instant after which the signature is no longer accepted: min(x=, t= + maxAge) + grace.
// The zero time when there is neither t= nor x=. Replay memory must outlast it (IS-RECV-10).
func (s *Signature) AcceptedUntil(r Rules) time.Time { panic("CONTRACT STUB") }

// Signs says whether field name is covered by h=.
func (s *Signature) Signs(name string) bool { panic("CONTRACT STUB") }

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
// ReasonKeySyntax; a revoked key is a Record, not an error. IS-DKIM-10.
func ParseRecord(s string) (*Record, error) { panic("CONTRACT STUB") }

// FormatRecord writes the record to publish for a public key: v=DKIM1; k=…; p=… without s=
// unless iScheduleOnly. peer-quirks: Cyrus and DAViCal refuse s=ischedule.
func FormatRecord(pub crypto.PublicKey, iScheduleOnly bool) (string, error) { panic("CONTRACT STUB") }

// Signer makes DKIM-Signature values for one key. Safe for concurrent use.
type Signer struct {
	Domain   string
	Selector string
	Key      crypto.Signer // *rsa.PrivateKey or ed25519.PrivateKey
	Query    []string      // q=, nil = leave out (dns/txt)
	Lifetime time.Duration // x= - t=; 0 = 300 s, at least 60 s (IS-DKIM-7)
}

// Sign returns the value of the DKIM-Signature field for a request with these header fields and this
// body: one line, tags separated by "; ", each name once in h=. It signs Content-Type,
// iSchedule-Version, Originator, Recipient, and iSchedule-Message-ID, User-Agent and Authorization when
// present. h is not changed. IS-DKIM-4.
func (s *Signer) Sign(h http.Header, body []byte, now time.Time) (string, error) {
	panic("CONTRACT STUB")
}

// ParsePrivateKey reads a PEM private key (PKCS#8 or PKCS#1; RSA 1024–4096 bits or Ed25519). Errors name
// the problem, never the material.
func ParsePrivateKey(pem []byte) (crypto.Signer, error) { panic("CONTRACT STUB") }
