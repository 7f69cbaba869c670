package receiver

import (
	"context"
	"net/http"
	"time"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
	"github.com/calfed/calfed/gateway/policy"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Message is one scheduling message on its way down. Each step fills in what it found.
type Message struct {
	Request *ischedule.Request // header step; the body follows in the body step
	ITIP    *itip.Message      // inspection step

	started time.Time
	http    *http.Request       // nil for a message in memory: local, or by mail
	writer  http.ResponseWriter // likewise
	free    func()              // gives back the memory reserved for the body

	local      bool         // of a submitter of ours
	mail       bool         // came by mail
	routes     []*route     // distinct local domains among the recipients
	recipients []*recipient // valid addresses, in the order of the request
	bad        []string     // the others: 3.7
	signatures []*candidate // at most dkim.MaxSignatures
	verified   []verified   // every signature that holds; several only when the message carries several
	claims     []Claim      // in the replay memory, one per verified signature, or recipient of a mail
	answer     []byte       // the schedule-response
	replayed   bool         // answer is the recorded one
}

// route is a local domain that recipients are in, with the policy that decides about the peer there.
type route struct {
	domain   *snapshot.Domain
	decision policy.Decision
	rules    *rules
	refused  *ischedule.Error // the signature does not hold under this policy's rules
}

// recipient is one recipient and what became of the message for it.
type recipient struct {
	address cua.Address
	route   *route // nil: no domain of ours
	done    bool
	result  ischedule.RecipientResult
	claim   *Claim           // on the message for this recipient, when it came by mail
	fell    *ischedule.Error // the error of the whole request, were every recipient to fall like this one
}

// signedBy is the d= of a signature that speaks for the Originator at the route, "" when the message has none.
func (m *Message) signedBy(rt *route) string {
	for _, v := range m.verified {
		if v.signature.AlignedWith(m.peer(), rt.rules.signers) == nil {
			return v.signature.Domain
		}
	}
	return ""
}

// verified is a signature that holds, and until when it can be sent again.
type verified struct {
	signature *dkim.Signature
	until     time.Time
}

// peer is the Originator's domain, "" before the header was read.
func (m *Message) peer() string {
	if m.Request == nil {
		return ""
	}
	return m.Request.Originator.Domain()
}

// settle ends the trip for one recipient. alike is the error of the request if all recipients end for the same
// reason, nil when their statuses are the answer all the same.
func (rc *recipient) settle(s ischedule.RequestStatus, description string, alike *ischedule.Error) {
	rc.done, rc.fell = true, alike
	rc.result = ischedule.RecipientResult{Recipient: rc.address.String(), Status: s, Description: description}
}

// open are the recipients that are still on their way.
func (m *Message) open() []*recipient {
	var open []*recipient
	for _, rc := range m.recipients {
		if !rc.done {
			open = append(open, rc)
		}
	}
	return open
}

// settled says whether nothing is left to do, and with which error when all recipients fell alike.
func (m *Message) settled() (bool, *ischedule.Error) {
	if len(m.recipients) == 0 || len(m.open()) > 0 {
		return false, nil
	}
	first := m.recipients[0].fell
	if first == nil || len(m.bad) > 0 {
		return true, nil
	}
	for _, rc := range m.recipients[1:] {
		if rc.fell == nil || rc.fell.Reason != first.Reason {
			return true, nil
		}
	}
	return true, first
}

// response is the schedule-response, one result per recipient. IS-RECV-8.
func (m *Message) response() *ischedule.Response {
	r := &ischedule.Response{Results: make([]ischedule.RecipientResult, 0, len(m.recipients)+len(m.bad))}
	for _, rc := range m.recipients {
		r.Results = append(r.Results, rc.result)
	}
	for _, raw := range m.bad {
		r.Results = append(r.Results, ischedule.RecipientResult{
			Recipient: raw, Status: ischedule.StatusUnknownUser, Description: "not a calendar user address",
		})
	}
	return r
}

// step is one station of the trip.
type step func(context.Context, *Message) *ischedule.Error

// steps is the way of a message from a stranger, in the order of IS-RECV-1.
func (r *Receiver) steps() []step {
	return []step{
		r.size,
		r.header,
		r.signatureSyntax,
		r.knownPeer,
		r.body,
		r.verify,
		r.policy,
		r.inspect,
		r.parties,
		r.enforce,
		r.freeBusy,
		r.replay,
		r.deliver,
	}
}

// localSteps is the way of a local submitter's message (IS-SEND-9).
func (r *Receiver) localSteps() []step {
	return []step{
		r.localSize,
		r.resolve,
		r.policy,
		r.inspect,
		r.parties,
		r.enforce,
		r.freeBusy,
		r.deliver,
	}
}

// mailSteps is the way of a stranger's message that came by mail (IS-SUB-2).
func (r *Receiver) mailSteps() []step {
	return []step{
		r.localSize,
		r.resolve,
		r.knownPeer,
		r.policy,
		r.inspect,
		r.noQuestion,
		r.parties,
		r.enforce,
		r.replayMail,
		r.deliver,
	}
}

// run takes m down the steps until it is settled or refused.
func (r *Receiver) run(ctx context.Context, m *Message, steps []step) *ischedule.Error {
	for _, next := range steps {
		if err := next(ctx, m); err != nil {
			return err
		}
		done, err := m.settled()
		if err != nil {
			return err
		}
		if m.answer == nil && done {
			m.answer = m.response().Marshal()
		}
		if m.answer != nil {
			break
		}
	}
	return nil
}
