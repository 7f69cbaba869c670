package controllers

import (
	"sync"
	"time"
)

// How long changes are gathered before they are compiled: until they fall quiet, but not for ever.
const (
	quietTime = 250 * time.Millisecond
	quietMax  = time.Second
)

// dirt is what has to be looked at again.
type dirt struct {
	all      bool            // everything
	settings bool            // what domains share
	shards   map[int]bool    // domains
	stored   map[string]bool // names of Secrets of the snapshot that somebody else may have written
}

func (d *dirt) empty() bool {
	return !d.all && !d.settings && len(d.shards) == 0 && len(d.stored) == 0
}

func (d *dirt) shard(number int) {
	if d.shards == nil {
		d.shards = map[int]bool{}
	}
	d.shards[number] = true
}

func (d *dirt) secret(name string) {
	if d.stored == nil {
		d.stored = map[string]bool{}
	}
	d.stored[name] = true
}

func (d *dirt) add(more dirt) {
	d.all = d.all || more.all
	d.settings = d.settings || more.settings
	for number := range more.shards {
		d.shard(number)
	}
	for name := range more.stored {
		d.secret(name)
	}
}

// has says whether a shard has to be compiled.
func (d *dirt) has(number int) bool { return d.all || d.shards[number] }

// marks gathers the dirt of one gateway. Times are of the monotonic clock: a jump of the other one delays nothing. Safe for
// concurrent use.
type marks struct {
	mu          sync.Mutex
	dirt        dirt
	first, last time.Time
}

func (m *marks) mark(d dirt) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dirt.empty() {
		m.first = now
	}
	m.last = now
	m.dirt.add(d)
}

// take returns what was gathered and starts anew, or says how long to wait for more.
func (m *marks) take() (dirt, time.Duration) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dirt.empty() {
		return dirt{}, 0
	}
	if wait := min(quietTime-now.Sub(m.last), quietMax-now.Sub(m.first)); wait > 0 {
		return dirt{}, wait
	}
	taken := m.dirt
	m.dirt = dirt{}
	return taken, 0
}
