package receiver

import (
	"context"
	"errors"
	"net/http"

	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/ischedule"
)

// candidate is one DKIM-Signature field. IS-DKIM-6: several are tried each.
type candidate struct {
	signature *dkim.Signature
	failed    *failure // it cannot hold under any rules
}

// progress says how far a signature came. The failure reported for a message is the one that came farthest.
type progress int

const (
	atSyntax progress = iota
	atContent
	atAlignment
	atTime
	atBody
	atKey
	atValue
)

// failure is why one signature does not hold.
type failure struct {
	at     progress
	reason string
	err    error
}

func failedAt(at progress, err error) *failure {
	f := &failure{at: at, reason: dkim.ReasonSyntax, err: err}
	var de *dkim.Error
	if errors.As(err, &de) {
		f.reason = de.Reason
	}
	return f
}

// farther is the one of two failures to report; the first where both came equally far.
func farther(a, b *failure) *failure {
	if a == nil || b != nil && b.at > a.at {
		return b
	}
	return a
}

// refusal is the answer to a message whose signatures all fail.
func (f *failure) refusal() *ischedule.Error {
	return &ischedule.Error{
		Name: ischedule.VerificationFailed, Status: http.StatusForbidden, Reason: f.reason,
		Description: "The DKIM signature was not accepted: " + f.reason + ".", Err: f.err,
	}
}

// signatureSyntax reads the signatures and checks what needs neither clock, key nor body: syntax, d= and s= as labels, content of h=,
// alignment with the Originator (IS-DKIM-4, IS-DKIM-6, IS-DKIM-8).
func (r *Receiver) signatureSyntax(_ context.Context, m *Message) *ischedule.Error {
	values, err := dkim.Fields(m.http.Header)
	if err != nil {
		return failedAt(atSyntax, err).refusal()
	}
	var worst *failure
	usable := false
	for _, v := range values {
		c := r.readSignature(m, v)
		m.signatures = append(m.signatures, c)
		usable = usable || c.failed == nil
		worst = farther(worst, c.failed)
	}
	if !usable {
		return worst.refusal()
	}
	return nil
}

func (r *Receiver) readSignature(m *Message, value string) *candidate {
	sig, err := dkim.ParseSignature(value)
	if err != nil {
		return &candidate{failed: failedAt(atSyntax, err)}
	}
	if err := sig.CheckStatic(m.http.Header); err != nil {
		return &candidate{failed: failedAt(atContent, err)}
	}
	// here, any policy's third-party signer will do; verify asks each policy for its own
	var signers []string
	sets := m.ruleSets()
	if len(sets) == 0 {
		sets = r.rules.anywhere(m.peer())
	}
	for _, ru := range sets {
		signers = append(signers, ru.signers...)
	}
	if err := sig.AlignedWith(m.peer(), signers); err != nil {
		return &candidate{failed: failedAt(atAlignment, err)}
	}
	return &candidate{signature: sig}
}
