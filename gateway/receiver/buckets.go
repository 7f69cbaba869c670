package receiver

import (
	"container/list"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxBuckets bounds one map of token buckets: about 5 MiB.
const maxBuckets = 16_384

// buckets are token buckets by key, at most maxBuckets of them: the one least recently used goes first, which is the
// one with the most time to refill. The zero value is ready.
type buckets[K comparable] struct {
	mu    sync.Mutex
	byKey map[K]*list.Element
	used  list.List // of *bucket[K], most recent first
}

type bucket[K comparable] struct {
	key     K
	limiter *rate.Limiter
}

// take takes one token at perSecond (0 = no limit), or says how long until there is one. The burst is one
// second's worth, at least one.
func (b *buckets[K]) take(now time.Time, key K, perSecond float64) (time.Duration, bool) {
	return b.takeBurst(now, key, perSecond, int(min(max(1, math.Ceil(perSecond)), math.MaxInt32)))
}

func (b *buckets[K]) takeBurst(now time.Time, key K, perSecond float64, burst int) (time.Duration, bool) {
	if perSecond <= 0 {
		return 0, true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	lim := b.limiter(key, rate.Limit(perSecond), burst)
	if lim.Limit() != rate.Limit(perSecond) { // the configuration changed
		lim.SetLimitAt(now, rate.Limit(perSecond))
		lim.SetBurstAt(now, burst)
	}
	reserved := lim.ReserveN(now, 1)
	if wait := reserved.DelayFrom(now); wait > 0 {
		reserved.CancelAt(now)
		return wait, false
	}
	return 0, true
}

func (b *buckets[K]) limiter(key K, limit rate.Limit, burst int) *rate.Limiter {
	if e, ok := b.byKey[key]; ok {
		b.used.MoveToFront(e)
		return e.Value.(*bucket[K]).limiter
	}
	if b.byKey == nil {
		b.byKey = map[K]*list.Element{}
	}
	if len(b.byKey) >= maxBuckets {
		oldest := b.used.Back()
		delete(b.byKey, oldest.Value.(*bucket[K]).key)
		b.used.Remove(oldest)
	}
	lim := rate.NewLimiter(limit, burst)
	b.byKey[key] = b.used.PushFront(&bucket[K]{key: key, limiter: lim})
	return lim
}
