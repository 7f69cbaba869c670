package sender

import (
	"crypto/rand"
	"fmt"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
)

// request is one message to one receiver.
type request struct {
	*group
	id         string // iSchedule-Message-ID
	recipients []*recipient
	cause      error // why it failed, for the log
}

// split cuts groups into requests that respect the receiver's max-recipients and a Recipient field that servers take
// (IS-CAP-7). Recipients keep their order.
func split(groups []*group) []*request {
	var out []*request
	for _, g := range groups {
		most := 0
		if g.receiver != nil && g.receiver.Capabilities != nil {
			most = g.receiver.Capabilities.MaxRecipients
		}
		var q *request
		size := 0
		for _, r := range g.recipients {
			full := q != nil && ((most > 0 && len(q.recipients) == most) || size+1+len(r.wire) > maxRecipientField)
			if q == nil || full {
				// unique for ever, and a token (D05 §8.4)
				q = &request{group: g, id: rand.Text()}
				out = append(out, q)
				size = -1
			}
			q.recipients = append(q.recipients, r)
			size += 1 + len(r.wire)
		}
	}
	return out
}

// content is the body that goes out with q: a VFREEBUSY asks exactly its Recipients (IS-SEND-3), everything else leaves
// as it is.
func (m *message) content(q *request) ([]byte, error) {
	if m.itip.Component != "VFREEBUSY" || len(q.recipients) == len(m.itip.Attendees) {
		return m.body, nil
	}
	asked := make(map[string]bool, len(q.recipients))
	for _, r := range q.recipients {
		asked[r.address.Key()] = true
	}
	body, err := itip.SelectAttendees(m.body, func(a cua.Address) bool { return asked[a.Key()] })
	if err != nil {
		return nil, fmt.Errorf("select attendees: %w", err)
	}
	return body, nil
}
