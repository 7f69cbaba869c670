package submission

import (
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// The budget of failed authentications per source: guessing a token is hopeless, a typing error costs nothing.
const (
	failureBurst    = 10
	failureInterval = 6 * time.Second
	maxSources      = 4096 // remembered at once
)

// throttle limits failed authentications per source. The same wrong credentials again cost nothing more, so that one
// misconfigured client does not lock out its neighbours behind one address; they are no new guess. The zero value is ready.
type throttle struct {
	mu      sync.Mutex
	sources map[netip.Prefix]*failures
}

type failures struct {
	budget *rate.Limiter
	last   [sha256.Size]byte
}

// wait returns how long the source must wait before it may present these credentials; 0 = go on.
func (t *throttle) wait(source netip.Prefix, presented [sha256.Size]byte, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.sources[source]
	if f == nil || f.last == presented {
		return 0
	}
	missing := 1 - f.budget.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing * float64(failureInterval))
}

// failed takes one failure from the source's budget.
func (t *throttle) failed(source netip.Prefix, presented [sha256.Size]byte, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.sources[source]
	if f == nil {
		if t.sources == nil {
			t.sources = make(map[netip.Prefix]*failures)
		}
		t.makeRoom(now)
		f = &failures{budget: rate.NewLimiter(rate.Every(failureInterval), failureBurst)}
		t.sources[source] = f
	}
	if f.last != presented {
		f.last = presented
		f.budget.AllowN(now, 1)
	}
}

// makeRoom keeps the memory bounded, at a cost that many additions share: sources whose budget is whole again go, and
// then any until a quarter is free.
func (t *throttle) makeRoom(now time.Time) {
	if len(t.sources) < maxSources {
		return
	}
	for source, f := range t.sources {
		if f.budget.TokensAt(now) >= failureBurst {
			delete(t.sources, source)
		}
	}
	for source := range t.sources {
		if len(t.sources) <= maxSources*3/4 {
			return
		}
		delete(t.sources, source)
	}
}

// sourceOf is the place a request comes from, as budgets see it: an IPv4 address, an IPv6 /64, and one common place
// for what cannot be read.
func sourceOf(remote string) netip.Prefix {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	return placeOf(at.Addr())
}

func placeOf(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	if addr.IsLoopback() {
		bits = addr.BitLen() // ::1 must stay itself to be loopback
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}
