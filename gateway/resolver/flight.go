package resolver

import (
	"context"
	"fmt"
	"sync"
)

// flights lets callers with the same question share one look-up. A caller that gives up leaves the others
// undisturbed; when the last one has left, the look-up is cancelled.
type flights struct {
	mu    sync.Mutex
	calls map[question]*call
}

type call struct {
	waiters int
	cancel  context.CancelFunc
	done    chan struct{} // closed when entry and err are set
	entry   *entry
	err     error
}

func (f *flights) do(ctx context.Context, q question, ask func(context.Context) (*entry, error)) (*entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTemporary, err)
	}
	f.mu.Lock()
	c := f.calls[q]
	if c == nil {
		c = f.start(ctx, q, ask)
	}
	c.waiters++
	f.mu.Unlock()

	select {
	case <-c.done:
		return c.entry, c.err
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.waiters--; c.waiters == 0 {
		c.cancel()
		f.forget(q, c) // nobody may join what is being cancelled
	}
	return nil, fmt.Errorf("%w: %w", ErrTemporary, ctx.Err())
}

// start runs ask in a goroutine that ends with it; f.mu is held.
func (f *flights) start(ctx context.Context, q question, ask func(context.Context) (*entry, error)) *call {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c := &call{cancel: cancel, done: make(chan struct{})}
	if f.calls == nil {
		f.calls = make(map[question]*call)
	}
	f.calls[q] = c
	go func() {
		defer cancel()
		c.entry, c.err = ask(ctx)
		f.mu.Lock()
		f.forget(q, c)
		f.mu.Unlock()
		close(c.done)
	}()
	return c
}

func (f *flights) forget(q question, c *call) {
	if f.calls[q] == c {
		delete(f.calls, q)
	}
}
