package receiver

import (
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"
)

// Shared is what survives a change of configuration: replay memory, budgets, metrics. The zero value
// works: an in-process replay memory of default size, and no metrics. Do not copy it.
type Shared struct {
	Replay  ReplayMemory // nil = NewReplayMemory(ReplayOptions{})
	Metrics *Metrics     // nil = none

	once    sync.Once
	memory  ReplayMemory
	budgets budgets
	bodies  inFlight
}

// replay is the replay memory; the default one is made by the first Receiver, with its clock.
func (s *Shared) replay(now func() time.Time) ReplayMemory {
	s.once.Do(func() {
		if s.memory = s.Replay; s.memory == nil {
			own := newMemory(ReplayOptions{Now: now})
			s.Metrics.watch(own.used)
			s.memory = own
		}
	})
	return s.memory
}

// budgets are the token buckets of everything that strangers can make us do. The rates come with the snapshot.
type budgets struct {
	requests   buckets[netip.Prefix]      // per source address
	bySource   buckets[netip.Prefix]      // key look-ups, per source address
	byDomain   buckets[string]            // key look-ups, per d=
	all        buckets[struct{}]          // key look-ups, whole gateway
	byPolicy   buckets[policyPeer]        // messages, per policy and peer domain
	byQuestion buckets[[sha256.Size]byte] // free/busy questions, per Originator and Recipient
}

type policyPeer struct{ policy, peer string }

// lookup takes one key look-up out of the three budgets, or says how long to wait (IS-RECV-1). The source pays
// first, so that a flood from one place leaves the budgets of the others alone.
func (b *budgets) lookup(now time.Time, source netip.Prefix, domain string, perSource, perDomain, total float64) (time.Duration, bool) {
	if wait, ok := b.bySource.take(now, source, perSource); !ok {
		return wait, false
	}
	if wait, ok := b.byDomain.take(now, domain, perDomain); !ok {
		return wait, false
	}
	return b.all.take(now, struct{}{}, total)
}

// sourceOf is the peer's address as limits see it: /32 or /64. What is no address shares one bucket.
func sourceOf(remote string) netip.Prefix {
	addr, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	ip, bits := addr.Addr().Unmap().WithZone(""), 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits)
	return p
}
