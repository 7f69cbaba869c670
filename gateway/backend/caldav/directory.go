package caldav

import (
	"net/url"
	"sync"
	"time"

	"github.com/calfed/calfed/gateway/cua"
)

const (
	knownFor   = 5 * time.Minute
	unknownFor = 30 * time.Second
	maxKnown   = 10_000
)

// user is where a calendar user's things are.
type user struct {
	principal *url.URL
	home      *url.URL
	inbox     *url.URL // nil = none
}

// directory remembers users that were found, and addresses that nobody has. The zero value but for now is empty.
type directory struct {
	now func() time.Time

	mu    sync.Mutex
	known map[string]entry
}

type entry struct {
	user  *user // nil = unknown
	until time.Time
}

// get returns what is known of an address.
func (d *directory) get(a cua.Address) (u *user, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, ok := d.known[a.Key()]
	if !ok || !d.now().Before(e.until) {
		return nil, false
	}
	return e.user, true
}

// put remembers a user, nil = nobody.
func (d *directory) put(a cua.Address, u *user) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	if len(d.known) >= maxKnown {
		for key, e := range d.known {
			if !now.Before(e.until) {
				delete(d.known, key)
			}
		}
		if len(d.known) >= maxKnown {
			d.known = nil
		}
	}
	if d.known == nil {
		d.known = make(map[string]entry)
	}
	keep := knownFor
	if u == nil {
		keep = unknownFor
	}
	d.known[a.Key()] = entry{u, now.Add(keep)}
}

// forget drops what is known of an address: the server said otherwise.
func (d *directory) forget(a cua.Address) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.known, a.Key())
}
