package receiver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/calfed/calfed/gateway/ischedule"
)

const (
	defaultDeliveryTimeout = 30 * time.Second
	// leaseMargin is what a run may need beside the delivery itself.
	leaseMargin = 30 * time.Second
)

func (r *Receiver) deliveryTimeout() time.Duration {
	if d := r.gateway().Limits.DeliveryTimeout; d > 0 {
		return d
	}
	return defaultDeliveryTimeout
}

// replay claims the message in the replay memory, or answers from it (IS-RECV-10). A message that carries several
// signatures that hold is claimed under each of them.
//
// The recorded answer comes back even where a recipient had 5.1 in it: who wants to send to that recipient again
// sends a new message, with a Message-ID of its own.
func (r *Receiver) replay(ctx context.Context, m *Message) *ischedule.Error {
	for _, claim := range m.distinctClaims(r.deliveryTimeout() + leaseMargin) {
		state, err := r.memory.Begin(ctx, claim)
		if err == nil && state.Status == Fresh {
			m.claims = append(m.claims, claim)
			continue
		}
		r.abandon(ctx, m)
		switch {
		case err != nil:
			return unavailable("replay-unavailable", "The message cannot be recorded now.", retryLater, err)
		case state.Status == InProgress:
			return unavailable("replay-in-progress", "The same message is being delivered.", retrySoon, nil)
		case state.Status == Conflict:
			return replayed("replay-conflict", "Another message had this iSchedule-Message-ID.")
		case state.Answer == nil: // free/busy: the answer of then is not the answer of now
			return replayed("replay-freebusy", "This message was answered before.")
		}
		m.answer, m.replayed = state.Answer, true
		return nil
	}
	return nil
}

func replayed(reason, description string) *ischedule.Error {
	return &ischedule.Error{
		Name: ischedule.VerificationFailed, Status: http.StatusForbidden, Reason: reason, Description: description,
	}
}

// distinctClaims are the names of the message; signatures of one domain agree on it when they sign the Message-ID.
func (m *Message) distinctClaims(lease time.Duration) []Claim {
	var claims []Claim
	for _, v := range m.verified {
		c := m.claim(v, lease)
		i := slices.IndexFunc(claims, func(other Claim) bool { return other.Key == c.Key })
		switch {
		case i < 0:
			claims = append(claims, c)
		case claims[i].Keep.Before(c.Keep):
			claims[i].Keep = c.Keep
		}
	}
	return claims
}

// claim names the message by one of its signatures.
func (m *Message) claim(v verified, lease time.Duration) Claim {
	sig := v.signature
	c := Claim{Keep: v.until, Lease: lease}
	if m.Request.MessageID == "" || !sig.Signs(ischedule.HeaderMessageID) {
		c.Key = hashOf("signature", sig.Domain, sig.Selector, hex.EncodeToString(sig.Value))
		return c
	}
	recipients := slices.Clone(m.bad)
	for _, rc := range m.recipients {
		recipients = append(recipients, rc.address.Key())
	}
	slices.Sort(recipients)
	parts := []string{"message", sig.Domain, m.Request.MessageID, hex.EncodeToString(sig.BodyHash), m.Request.Originator.Key()}
	c.Key = hashOf(append(parts, recipients...)...)
	c.MessageID = hashOf("id", sig.Domain, m.Request.MessageID)
	return c
}

// hashOf is a hash of the parts that no other parts share. JSON keeps them apart.
func hashOf(parts ...string) string {
	b, _ := json.Marshal(parts) // strings: cannot fail
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// abandon gives the claims back: nothing was delivered, and a repeat may run.
func (r *Receiver) abandon(ctx context.Context, m *Message) {
	for _, c := range m.claims {
		if err := r.memory.Abandon(context.WithoutCancel(ctx), c); err != nil {
			r.cfg.Log.WarnContext(ctx, "claim not released: a repeat waits for its lease to end", "error", err)
		}
	}
	m.claims = nil
}

// finish records the answer.
func (r *Receiver) finish(ctx context.Context, m *Message) {
	if m.mail {
		r.finishMail(ctx, m)
		return
	}
	answer := m.answer
	if m.asksFreeBusy() {
		answer = nil
	}
	for _, c := range m.claims {
		r.record(ctx, c, answer)
	}
}

// record finishes a claim. A failure is logged only: the message is delivered, and the lease holds repeats off for a while.
func (r *Receiver) record(ctx context.Context, c Claim, answer []byte) {
	if err := r.memory.Finish(context.WithoutCancel(ctx), c, answer); err != nil {
		r.cfg.Log.WarnContext(ctx, "answer not recorded: a repeat may be delivered again", "error", err)
	}
}
