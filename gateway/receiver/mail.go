package receiver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"github.com/calfed/calfed/gateway/ischedule"
)

// Mail runs a message of a stranger that came by mail, its Originator proven by DKIM and DMARC (package imip), through everything
// that follows the signature: policy, iCalendar, iTIP, capabilities, replay memory, delivery. IS-SUB-2.
//
// The request names component and method, and its MessageID is the mail's Message-ID. The same mail again is delivered once to
// each recipient, who gets the recorded answer; 5.1 is not recorded, because mail is tried again as it is (IS-RECV-10). Free/busy is
// refused: mail answers nothing in real time. What a policy hides from strangers (IS-RECV-9) it hides here too: a mail server tells
// them what we answer.
func (r *Receiver) Mail(ctx context.Context, req *ischedule.Request) (*ischedule.Response, *ischedule.Error) {
	m := &Message{started: r.cfg.Now(), Request: req, mail: true}
	err := r.run(ctx, m, r.mailSteps())
	r.report(ctx, m, err)
	if err != nil {
		return nil, err
	}
	return m.response(), nil
}

// noQuestion refuses what wants an answer at once.
func (r *Receiver) noQuestion(_ context.Context, m *Message) *ischedule.Error {
	if m.ITIP.Component == "VFREEBUSY" {
		return invalidMessage(http.StatusForbidden, "freebusy-mail", "Free/busy is not answered by mail.")
	}
	return nil
}

// replayMail claims the message for each recipient, or answers from the replay memory: servers on its way split a mail among its
// recipients as they like, and try each part again by itself.
func (r *Receiver) replayMail(ctx context.Context, m *Message) *ischedule.Error {
	body := sha256.Sum256(m.Request.Body)
	hash := hex.EncodeToString(body[:])
	for _, rc := range m.open() {
		claim := Claim{
			Key: hashOf("mail", m.Request.MessageID, hash, m.Request.Originator.Key(), rc.address.Key()),
			// as without t=: nothing says for how long the mail can be sent again
			Keep: r.cfg.Now().Add(untimedMemory), Lease: r.deliveryTimeout() + leaseMargin,
		}
		state, err := r.memory.Begin(ctx, claim)
		switch {
		case err != nil:
			r.abandon(ctx, m)
			return unavailable("replay-unavailable", "The message cannot be recorded now.", retryLater, err)
		case state.Status == InProgress:
			r.abandon(ctx, m)
			return unavailable("replay-in-progress", "The same message is being delivered.", retrySoon, nil)
		case state.Status == Finished && rc.recall(state.Answer):
			continue
		}
		rc.claim = &claim
		m.claims = append(m.claims, claim)
	}
	m.replayed = len(m.claims) == 0
	return nil
}

// recall settles rc as it was recorded.
func (rc *recipient) recall(answer []byte) bool {
	recorded, err := ischedule.ReadResponse(answer)
	if err != nil || len(recorded.Results) != 1 {
		return false
	}
	rc.settle(recorded.Results[0].Status, recorded.Results[0].Description, nil)
	return true
}

// finishMail records what became of each recipient.
func (r *Receiver) finishMail(ctx context.Context, m *Message) {
	var again []Claim
	for _, rc := range m.recipients {
		switch {
		case rc.claim == nil:
		case rc.result.Status.Code == ischedule.StatusUnavailable.Code:
			again = append(again, *rc.claim)
		default:
			answer := &ischedule.Response{Results: []ischedule.RecipientResult{rc.result}}
			r.record(ctx, *rc.claim, answer.Marshal())
		}
	}
	m.claims = again
	r.abandon(ctx, m)
}
