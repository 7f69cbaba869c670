package dkim

import "fmt"

// Error is a verification failure with a stable reason code.
type Error struct {
	Reason string // one of the Reason… constants
	Detail string // for logs and the `dkim verify` command; holds no secret
}

func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Reason
	}
	return e.Reason + ": " + e.Detail
}

// Reason codes: stable, printed by the command line, counted in metrics.
const (
	ReasonMissing          = "signature-missing"
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

func failf(reason, format string, args ...any) *Error {
	return &Error{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}
