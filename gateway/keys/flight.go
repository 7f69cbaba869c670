package keys

import (
	"context"
	"errors"
	"fmt"

	"github.com/calfed/calfed/gateway/dkim"
)

// flight is one look-up under way. Callers with the same question share it. It does not end with them: what it finds is
// there for the message that is sent again.
type flight struct {
	done  chan struct{} // closed when entry and err are set
	entry *entry
	err   error
}

// join waits for the flight of id, and starts it when there is none.
func (l *Lookup) join(ctx context.Context, id keyID, admit func() error) (*entry, error) {
	l.mu.Lock()
	if e, ok := l.cached(id); ok { // its flight landed since the caller looked
		l.mu.Unlock()
		return e, nil
	}
	f, err := l.flight(id, admit)
	l.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return f.wait(ctx)
}

// again is join for a cached answer that is in doubt; false when it is too fresh or was asked for too lately.
func (l *Lookup) again(ctx context.Context, id keyID, old *entry, admit func() error) (*entry, bool, error) {
	now := l.cfg.Now()
	l.mu.Lock()
	_, under := l.flights[id]
	if !under && (old == nil || now.Sub(old.fetched) <= refreshAge || now.Sub(old.tried) < refreshAge) {
		l.mu.Unlock()
		return nil, false, nil
	}
	f, err := l.flight(id, admit)
	if err == nil && !under {
		old.tried = now
	}
	l.mu.Unlock()
	if err != nil {
		return nil, true, err
	}
	e, err := f.wait(ctx)
	return e, true, err
}

// flight returns the one under way or, when it may, starts it; l.mu is held.
func (l *Lookup) flight(id keyID, admit func() error) (*flight, error) {
	if f := l.flights[id]; f != nil {
		return f, nil
	}
	if l.closed || len(l.flights) >= maxFlights {
		return nil, fmt.Errorf("%w: too many look-ups at once, or shutting down", ErrTemporary)
	}
	if admit != nil {
		if err := admit(); err != nil {
			return nil, err
		}
	}
	f := &flight{done: make(chan struct{})}
	l.flights[id] = f
	l.running.Go(func() {
		f.entry, f.err = l.ask(id)
		l.mu.Lock()
		delete(l.flights, id)
		l.mu.Unlock()
		close(f.done)
	})
	return f, nil
}

func (f *flight) wait(ctx context.Context) (*entry, error) {
	select {
	case <-f.done:
		return f.entry, f.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrTemporary, ctx.Err())
	}
}

// ask asks the network and keeps the answer. The error is ErrTemporary; then what was cached stays.
func (l *Lookup) ask(id keyID) (*entry, error) {
	ctx, cancel := context.WithTimeout(l.ctx, fetchTimeout)
	defer cancel()
	var e *entry
	var err error
	switch id.method {
	case dkim.MethodDNS:
		e, err = l.askDNS(ctx, id)
	case dkim.MethodWellKnown:
		e, err = l.askWellKnown(ctx, id)
	default:
		err = errors.New("no such method")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTemporary, err)
	}
	if l.cfg.Now().Before(e.expires) {
		l.cache.Set(id, e)
	} else {
		l.cache.Invalidate(id)
	}
	return e, nil
}
