package submission

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/snapshot"
)

// keySubmitter signs what it submits, with a key that no look-up can replace.
type keySubmitter struct {
	submitter
	domain, selector string // d= and s=
	record           *dkim.Record
}

func newKeySubmitter(who submitter, pin *snapshot.PinnedKey) (keySubmitter, error) {
	record, err := dkim.ParseRecord(pin.Record)
	if err != nil {
		return keySubmitter{}, fmt.Errorf("pinned key: %w", err)
	}
	domain := pin.Domain
	if domain == "" {
		domain = who.domain.Name
	}
	return keySubmitter{who, domain, pin.Selector, record}, nil
}

// The rules for a submitter's signature are those for peers (IS-DKIM-7): it must be recent, so a t= is wanted.
var signatureRules = dkim.Rules{}

// bySignature finds the submitters whose pinned key made the request's signature, as far as the header can tell; the body
// is checkSigned's. A request with more than one signature is refused: each would have to be remembered on its own.
func (s *submitters) bySignature(req *http.Request, now time.Time) (identity, error) {
	values, err := dkim.Fields(req.Header)
	if err != nil {
		return nil, err
	}
	if len(values) > 1 {
		return nil, &dkim.Error{Reason: dkim.ReasonSyntax, Detail: "one DKIM-Signature is wanted"}
	}
	sig, err := dkim.ParseSignature(values[0])
	if err != nil {
		return nil, err
	}
	if err := sig.CheckTime(now, signatureRules); err != nil {
		return nil, err
	}
	var found identity
	failure := error(&dkim.Error{Reason: dkim.ReasonKeyMissing, Detail: "no submitter has this d= and s="})
	for _, k := range s.keys {
		if k.domain != sig.Domain || k.selector != sig.Selector {
			continue
		}
		if failure = checkHeader(sig, req, k.record); failure == nil {
			who := k.submitter
			who.signature = sig
			found = append(found, who)
		}
	}
	if len(found) == 0 {
		return nil, failure
	}
	return found, nil
}

// checkHeader verifies everything but time and body. The profile of draft-01 is taken here and nowhere else.
func checkHeader(sig *dkim.Signature, req *http.Request, record *dkim.Record) error {
	if sig.IsDraft01() {
		return sig.CheckDraft01(req.Host, req.Header, record, signatureRules)
	}
	if err := sig.CheckStatic(req.Header); err != nil {
		return err
	}
	return sig.CheckKey(req.Header, record, signatureRules)
}

// checkSigned verifies the body against the signature that s was found by, and that it was not used before: DAViCal signs
// no message id and verifies no certificate, so that somebody in between could repeat a free/busy question. DAViCal itself posts a
// changed series once for every component that names the attendee: such a repeat gets the answer to the first, not nil.
func (h *Handler) checkSigned(s *submitter, body []byte) (*ischedule.Response, *ischedule.Error) {
	check := s.signature.CheckBody
	if s.signature.IsDraft01() {
		check = s.signature.CheckBodyDraft01
	}
	if err := check(body); err != nil {
		return nil, signatureRefusal(err)
	}
	now := h.cfg.Now()
	claim, answer := h.cfg.Shared.used.first(sha256.Sum256(s.signature.Value), s.signature.AcceptedUntil(signatureRules), now)
	switch {
	case claim == repeated && answer == nil:
		return nil, signatureRefusal(&dkim.Error{Reason: "signature-repeated", Detail: "this very signature was used before"})
	case claim == full:
		return nil, &ischedule.Error{Status: http.StatusServiceUnavailable, Reason: "signature-memory", RetryAfter: time.Minute,
			Description: "more signed messages than this gateway remembers; try again later"}
	}
	return answer, nil
}

// rememberAnswer keeps the answer to a signed message for its repeats, where it tells nothing but the status of one recipient.
func (h *Handler) rememberAnswer(s *submitter, answer *ischedule.Response) {
	if len(answer.Results) == 1 && len(answer.Results[0].CalendarData) == 0 {
		h.cfg.Shared.used.answered(sha256.Sum256(s.signature.Value), answer)
	}
}

// signatureRefusal is the answer to a signature that does not hold.
func signatureRefusal(err error) *ischedule.Error {
	reason := dkim.ReasonSyntax
	var failure *dkim.Error
	if errors.As(err, &failure) {
		reason = failure.Reason
	}
	refusal := ischedule.NewError(ischedule.VerificationFailed, reason, "the DKIM signature was not accepted: "+reason)
	refusal.Err = err
	return refusal
}
