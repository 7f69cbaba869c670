package submission

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/calfed/calfed/gateway/ischedule"
)

// maxUsed is how many signatures are remembered at once: some 30 MiB with the answers, and 18 messages a second for an hour.
const maxUsed = 1 << 16

// usedSignatures remembers signatures for as long as they would be accepted. Only those of submitters come here, so that no
// stranger can fill it. Each replica has its own. The zero value is ready.
type usedSignatures struct {
	mu    sync.Mutex
	known map[[sha256.Size]byte]use
	sweep time.Time // when to look next for what has expired
}

// use is what became of a message with the signature.
type use struct {
	until  time.Time
	answer *ischedule.Response // nil while there is none, or none that may be given again
}

// claim is what became of a signature.
type claim int

const (
	claimed claim = iota
	repeated
	full // nothing may be forgotten yet
)

// first says whether key is new, and remembers it until then. With repeated comes the answer to the first, if it may be given
// again.
func (u *usedSignatures) first(key [sha256.Size]byte, until, now time.Time) (claim, *ischedule.Response) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.known == nil {
		u.known = make(map[[sha256.Size]byte]use)
	}
	if !now.Before(u.sweep) {
		for k, use := range u.known {
			if now.After(use.until) {
				delete(u.known, k)
			}
		}
		u.sweep = now.Add(time.Minute)
	}
	if use, known := u.known[key]; known {
		return repeated, use.answer
	}
	if len(u.known) >= maxUsed {
		return full, nil
	}
	u.known[key] = use{until: until}
	return claimed, nil
}

// answered remembers the answer to the message whose signature was claimed.
func (u *usedSignatures) answered(key [sha256.Size]byte, answer *ischedule.Response) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if use, known := u.known[key]; known {
		use.answer = answer
		u.known[key] = use
	}
}
