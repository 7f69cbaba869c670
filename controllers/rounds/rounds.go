// Package rounds has many things looked at again and again: each once in a period, at a moment of its own; soon again while
// something is under way; and at once when asked. A Pace bounds what the looks may ask of the world.
//
// Where there are more things than can be looked at in a period, the period grows and everything keeps its turn: who has waited
// longest is next. What is new, asked for or under way waits for none of them. Namespaces take turns: who has thousands of things,
// asks for looks all the time, or has looks that hang, keeps no other one waiting for long.
//
// It knows nothing of what is looked at.
package rounds

import (
	"context"
	"hash/fnv"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
)

// Config of Rounds.
type Config struct {
	Period  time.Duration // between looks at something that is settled; each has its own, a tenth longer or shorter
	Soonest time.Duration // until the second look at something that is not; doubled from look to look, Period at most
	Workers int           // looks at the same time
	Clock   clock.WithTicker
	// Look looks at one thing, and says whether it is settled. It is never called twice at a time for one name.
	Look func(ctx context.Context, name types.NamespacedName) (settled bool)
}

// Rounds is a schedule of looks. Safe for concurrent use.
type Rounds struct {
	cfg  Config
	wake chan struct{}

	mu      sync.Mutex
	items   map[types.NamespacedName]*item
	waiting queue // until they are due
	due     turns
	count   int
}

// item is a thing that is looked at.
type item struct {
	name   types.NamespacedName
	spread float64 // 0 to 1, its own
	due    time.Time
	number int    // in the order in which they came
	soon   bool   // it is new, asked for or under way: it goes before those that have their turn once in a period
	in     *queue // nil while it is looked at
	place  int    // in it
	again  bool
	gone   bool
	tries  int // looks since it was settled
}

// New makes Rounds.
func New(cfg Config) *Rounds {
	return &Rounds{cfg: cfg, wake: make(chan struct{}, 1), items: map[types.NamespacedName]*item{}, due: newTurns(cfg.Workers)}
}

// Add has a thing looked at from now on: at once or, when waiting, at its moment within the next period. seed spreads the
// moments; an object's UID keeps them the same. For a thing that is known nothing changes, and Add returns false.
func (r *Rounds) Add(name types.NamespacedName, seed string, waiting bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.items[name] != nil {
		return false
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(seed))
	i := &item{name: name, spread: float64(h.Sum64()>>11) / (1 << 53), due: r.cfg.Clock.Now(), number: r.count, soon: !waiting}
	r.count++
	if waiting {
		i.due = i.due.Add(time.Duration(i.spread * float64(r.cfg.Period)))
	}
	r.items[name] = i
	r.waiting.add(i)
	r.signal()
	return true
}

// Now has a thing looked at before all of its namespace, and once more when it is being looked at.
func (r *Rounds) Now(name types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := r.items[name]
	if i == nil {
		return
	}
	i.tries = 0
	if i.in == nil {
		i.again = true
		return
	}
	i.leave()
	i.due, i.soon = time.Time{}, true
	r.due.add(i)
	r.signal()
}

// Remove has a thing looked at no more.
func (r *Rounds) Remove(name types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := r.items[name]
	if i == nil {
		return
	}
	i.gone = true
	delete(r.items, name)
	if i.in != nil {
		i.leave()
	}
}

func (r *Rounds) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Start looks until the context ends, and returns when the last look has.
func (r *Rounds) Start(ctx context.Context) error {
	var looks sync.WaitGroup
	defer looks.Wait()
	free := make(chan struct{}, r.cfg.Workers)
	for {
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		i := r.next(ctx)
		if i == nil {
			return nil
		}
		looks.Go(func() {
			defer func() { <-free }()
			r.done(i, r.cfg.Look(ctx, i.name))
		})
	}
}

// next waits until something is due and takes it; nil when the context ends first.
func (r *Rounds) next(ctx context.Context) *item {
	for {
		i, wait := r.take()
		if i != nil {
			return i
		}
		timer := r.cfg.Clock.NewTimer(wait)
		select {
		case <-timer.C():
		case <-r.wake:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return nil
		}
	}
}

func (r *Rounds) take() (*item, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait := r.cfg.Period
	for now := r.cfg.Clock.Now(); len(r.waiting) > 0; {
		i := r.waiting[0]
		if until := i.due.Sub(now); until > 0 {
			wait = min(wait, until)
			break
		}
		i.leave()
		r.due.add(i)
	}
	return r.due.take(), wait
}

// done puts a thing back into the queue.
func (r *Rounds) done(i *item, settled bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.signal()
	r.due.done(i)
	if i.gone {
		return
	}
	delay := time.Duration((0.9 + 0.2*i.spread) * float64(r.cfg.Period))
	i.soon = false
	if settled {
		i.tries = 0
	} else {
		// what nothing has helped for so long is looked at as rarely as the rest, and in its turn
		if soon := r.cfg.Soonest << min(i.tries, 16); soon < delay {
			delay, i.soon = soon, true
		}
		i.tries++
	}
	i.due = r.cfg.Clock.Now().Add(delay)
	if i.again {
		i.due, i.soon, i.again = time.Time{}, true, false
	}
	r.waiting.add(i)
}
