package keylife

import (
	"cmp"
	"time"

	"github.com/calfed/calfed/api/v1alpha1"
)

// Facts are all that Next decides on.
type Facts struct {
	Key  *v1alpha1.DKIMKey // its spec, its annotations, and the echo in its status
	Keys []Key             // Of(Key, …)
	// Taken are selectors of the domain that stand for a key that is not among Keys: another DKIMKey's, or one whose Secret is
	// gone or cannot be read.
	Taken    []string
	Seen     map[string]Sighting // by selector: the last look since the key was made
	Pods     map[string]Pods     // by selector; none = not known yet
	Lifetime time.Duration       // of the longest-lived signatures that are made now; 0 = the default
	Now      time.Time
}

// Sighting is what a look at a key's record found.
type Sighting struct {
	At time.Time // zero = there was none
	// Here: every authoritative server, and every method by which the key shall be found, gives this key and no other.
	Here bool
	// Missing: one of them says for certain that it does not.
	Missing bool
	// AbsentSince is since when every look found that no server has any record at the selector's name, and no key was there to
	// publish one between the looks; zero = one may. See Absent.
	AbsentSince time.Time
	NegativeTTL time.Duration // how long caches may deny what appears now
	TTL         time.Duration // how long caches keep what is there now
	Problem     string        // what is not as it should be, and where; deterministic; "" when Here
}

// Absent notes that no server has a record at the selector of k. before is the look before this one, the zero Sighting if there
// was none.
func (s *Sighting) Absent(k Key, before Sighting) {
	switch {
	case k.State != "" && Outside(k.State):
	case before.AbsentSince.IsZero() || before.AbsentSince.After(s.At):
		s.AbsentSince = s.At
	default:
		s.AbsentSince = before.AbsentSince
	}
}

// Pods is whether gateway pods may sign with a key.
type Pods struct {
	Quiet    bool   // no pod does, terminating and unreachable ones included
	Blocking string // what stands in the way: "pod gw-1: unreachable"; deterministic
}

// The waits of a key's life, where the DKIMKey does not say others, and what bounds them.
const (
	defaultPublishBefore = time.Hour
	defaultRetireAfter   = 24 * time.Hour
	defaultLifetime      = 5 * time.Minute // of signatures: x= - t=, IS-DKIM-7
	skew                 = 300 * time.Second

	// Caches that keep longer than this are broken: RFC 2308 §5 finds more than a day of negative caching problematic, RFC
	// 8767 §4 more than a week of any.
	maxNegativeTTL = 24 * time.Hour
	maxTTL         = 7 * 24 * time.Hour
	// minTTL counts where a record was never seen: the one that records are published with.
	minTTL = time.Hour
)

// How often records are looked at, and how old a look may be that a key is activated on.
const (
	lookUnderWay = 30 * time.Second // at first
	lookSettled  = 15 * time.Minute
	lookFresh    = 2 * time.Minute
)

// ahead is how far a time that was written may lie in the future: leaders on two machines differ by less. What lies further is
// of a clock that was wrong, and the wait begins anew.
const ahead = time.Minute

// Rotation is when the next key follows an Active one: how long before it signs it is made. ok is false when none follows of
// itself.
func Rotation(g *v1alpha1.GeneratedKey, active Key) (at time.Time, ok bool) {
	if g.Rotation == nil || g.Rotation.Interval == nil {
		return time.Time{}, false
	}
	interval := g.Rotation.Interval.Duration
	return active.Since.Add(interval - min(publishBefore(g), interval/2)), true
}

func publishBefore(g *v1alpha1.GeneratedKey) time.Duration {
	if g.Rotation == nil || g.Rotation.PublishBefore == nil {
		return defaultPublishBefore
	}
	return g.Rotation.PublishBefore.Duration
}

func retireAfter(g *v1alpha1.GeneratedKey) time.Duration {
	if g.Rotation == nil || g.Rotation.RetireAfter == nil {
		return defaultRetireAfter
	}
	return g.Rotation.RetireAfter.Duration
}

func manual(g *v1alpha1.GeneratedKey) bool {
	return g.Rotation != nil && g.Rotation.Activation == v1alpha1.ActivationManual
}

// Algorithm of the keys that are made.
func algorithm(g *v1alpha1.GeneratedKey) v1alpha1.KeyAlgorithm {
	return cmp.Or(g.Algorithm, v1alpha1.AlgorithmRSA2048)
}

// maxEcho is how much of an annotation's value status echoes, and therefore how much of it counts.
const maxEcho = 256

// Echo is what counts of the value of an annotation that asks for something.
func Echo(value string) string {
	runes := []rune(value)
	return string(runes[:min(len(runes), maxEcho)])
}

// Request is the rotation that the annotation calfed.dev/rotate-requested-at asks for, "" = none.
func Request(key *v1alpha1.DKIMKey) string { return Echo(key.Annotations[v1alpha1.AnnotationRotate]) }

// Obeyed says whether a key was made for a request; what its status echoes was obeyed, too.
func Obeyed(key *v1alpha1.DKIMKey, keys []Key, request string) bool {
	if request == "" || request == key.Status.RotateRequestedAt {
		return true
	}
	for _, k := range keys {
		if k.Request == request {
			return true
		}
	}
	return false
}
