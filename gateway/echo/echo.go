// Package echo remembers what we wrote into calendars, and recognises what a calendar server sends out only because of that
// (IS-SUB-3): a message of a local user that says of the same instances nothing but what our own write said. So two gateways,
// or a gateway and mail, never answer each other for ever.
//
// The memory is this process's own, holds ten minutes, and is bounded: what it has forgotten is sent, which costs a
// message too many and never one too few. For the same reason what was written before the user said something else is not held against what
// comes after it (who accepts, declines, and accepts again has said three things), and an answer that we only kept in the calendar is sent
// until it has been seen once: the user's own message may still be on its way.
package echo

import (
	"container/list"
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
)

const (
	holds        = 10 * time.Minute
	maxHeld      = 100_000 // instances, over all objects; the objects that nobody spoke of for longest make room
	maxWrites    = 16      // of one object; the oldest makes room
	maxInstances = 1000    // of one write, what it excludes among them; the rest is not noted
)

// Memory of our own writes. Safe for concurrent use.
type Memory struct {
	now func() time.Time

	mu      sync.Mutex
	objects map[key]*list.Element // of *object
	order   list.List             // what was last touched last
	held    int
}

// key is the hash of an owner and a UID.
type key [sha256.Size]byte

func keyOf(owner cua.Address, uid string) key {
	return sha256.Sum256([]byte(owner.Key() + "\x00" + uid)) // no address holds a control character
}

// object is one calendar object of one user.
type object struct {
	key    key
	at     time.Time       // of the last word about it, ours or the user's
	count  int             // of writes
	writes []*write        // the latest last
	said   map[string]said // by RecurrenceID, what the user has said last
}

// said is a word of the user about an instance.
type said struct {
	partStat string // of a REPLY,
	revision int    // and its SEQUENCE
	after    int    // so many writes, which it is not held against
}

func (o *object) size() int {
	n := len(o.said)
	for _, w := range o.writes {
		n += w.size()
	}
	return n
}

// takes notes a write of ours. The same one again counts from now on.
func (o *object) takes(w *write) {
	o.count++
	w.number = o.count
	o.writes = slices.DeleteFunc(o.writes, w.equal)
	if len(o.writes) == maxWrites {
		o.writes = slices.Delete(o.writes, 0, 1)
	}
	o.writes = append(o.writes, w)
}

// hears notes what the user says. Where that is too much, nothing is held against it.
func (o *object) hears(instances []itip.Summary) {
	if len(o.said)+len(instances) > maxInstances {
		o.said, o.writes = nil, nil
	}
	if o.said == nil {
		o.said = map[string]said{}
	}
	for i := range instances[:min(len(instances), maxInstances)] {
		o.said[instances[i].RecurrenceID] = said{instances[i].PartStat, instances[i].Sequence, o.count}
	}
}

// fresh are the writes that count at a time, the latest first.
func (o *object) fresh(now time.Time) []*write {
	var out []*write
	for _, w := range slices.Backward(o.writes) {
		if now.Sub(w.at) < holds {
			out = append(out, w)
		}
	}
	return out
}

// New makes a Memory. now nil = time.Now.
func New(now func() time.Time) *Memory {
	if now == nil {
		now = time.Now
	}
	return &Memory{now: now, objects: map[key]*list.Element{}}
}

// Wrote notes that body (a calendar object, with or without METHOD) is about to be written into owner's calendar. It
// implements backend.Echoes. What cannot be read is not noted.
//
// Of a message that changes an attendee's object note both, the message and the object it makes: an answer in the message
// is known to the organizer, one that is only in the object may not be.
func (m *Memory) Wrote(owner cua.Address, body []byte) {
	instances, err := itip.Summarize(body, owner)
	if err != nil || len(instances) == 0 {
		return
	}
	k := keyOf(owner, instances[0].UID)
	w := newWrite(instances)
	m.mu.Lock()
	defer m.mu.Unlock()
	w.at = m.now()
	m.change(k, w.at, func(o *object) { o.takes(w) })
}

// change has do look at an object and change it, and keeps the memory within its bounds.
func (m *Memory) change(k key, now time.Time, do func(*object)) {
	for e := m.order.Front(); e != nil && now.Sub(e.Value.(*object).at) >= holds; e = m.order.Front() {
		m.forget(e)
	}
	e := m.objects[k]
	if e == nil {
		e = m.order.PushBack(&object{key: k})
		m.objects[k] = e
	}
	m.order.MoveToBack(e)
	o := e.Value.(*object)
	m.held -= o.size()
	o.at = now
	do(o)
	for m.held += o.size(); m.held > maxHeld; {
		m.forget(m.order.Front())
	}
}

// forget forgets an object.
func (m *Memory) forget(e *list.Element) {
	o := m.order.Remove(e).(*object)
	delete(m.objects, o.key)
	m.held -= o.size()
}

// IsEcho says whether a message that originator's calendar system hands us (msg is the inspection of body) says nothing but
// what was written into originator's calendar within the last ten minutes.
//
//   - REPLY: every instance it answers for has, in what we wrote, the same PARTSTAT of originator, and the organizer has had
//     that answer; or we cancelled it, and it is declined.
//   - REQUEST, ADD, CANCEL of an organizer: every instance has the scheduling properties and the attendees' PARTSTATs
//     that we wrote, at no newer SEQUENCE; and with a series comes every override that we wrote last.
//   - Other methods are a person's: never.
//
// One of these messages that is no echo is its user's own, and is remembered as that.
func (m *Memory) IsEcho(originator cua.Address, body []byte, msg *itip.Message) (echo bool) {
	same := repeatsOf(originator, msg)
	if same == nil {
		return false
	}
	instances, err := itip.Summarize(body, originator)
	if err != nil || len(instances) == 0 {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	m.change(keyOf(originator, msg.UID), now, func(o *object) {
		writes := o.fresh(now)
		echo = (msg.Method != "REQUEST" || !takesBack(writes, instances)) &&
			!slices.ContainsFunc(instances, func(in itip.Summary) bool { return !same(o, writes, &in) })
		if !echo {
			o.hears(instances)
		}
	})
	return echo
}
