package keylife

import (
	"cmp"
	"slices"
	"time"

	"github.com/calfed/calfed/api/v1alpha1"
)

// maxRetiring bounds how many keys retire at once: where pods hang for weeks, rotation waits and keys do not pile up.
const maxRetiring = 4

// keepRetired is how many Secrets of Retired keys stay, to remember the selectors that were used.
const keepRetired = 4

// follow makes the next key when one is due and none is under way.
func (m *machine) follow() bool {
	if len(m.underWay()) > 0 {
		return false
	}
	request := Request(m.Key)
	why := ""
	if active, ok := m.signing(); ok {
		at, rotates := Rotation(m.generated, active)
		switch {
		case active.Algorithm != algorithm(m.generated):
			why = "spec.source.generated.algorithm is another"
		case !Obeyed(m.Key, m.Keys, request):
			why = "the annotation " + v1alpha1.AnnotationRotate + " asks for it"
		case rotates && !m.Now.Before(at):
			why = "the active key has signed for its time"
		case rotates:
			m.again(at)
			return false
		default:
			return false
		}
		if retiring := m.retiring(); len(retiring) >= maxRetiring {
			m.wait(retiring[len(retiring)-1], v1alpha1.ReasonAwaitingPods, "too many keys are retiring: the next one waits")
			return false
		}
	} else {
		why = "no key signs"
	}
	k := Key{
		Name: m.Key.Name, State: v1alpha1.KeyPending, Written: v1alpha1.KeyPending,
		Made: m.begin(), Since: m.begin(), Algorithm: algorithm(m.generated),
	}
	if !Obeyed(m.Key, m.Keys, request) {
		k.Request = request
	}
	for _, other := range m.Keys { // a clock that went back must not make it look older
		if other.Secret != "" && !other.Made.Before(k.Made) {
			k.Made = other.Made.Add(time.Second)
		}
	}
	if m.generated.Selectors == v1alpha1.SelectorsAlternating {
		return m.alternate(k, why)
	}
	taken, remembered := slices.Clone(m.Taken), slices.Clone(m.Taken)
	for _, other := range m.Keys {
		taken = append(taken, other.Selector)
		if other.Secret != "" { // what a person writes into spec.revoked is no memory of ours
			remembered = append(remembered, other.Selector)
		}
	}
	k.Selector = uniqueSelector(prefix(m.generated), m.Now, remembered, taken)
	return m.make(k, why)
}

func (m *machine) make(k Key, why string) bool {
	k.Secret = SecretName(string(m.Key.Spec.Domain), k.Selector)
	return m.write(Make, k, why)
}

func (m *machine) retiring() []Key {
	return slices.DeleteFunc(slices.Clone(m.Keys), func(k Key) bool { return k.State != v1alpha1.KeyRetiring })
}

// alternate takes the selector of the two that is free: nobody has its record in a cache any more.
func (m *machine) alternate(k Key, why string) bool {
	selectors := Alternating(m.generated)
	// the one that was not used last
	if newest := slices.IndexFunc(m.Keys, func(k Key) bool { return k.Secret != "" && slices.Contains(selectors, k.Selector) }); newest >= 0 && m.Keys[newest].Selector == selectors[0] {
		slices.Reverse(selectors)
	}
	for _, selector := range selectors {
		former := Key{Selector: selector, TTL: minTTL}
		if i := slices.IndexFunc(m.Keys, func(k Key) bool { return k.Selector == selector }); i >= 0 {
			former = m.Keys[i]
			former.TTL = max(former.TTL, minTTL)
		} else if !slices.Contains(m.Taken, selector) {
			former.TTL = 0 // no key is known to have been there
		}
		switch {
		case former.State == v1alpha1.KeyRevoked:
			m.wait(former, v1alpha1.ReasonRevoked, "its selector stays revoked while spec.revoked names it: choose another selectorPrefix")
			continue
		case former.State != "" && former.State != v1alpha1.KeyRetired:
			continue // signs, or retires
		}
		return m.reuse(former, k, why)
	}
	return false
}

// reuse gives the selector of a former key to the next one, when every server has been without a record for its time to live.
func (m *machine) reuse(former, k Key, why string) bool {
	seen := m.Seen[former.Selector]
	forgotten := later(seen.AbsentSince, former.Since).Add(former.TTL)
	switch {
	case seen.AbsentSince.IsZero() || seen.At.After(m.Now) || seen.At.Before(former.Since):
		every := lookUnderWay
		if !former.Since.IsZero() {
			every = m.patience(former.Since)
		}
		m.look(former, every, true)
		m.wait(former, v1alpha1.ReasonAwaitingRecord, cmp.Or(seen.Problem, notLooked))
	case m.Now.Before(forgotten):
		m.look(former, lookSettled, false)
		m.wait(former, v1alpha1.ReasonAwaitingRecord, "its old record is withdrawn; caches may still have it")
		m.again(forgotten)
	case !m.fresh(seen, forgotten):
		m.lookAt(former, m.Now, true)
		m.wait(former, v1alpha1.ReasonAwaitingRecord, "its old record is withdrawn; caches may still have it")
	case former.Secret != "":
		return m.write(Delete, former, "its selector is used for the next key")
	default:
		k.Selector = former.Selector
		return m.make(k, why)
	}
	return false
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// clear deletes the Secrets of Retired keys beyond those that stay. The selectors of those that alternate are their own
// memory.
func (m *machine) clear() bool {
	kept := 0
	for _, k := range m.Keys {
		if k.State != v1alpha1.KeyRetired || slices.Contains(Alternating(m.generated), k.Selector) {
			continue
		}
		if kept++; kept > keepRetired {
			return m.write(Delete, k, "enough newer ones remember which selectors were used")
		}
	}
	return false
}

// Alternating are the two selectors that keys have in turn; none where each has its own.
func Alternating(g *v1alpha1.GeneratedKey) []string {
	if g.Selectors != v1alpha1.SelectorsAlternating {
		return nil
	}
	return []string{prefix(g) + "1", prefix(g) + "2"}
}
