package keylife

import (
	"cmp"
	"time"

	"github.com/calfed/calfed/api/v1alpha1"
)

// Action is one write.
type Action string

// The actions.
const (
	Nothing Action = ""       // there is nothing to write
	Make    Action = "Make"   // make a key and the Secret for it: NewSecret
	Move    Action = "Move"   // write what is new about a key into its Secret: Write
	Delete  Action = "Delete" // delete the Secret of a Retired key
)

// Step is what to do now. Whoever has done it asks again.
type Step struct {
	Do   Action
	Key  Key // what it is done with, as it shall be
	Why  string
	Look []Look // where there is nothing to write: the records to look at
	// Again is when to ask again if nothing happens; zero = never.
	Again time.Time
	Waits []Wait // what the life waits for, the most important first
}

// Look is a record to look at.
type Look struct {
	Key Key // one of Facts.Keys; for a selector that no key has, Selector alone
	At  time.Time
	// Urgent says that something under way depends on it; other looks may come later, when there is time.
	Urgent bool
}

// Wait is what a key waits for.
type Wait struct {
	Selector string
	Reason   string // a Reason… constant of v1alpha1
	Message  string // deterministic, says what to do where something can be done
}

// Next says what to do next. It is pure, and never leads to a point from which stopping between two writes would be harmful:
// what it says depends on what is written alone. The source of the DKIMKey must be Generated.
func Next(f Facts) Step {
	m := &machine{Facts: f, generated: f.Key.Spec.Source.Generated}
	for _, rule := range []func() bool{m.settle, m.retire, m.lead, m.follow, m.clear} {
		if rule() {
			// what is written now changes what there is to wait for
			return Step{Do: m.step.Do, Key: m.step.Key, Why: m.step.Why}
		}
	}
	for _, k := range f.Keys {
		if k.State == v1alpha1.KeyActive {
			m.lookAtActive(k)
		}
	}
	return m.step
}

// machine is one Next. Its rules say whether there is something to write.
type machine struct {
	Facts
	generated *v1alpha1.GeneratedKey
	step      Step
}

func (m *machine) write(do Action, k Key, why string) bool {
	m.step.Do, m.step.Key, m.step.Why = do, k, why
	return true
}

// move lets a new state begin.
func (m *machine) move(k Key, to v1alpha1.KeyState, why string) bool {
	k.State, k.Since, k.QuietSince = to, m.begin(), time.Time{}
	if gone(to) {
		k.Private = nil
	}
	return m.write(Move, k, why)
}

// begin is the time that is written for now: whole seconds, rounded up, so that no wait is cut short.
func (m *machine) begin() time.Time {
	t := m.Now.UTC().Truncate(time.Second)
	if t.Before(m.Now) {
		t = t.Add(time.Second)
	}
	return t
}

func (m *machine) again(at time.Time) {
	if m.step.Again.IsZero() || at.Before(m.step.Again) {
		m.step.Again = at
	}
}

func (m *machine) wait(k Key, reason, message string) {
	m.step.Waits = append(m.step.Waits, Wait{Selector: k.Selector, Reason: reason, Message: message})
}

// look asks for a look every so often.
func (m *machine) look(k Key, every time.Duration, urgent bool) {
	at := m.Now
	if seen := m.Seen[k.Selector]; !seen.At.IsZero() && !seen.At.After(m.Now) {
		at = seen.At.Add(every)
	}
	m.lookAt(k, at, urgent)
}

func (m *machine) lookAt(k Key, at time.Time, urgent bool) {
	m.step.Look = append(m.step.Look, Look{Key: k, At: at, Urgent: urgent})
	if urgent {
		m.again(at)
	}
}

// lookAtActive: while the record of a key that signs is not there receivers refuse what it signs, and whoever put it back wants to
// see that soon.
func (m *machine) lookAtActive(k Key) {
	seen := m.Seen[k.Selector]
	switch {
	case !seen.Missing:
		m.look(k, lookSettled, false)
	case seen.AbsentSince.IsZero(): // another is there
		m.look(k, lookUnderWay, true)
	default:
		m.look(k, m.patience(seen.AbsentSince), true)
	}
}

// patience is the time between looks for something that is under way since then: a tenth of what it took so far.
func (m *machine) patience(since time.Time) time.Duration {
	return min(max(m.Now.Sub(since)/10, lookUnderWay), lookSettled)
}

// fresh says whether the last look is young enough to act on, and later than what a wait began with.
func (m *machine) fresh(s Sighting, after time.Time) bool {
	return !s.At.IsZero() && !s.At.After(m.Now) && m.Now.Sub(s.At) <= lookFresh && !s.At.Before(after)
}

// signing is the key that signs.
func (m *machine) signing() (Key, bool) {
	for _, k := range m.Keys {
		if k.State == v1alpha1.KeyActive {
			return k, true
		}
	}
	return Key{}, false
}

// settle writes down what is decided already: a revocation, first of all, and that a newer key signs. It also mends times of a
// clock that was ahead, and remembers what only grows.
func (m *machine) settle() bool {
	for _, k := range m.Keys {
		if k.Secret != "" && k.State == v1alpha1.KeyRevoked && k.Written != v1alpha1.KeyRevoked {
			return m.move(k, v1alpha1.KeyRevoked, "spec.revoked names it")
		}
	}
	for _, k := range m.Keys {
		if k.Secret == "" {
			continue
		}
		switch {
		case k.State == v1alpha1.KeyPending && k.Written != v1alpha1.KeyPending:
			return m.move(k, k.State, "its Secret was restored: nobody knows how long its record was gone")
		case k.State != k.Written:
			return m.move(k, k.State, "a newer key signs")
		case k.State == v1alpha1.KeyRevoked && !m.revoked(k.Selector):
			return m.move(k, v1alpha1.KeyRetired, "spec.revoked names it no more")
		case k.Since.After(m.Now.Add(ahead)):
			return m.move(k, k.State, "the clock was ahead: the wait begins anew")
		case k.QuietSince.After(m.Now.Add(ahead)):
			k.QuietSince = m.begin()
			return m.write(Move, k, "the clock was ahead: the wait begins anew")
		}
		grown := k
		if seen := m.Seen[k.Selector]; !gone(k.State) {
			grown.TTL = max(k.TTL, min(seen.TTL, maxTTL))
		}
		if k.State == v1alpha1.KeyActive && m.Lifetime > max(k.Lifetime, defaultLifetime) {
			grown.Lifetime = m.Lifetime
		}
		if grown.TTL != k.TTL || grown.Lifetime != k.Lifetime {
			return m.write(Move, grown, "longer times to live")
		}
	}
	return false
}

func (m *machine) revoked(selector string) bool {
	for _, s := range m.Key.Spec.Revoked {
		if string(s) == selector {
			return true
		}
	}
	return false
}

// retire leads keys that signed to their end. Their records stay until nothing that they signed is valid anywhere.
func (m *machine) retire() bool {
	for _, k := range m.Keys {
		if k.State != v1alpha1.KeyRetiring {
			continue
		}
		pods, known := m.Pods[k.Selector]
		if !known || !pods.Quiet {
			m.wait(k, v1alpha1.ReasonAwaitingPods, cmp.Or(pods.Blocking, "what the gateway pods serve is not known yet"))
			continue
		}
		if k.QuietSince.IsZero() {
			k.QuietSince = m.begin()
			return m.write(Move, k, "no pod signs with it")
		}
		end := k.QuietSince.Add(max(k.Lifetime, m.Lifetime, defaultLifetime) + skew + retireAfter(m.generated))
		if !m.Now.Before(end) {
			return m.move(k, v1alpha1.KeyRetired, "nothing that it signed is valid any more")
		}
		m.again(end)
	}
	return false
}
