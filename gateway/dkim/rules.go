package dkim

import "time"

// Clock tolerances of IS-DKIM-7.
const (
	futureSkew    = 5 * time.Minute
	expiryGrace   = time.Minute
	defaultMaxAge = time.Hour
)

// Rules are what a verifier demands beyond RFC 6376; the zero value is the default.
type Rules struct {
	MaxAge       time.Duration // 0 = 1 h (IS-DKIM-7)
	MinRSABits   int           // 0 = 2048; below 1024 is raised to 1024 (IS-DKIM-5)
	TimeOptional bool          // PeerPolicy signatureTime: Optional
}

func (r Rules) maxAge() time.Duration {
	if r.MaxAge <= 0 {
		return defaultMaxAge
	}
	return r.MaxAge
}

func (r Rules) minRSABits() int {
	if r.MinRSABits == 0 {
		return defaultRSABits
	}
	return max(r.MinRSABits, leastRSABits)
}

// CheckTime verifies t= and x= against now. IS-DKIM-7.
func (s *Signature) CheckTime(now time.Time, r Rules) error {
	if s.Time.IsZero() && !r.TimeOptional {
		return failf(ReasonTimeMissing, "no t=")
	}
	if s.Time.After(now.Add(futureSkew)) {
		return failf(ReasonFuture, "t= is %s ahead", s.Time.Sub(now).Round(time.Second))
	}
	if !s.Expires.IsZero() && !s.Expires.After(s.Time) {
		return failf(ReasonExpired, "x= is not after t=")
	}
	if until := s.AcceptedUntil(r); !until.IsZero() && now.After(until) {
		return failf(ReasonExpired, "was accepted until %s", until.UTC().Format(time.RFC3339))
	}
	return nil
}

// AcceptedUntil is the instant after which the signature is no longer accepted: min(x=, t= + maxAge) + grace.
// The zero time when there is neither t= nor x=: then nothing but memory stops a replay. Replay memory
// must outlast it (IS-RECV-10).
func (s *Signature) AcceptedUntil(r Rules) time.Time {
	var until time.Time
	if !s.Time.IsZero() {
		until = s.Time.Add(r.maxAge())
	}
	if !s.Expires.IsZero() && (until.IsZero() || s.Expires.Before(until)) {
		until = s.Expires
	}
	if until.IsZero() {
		return until
	}
	return until.Add(expiryGrace)
}
