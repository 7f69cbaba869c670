package caldav

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/calfed/calfed/gateway/backend"
)

// turns lets one delivery at a time change a calendar object: the answers to a large invitation come together, and would make each
// other start again. It is a courtesy, the conditions are what counts: who has waited long goes on without, for what it waits for may
// be waiting for it, where a server sends while it stores. The zero value is ready.
type turns struct {
	wait time.Duration // 0 = patience

	mu   sync.Mutex
	held map[string]*turn
}

const patience = 5 * time.Second

type turn struct {
	free    chan struct{} // one token
	waiting int           // who has it among them
}

// take waits for the turn at key. Call done when it is over. The error is that of ctx.
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
	long := time.NewTimer(cmp.Or(t.wait, patience))
	defer long.Stop()
	select {
	case <-at.free:
		return func() { at.free <- struct{}{}; leave() }, nil
	case <-long.C:
		return leave, nil
	case <-ctx.Done():
		leave()
		return nil, fmt.Errorf("%w: other messages change the same object: %w", backend.ErrUnavailable, ctx.Err())
	}
}
