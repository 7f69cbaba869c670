package mail

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/calfed/calfed/gateway/imip"
)

// The bounds of a memory.
const (
	keepAttempts  = 6 * time.Hour // after the last one
	maxRemembered = 20_000        // recipients
)

// outcome is what became of one recipient.
type outcome struct {
	state   state
	failure imip.Failure // of a refusal
}

// refuse notes that r does not get the message.
func (o *outcome) refuse(r *recipient, f imip.Failure) {
	f.Recipient, f.Original = r.path, r.original
	o.state, o.failure = refused, f
}

// state of one recipient. The zero value is the smarthost's: nothing better is known.
type state int

const (
	forSmarthost state = iota
	inCalendar         // taken over iSchedule, or by a local calendar
	atSmarthost        // the smarthost took it
	refused            // for good; not reported yet
	reported           // a notification is on its way
	unreported         // refused for good, and nobody is to be told
)

// attempt is what is known of one mail that was not taken whole.
type attempt struct {
	first    time.Time
	outcomes map[string]*outcome // by path

	key     [sha256.Size]byte
	busy    bool
	touched time.Time
}

// of is the outcome of r.
func (a *attempt) of(r *recipient) *outcome {
	o := a.outcomes[r.path]
	if o == nil {
		o = &outcome{}
		a.outcomes[r.path] = o
	}
	return o
}

// memory knows the mails that were answered 4yz after some recipients had got theirs. A mail that was answered for good
// is forgotten: the same bytes once more are then a new mail.
type memory struct {
	mu         sync.Mutex
	attempts   map[[sha256.Size]byte]*attempt
	recipients int
}

func newMemory() *memory { return &memory{attempts: make(map[[sha256.Size]byte]*attempt)} }

// begin returns the attempt to go on with, or nil while another one is under way.
func (m *memory) begin(t *transaction, now time.Time) *attempt {
	key := t.fingerprint()
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.attempts[key]
	switch {
	case a != nil && a.busy:
		return nil
	case a == nil || now.Sub(a.touched) > keepAttempts:
		if a != nil {
			m.drop(a)
		}
		a = &attempt{first: now, outcomes: make(map[string]*outcome), key: key}
		m.makeRoom(len(t.recipients), now)
		m.attempts[key] = a
		m.recipients += len(t.recipients)
		for _, r := range t.recipients {
			a.of(r)
		}
		m.recipients += len(a.outcomes) - len(t.recipients) // a path may stand twice
	}
	a.busy, a.touched = true, now
	return a
}

// end gives a back; final = the client will not come again.
func (m *memory) end(a *attempt, final bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a.busy = false
	if final && m.attempts[a.key] == a {
		m.drop(a)
	}
}

func (m *memory) drop(a *attempt) {
	delete(m.attempts, a.key)
	m.recipients -= len(a.outcomes)
}

// makeRoom drops what is old, and then what was not touched for longest.
func (m *memory) makeRoom(wanted int, now time.Time) {
	if m.recipients+wanted <= maxRemembered {
		return
	}
	idle := make([]*attempt, 0, len(m.attempts))
	for _, a := range m.attempts {
		if !a.busy {
			idle = append(idle, a)
		}
	}
	slices.SortFunc(idle, func(a, b *attempt) int { return a.touched.Compare(b.touched) })
	for _, a := range idle {
		// a quarter at once, so that the sorting is shared by many
		if now.Sub(a.touched) <= keepAttempts && m.recipients+wanted <= maxRemembered*3/4 {
			return
		}
		m.drop(a)
	}
}

// fingerprint is the same for the same mail with the same envelope, for the same domains.
func (t *transaction) fingerprint() [sha256.Size]byte {
	sum := sha256.New()
	part := func(b string) {
		_ = binary.Write(sum, binary.BigEndian, uint64(len(b)))
		_, _ = sum.Write([]byte(b))
	}
	for _, as := range t.acting {
		part(as.Domain.Name)
	}
	part(t.from)
	for _, r := range t.recipients {
		part(r.path)
	}
	part("") // no path: here the recipients end
	_, _ = sum.Write(t.mail)
	return [sha256.Size]byte(sum.Sum(nil))
}
