package receiver

import (
	"context"
	"sync"
)

// inFlight bounds the bytes of request bodies that are held in memory at once (Limits.MaxInFlightBytes). The
// capacity comes with each call, since a new snapshot may change it. The zero value is ready.
type inFlight struct {
	mu    sync.Mutex
	used  int64
	freed chan struct{} // closed at the next release, made by the first waiter
}

// reserve takes n bytes out of capacity (0 = no limit), waiting until ctx ends.
func (f *inFlight) reserve(ctx context.Context, n, capacity int64) error {
	for {
		f.mu.Lock()
		if capacity <= 0 || f.used+n <= capacity {
			f.used += n
			f.mu.Unlock()
			return nil
		}
		if f.freed == nil {
			f.freed = make(chan struct{})
		}
		freed := f.freed
		f.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-freed:
		}
	}
}

func (f *inFlight) release(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.used -= n
	if f.freed != nil {
		close(f.freed)
		f.freed = nil
	}
}
