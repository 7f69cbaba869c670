package submission

import (
	"crypto/sha256"
	"sync"
	"time"
)

// maxUsed is how many signatures are remembered at once: some 6 MiB, and 18 messages a second for an hour.
const maxUsed = 1 << 16

// usedSignatures remembers signatures for as long as they would be accepted. Only those of submitters come here, so that no
// stranger can fill it. Each replica has its own. The zero value is ready.
type usedSignatures struct {
	mu    sync.Mutex
	until map[[sha256.Size]byte]time.Time
	sweep time.Time // when to look next for what has expired
}

// claim is what became of a signature.
type claim int

const (
	claimed claim = iota
	repeated
	full // nothing may be forgotten yet
)

// first says whether key is new, and remembers it until then.
func (u *usedSignatures) first(key [sha256.Size]byte, until, now time.Time) claim {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.until == nil {
		u.until = make(map[[sha256.Size]byte]time.Time)
	}
	if !now.Before(u.sweep) {
		for k, t := range u.until {
			if now.After(t) {
				delete(u.until, k)
			}
		}
		u.sweep = now.Add(time.Minute)
	}
	if _, known := u.until[key]; known {
		return repeated
	}
	if len(u.until) >= maxUsed {
		return full
	}
	u.until[key] = until
	return claimed
}
