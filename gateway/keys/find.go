package keys

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// refreshAge is how old a cached key must be, and how long the last attempt ago, to be asked for again. IS-DKIM-12.
const refreshAge = time.Minute

// Cached answers from pins and cache only; false when there is no key in them and Find must say.
func (l *Lookup) Cached(req Request) (*Found, bool) {
	found, err := l.find(req, func(id keyID) (*entry, time.Duration, error) {
		e, ok := l.cached(id)
		if !ok {
			return nil, 0, errNotCached
		}
		return e, l.age(e), nil
	})
	return found, err == nil
}

// errNotCached ends a search that may not ask.
var errNotCached = errors.New("not cached")

// Find returns the records for a signature, from the network when it must. The error is ErrTemporary, ErrNotFound,
// ErrRevoked, ErrMethod or that of Admit.
func (l *Lookup) Find(ctx context.Context, req Request) (*Found, error) {
	return l.find(req, func(id keyID) (*entry, time.Duration, error) { return l.get(ctx, id, req.Admit) })
}

// Refresh is called after a verification failure with a cached key older than 60 s: it asks once
// more, rate-limited per key; false when it may not. The error is one of Find's. IS-DKIM-12.
func (l *Lookup) Refresh(ctx context.Context, req Request) (*Found, bool, error) {
	var doubted keyID // where Find had the key from
	_, err := l.find(req, func(id keyID) (*entry, time.Duration, error) {
		e, ok := l.cached(id)
		if !ok {
			return nil, 0, errNotCached
		}
		doubted = id
		return e, 0, nil
	})
	if err != nil || doubted == (keyID{}) {
		return nil, false, nil // pinned, or no longer cached: the next Find asks
	}
	old, _ := l.cached(doubted)
	fresh, asked, err := l.again(ctx, doubted, old, req.Admit)
	if !asked {
		return nil, false, nil
	}
	found, err := l.find(req, func(id keyID) (*entry, time.Duration, error) {
		if id == doubted {
			return fresh, 0, err
		}
		return l.get(ctx, id, req.Admit)
	})
	return found, true, err
}

// find is the order of IS-DKIM-9: pins, then the permitted methods; the first one with a key ends it, and so does an
// empty p= (IS-DKIM-10). A method that fails for now only counts when no other has a key (IS-DKIM-13).
func (l *Lookup) find(req Request, get func(keyID) (*entry, time.Duration, error)) (*Found, error) {
	req, err := checked(req)
	if err != nil {
		return nil, err
	}
	found, hasPins, err := l.pinned(req)
	if found != nil || err != nil {
		return found, err
	}
	methods, err := permitted(req, hasPins)
	if err != nil {
		return nil, err
	}
	var failure error
	var why []string
	for _, method := range methods {
		e, age, err := get(keyID{method, req.Domain, req.Selector})
		switch {
		case errors.Is(err, errNotCached):
			return nil, err
		case err != nil:
			failure = fmt.Errorf("%s: %w", method, err)
		case e.revoked:
			return nil, fmt.Errorf("%s: %w", method, ErrRevoked)
		case len(e.records) > 0:
			return &Found{Records: e.records, Method: method, Cached: age}, nil
		case e.why != "":
			why = append(why, method+": "+e.why)
		}
	}
	if failure != nil {
		return nil, failure
	}
	if len(why) > 0 {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, strings.Join(why, "; "))
	}
	return nil, ErrNotFound
}

// get returns one method's answer and its age, from the cache or the network.
func (l *Lookup) get(ctx context.Context, id keyID, admit func() error) (*entry, time.Duration, error) {
	if e, ok := l.cached(id); ok {
		return e, l.age(e), nil
	}
	e, err := l.join(ctx, id, admit)
	return e, 0, err
}

func (l *Lookup) age(e *entry) time.Duration { return max(0, l.cfg.Now().Sub(e.fetched)) }
