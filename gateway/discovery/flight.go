package discovery

import (
	"context"
	"sync"
)

// flights let callers that want the same document share one fetch. The first one runs it, in its own goroutine and
// with its own context; if that context ends first, one of the others takes over.
type flights struct {
	mu    sync.Mutex
	calls map[string]*flight
}

type flight struct {
	done      chan struct{} // closed when the rest is set
	doc       *document
	err       error
	abandoned bool // err is the runner's haste, and says nothing about the target
}

func (f *flights) do(ctx context.Context, key string, fetch func() (*document, error)) (*document, error) {
	for {
		f.mu.Lock()
		c, running := f.calls[key]
		if !running {
			c = &flight{done: make(chan struct{})}
			if f.calls == nil {
				f.calls = make(map[string]*flight)
			}
			f.calls[key] = c
		}
		f.mu.Unlock()
		if !running {
			f.run(ctx, key, c, fetch)
			return c.doc, c.err
		}
		select {
		case <-c.done:
			if !c.abandoned {
				return c.doc, c.err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (f *flights) run(ctx context.Context, key string, c *flight, fetch func() (*document, error)) {
	defer func() {
		c.abandoned = c.doc == nil && ctx.Err() != nil
		f.mu.Lock()
		delete(f.calls, key)
		f.mu.Unlock()
		close(c.done)
	}()
	c.doc, c.err = fetch()
}
