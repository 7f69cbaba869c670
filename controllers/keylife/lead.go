package keylife

import (
	"cmp"
	"slices"
	"time"

	"github.com/calfed/calfed/api/v1alpha1"
)

// underWay are the keys that have not signed yet, newest first.
func (m *machine) underWay() []Key {
	return slices.DeleteFunc(slices.Clone(m.Keys), func(k Key) bool {
		return k.State != v1alpha1.KeyPending && k.State != v1alpha1.KeyPublished
	})
}

// lead leads the newest key to where it signs. The others that have not signed are of no use: nobody knows them.
func (m *machine) lead() bool {
	keys := m.underWay()
	active, signs := m.signing()
	for i, k := range keys {
		switch {
		case i > 0 || signs && active.Made.After(k.Made):
			return m.move(k, v1alpha1.KeyRetired, "a newer key takes its place")
		case k.Algorithm != algorithm(m.generated):
			return m.move(k, v1alpha1.KeyRetired, "spec.source.generated.algorithm is another")
		}
	}
	if len(keys) == 0 {
		return false
	}
	k := keys[0]
	if request := Request(m.Key); !Obeyed(m.Key, m.Keys, request) {
		k.Request = request
		return m.write(Move, k, "the rotation that is asked for is under way")
	}
	if k.State == v1alpha1.KeyPending {
		return m.publish(k)
	}
	return m.activate(k)
}

// What a key that is under way waits for.
const (
	notLooked = "its record was not looked for yet"
	denied    = "its record is out; caches may still deny it"
)

// publish waits until the record is everywhere. From then on no cache learns any more that there is none.
func (m *machine) publish(k Key) bool {
	seen := m.Seen[k.Selector]
	if seen.Here && m.fresh(seen, k.Since) {
		k.NegativeTTL = max(time.Second, min(seen.NegativeTTL, maxNegativeTTL))
		return m.move(k, v1alpha1.KeyPublished, "its record is on every authoritative server")
	}
	m.look(k, m.patience(k.Since), true)
	m.wait(k, v1alpha1.ReasonAwaitingRecord, cmp.Or(seen.Problem, notLooked))
	return false
}

// activate waits until no cache can deny the record, looks once more, and lets the key sign.
func (m *machine) activate(k Key) bool {
	seen := m.Seen[k.Selector]
	if seen.Missing && m.fresh(seen, k.Since) {
		return m.move(k, v1alpha1.KeyPending, "its record is gone: "+seen.Problem)
	}
	ready := k.Since.Add(max(k.NegativeTTL, min(seen.NegativeTTL, maxNegativeTTL), publishBefore(m.generated)))
	if m.Now.Before(ready) {
		m.look(k, lookSettled, true)
		m.wait(k, v1alpha1.ReasonPublished, denied)
		m.again(ready)
		return false
	}
	allowed := !manual(m.generated) || m.Key.Annotations[v1alpha1.AnnotationActivate] == k.Selector
	if allowed && seen.Here && m.fresh(seen, ready) {
		return m.move(k, v1alpha1.KeyActive, "its record was out for long enough")
	}
	if !allowed {
		m.look(k, lookSettled, true)
		m.wait(k, v1alpha1.ReasonAwaitingApproval, "set the annotation "+v1alpha1.AnnotationActivate+" to "+k.Selector+" to let it sign")
		return false
	}
	if seen.At.Before(ready) { // whatever the last look was for, the wait ends with one
		m.lookAt(k, m.Now, true)
	} else {
		m.look(k, m.patience(ready), true)
	}
	if seen.Problem != "" {
		m.wait(k, v1alpha1.ReasonAwaitingRecord, seen.Problem)
	} else {
		m.wait(k, v1alpha1.ReasonPublished, denied)
	}
	return false
}
