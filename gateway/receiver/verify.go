package receiver

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/keys"
)

// Reason codes of a verification beside those of package dkim.
const (
	reasonKeyMethod    = "key-method"
	reasonKeyTemporary = "key-temporary"
	reasonKeyBudget    = "key-budget"
)

const (
	// keyTimeout bounds one key look-up, all its DNS and HTTP steps together.
	keyTimeout = 10 * time.Second
	// refreshAge is how old a cached key must be to be asked for again after a failure (IS-DKIM-12).
	refreshAge = 60 * time.Second
	// replayGrace is how much longer than a signature is accepted its message is remembered: clocks of replicas differ.
	replayGrace = time.Minute
	// untimedMemory is how long a message without t= is remembered (IS-DKIM-7).
	untimedMemory = 30 * 24 * time.Hour
)

// verify decides whether the message is signed as each recipient domain's policy demands. A domain whose rules are
// not met keeps its refusal for the policy step; the request fails when no domain is satisfied.
func (r *Receiver) verify(ctx context.Context, m *Message) *ischedule.Error {
	sets := m.ruleSets()
	if len(sets) == 0 { // nobody will get it, but only a signed message is told so
		var refused *ischedule.Error
		for _, ru := range r.rules.anywhere(m.peer()) {
			err := r.verifyUnder(ctx, m, ru)
			if err == nil {
				return nil
			}
			refused = graver(refused, err)
		}
		return refused
	}
	var refused *ischedule.Error
	for _, ru := range sets {
		err := r.verifyUnder(ctx, m, ru)
		for _, rt := range m.routes {
			if rt.rules == ru {
				rt.refused = err
			}
		}
		if err != nil {
			refused = graver(refused, err)
		}
	}
	if len(m.verified) == 0 {
		return refused
	}
	return nil
}

// graver is the error to answer with: one that passes must not be hidden behind one that does not (IS-DKIM-13).
func graver(a, b *ischedule.Error) *ischedule.Error {
	if a == nil || a.RetryAfter == 0 && b.RetryAfter > 0 {
		return b
	}
	return a
}

// verifyUnder tries each signature under one set of rules and adds those that hold to m.verified. The first decides;
// the others are tried too, so that the replay memory knows the message by every signature it could come back with.
func (r *Receiver) verifyUnder(ctx context.Context, m *Message, ru *rules) *ischedule.Error {
	var worst *failure
	var passing *ischedule.Error // temporary failure or exhausted budget
	held := false
	for _, c := range m.signatures {
		if c.failed != nil {
			worst = farther(worst, c.failed)
			continue
		}
		f, err := r.verifyOne(ctx, m, c.signature, ru)
		switch {
		case err != nil:
			passing = graver(passing, err)
		case f != nil:
			worst = farther(worst, f)
		default:
			held = true
			m.remember(c.signature, ru.dkim, r.cfg.Now())
		}
	}
	switch {
	case held:
		return nil
	case passing != nil:
		return passing
	default:
		return worst.refusal()
	}
}

// remember adds a signature that holds.
func (m *Message) remember(sig *dkim.Signature, ru dkim.Rules, now time.Time) {
	until := sig.AcceptedUntil(ru)
	if sig.Time.IsZero() && until.Before(now.Add(untimedMemory)) {
		until = now.Add(untimedMemory)
	}
	until = until.Add(replayGrace)
	for i := range m.verified {
		if v := &m.verified[i]; v.signature == sig {
			if v.until.Before(until) {
				v.until = until
			}
			return
		}
	}
	m.verified = append(m.verified, verified{signature: sig, until: until})
}

// verifyOne tries one signature under one set of rules. The error is one that may pass; a failure is final.
func (r *Receiver) verifyOne(ctx context.Context, m *Message, sig *dkim.Signature, ru *rules) (*failure, *ischedule.Error) {
	if err := sig.AlignedWith(m.peer(), ru.signers); err != nil {
		return failedAt(atAlignment, err), nil
	}
	if err := sig.CheckTime(r.cfg.Now(), ru.dkim); err != nil {
		return failedAt(atTime, err), nil
	}
	// before the key: no look-up for a body that does not fit
	if err := sig.CheckBody(m.Request.Body); err != nil {
		return failedAt(atBody, err), nil
	}
	ctx, cancel := context.WithTimeout(ctx, keyTimeout)
	defer cancel()
	ask := keys.Request{Domain: sig.Domain, Selector: sig.Selector, Query: sig.Query, Policy: ru.inbound, Admit: r.admission(m, sig.Domain)}
	found, err := r.cfg.Keys.Find(ctx, ask)
	if f, passing := r.keyFailure(err); f != nil || passing != nil {
		return f, passing
	}
	r.countLookup(found)
	f := tryRecords(m, sig, found, ru.dkim)
	if f == nil || found.Cached <= refreshAge {
		return f, nil
	}
	// the key may have been replaced under its selector (IS-DKIM-12)
	fresh, asked, err := r.cfg.Keys.Refresh(ctx, ask)
	if !asked && err == nil {
		return f, nil
	}
	if f, passing := r.keyFailure(err); f != nil || passing != nil {
		return f, passing
	}
	r.countLookup(fresh)
	return tryRecords(m, sig, fresh, ru.dkim), nil
}

// admission takes one look-up out of the budgets when the first one goes out for a signature, however many steps it has.
// A key that is cached, or being looked up for another message, costs nothing.
func (r *Receiver) admission(m *Message, domain string) func() error {
	return sync.OnceValue(func() error {
		if refused := r.lookupBudget(m, domain); refused != nil {
			return refused
		}
		return nil
	})
}

func (r *Receiver) lookupBudget(m *Message, domain string) *ischedule.Error {
	l := r.gateway().Limits
	wait, ok := r.cfg.Shared.budgets.lookup(r.cfg.Now(), sourceOf(m.http.RemoteAddr), strings.Clone(domain), // the header must not live on in a budget
		l.KeyLookupsPerSource, l.KeyLookupsPerDomain, l.KeyLookups)
	if ok {
		return nil
	}
	r.cfg.Shared.Metrics.lookup("over-budget")
	return tooMany(reasonKeyBudget, "Too many key look-ups; try again later.", wait)
}

// keyFailure tells a look-up's failures apart: final ones, and those that may pass (IS-DKIM-13).
func (r *Receiver) keyFailure(err error) (*failure, *ischedule.Error) {
	reason := ""
	var refused *ischedule.Error
	switch {
	case err == nil:
		return nil, nil
	case errors.As(err, &refused): // by admission
		return nil, refused
	case errors.Is(err, keys.ErrRevoked):
		reason = dkim.ReasonKeyRevoked
	case errors.Is(err, keys.ErrNotFound):
		reason = dkim.ReasonKeyMissing
	case errors.Is(err, keys.ErrMethod):
		reason = reasonKeyMethod
	default: // what we do not know may pass
		r.cfg.Shared.Metrics.lookup("temporary")
		return nil, unavailable(reasonKeyTemporary, "The signing key cannot be looked up now.", retryLater, err)
	}
	r.cfg.Shared.Metrics.lookup("none")
	return &failure{at: atKey, reason: reason, err: err}, nil
}

func (r *Receiver) countLookup(found *keys.Found) {
	switch {
	case found.Method == dkim.MethodPrivate:
		r.cfg.Shared.Metrics.lookup("pinned")
	case found.Cached > 0:
		r.cfg.Shared.Metrics.lookup("cached")
	default:
		r.cfg.Shared.Metrics.lookup("found")
	}
}

// tryRecords tries each key record; nil when the signature holds under one.
func tryRecords(m *Message, sig *dkim.Signature, found *keys.Found, ru dkim.Rules) *failure {
	worst := &failure{at: atKey, reason: dkim.ReasonKeyMissing}
	for _, rec := range found.Records {
		err := sig.CheckKey(m.http.Header, rec, ru)
		if err == nil {
			return nil
		}
		f := failedAt(atKey, err)
		if f.reason == dkim.ReasonBadSignature {
			f.at = atValue
		}
		if worst.err == nil || f.at > worst.at {
			worst = f
		}
	}
	return worst
}
