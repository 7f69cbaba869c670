package caldav

import (
	"context"
	"fmt"
	"sync"

	"github.com/calfed/calfed/gateway/backend"
)

// turns lets one delivery at a time change a calendar object: the answers to a large invitation come together, and would make each
// other start again. What writes elsewhere the conditions still tell. The zero value is ready.
type turns struct {
	mu   sync.Mutex
	held map[string]*turn
}

type turn struct {
	free    chan struct{} // one token
	waiting int           // who has it among them
}

// take waits for the turn at key. Call done when it is over.
func (t *turns) take(ctx context.Context, key string) (done func(), err error) {
	t.mu.Lock()
	at := t.held[key]
	if at == nil {
		if t.held == nil {
			t.held = make(map[string]*turn)
		}
		at = &turn{free: make(chan struct{}, 1)}
		at.free <- struct{}{}
		t.held[key] = at
	}
	at.waiting++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if at.waiting--; at.waiting == 0 {
			delete(t.held, key)
		}
	}
	select {
	case <-at.free:
		return func() { at.free <- struct{}{}; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, fmt.Errorf("%w: other messages change the same object: %w", backend.ErrUnavailable, ctx.Err())
	}
}
