package dkim

import (
	"net/http"
	"time"
)

// Check is one verification step and its outcome.
type Check struct {
	Name string // stable, for a person: "algorithm", "body hash", …
	Err  error  // nil, or an *Error
}

// Checks runs every step, also after one has failed, in the order in which a receiver takes them: for a
// person who wants to know all that is wrong. Alignment with the Originator is not among them.
func (s *Signature) Checks(h http.Header, body []byte, rec *Record, now time.Time, r Rules) []Check {
	return []Check{
		{"algorithm", s.checkAlgorithm()},
		{"canonicalization", s.checkCanonicalization(iSchedule)},
		{"body length", s.checkLength()},
		{"signed fields", s.checkHeaders(iSchedule, h)},
		{"identity", s.checkIdentity()},
		{"time", s.CheckTime(now, r)},
		{"key record", s.checkRecord(iSchedule, rec, r)},
		{"body hash", s.CheckBody(body)},
		{"signature", s.checkValue(iSchedule, h, rec)},
	}
}
