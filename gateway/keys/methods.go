package keys

import (
	"fmt"
	"slices"
	"strings"

	"github.com/calfed/calfed/gateway/dkim"
)

// pinned returns the pinned keys of the request. has says whether the policy pins keys for this domain at all: then they
// exclude other methods, also for selectors that no pin names. IS-DKIM-9.
func (l *Lookup) pinned(req Request) (found *Found, has bool, err error) {
	if req.Policy == nil {
		return nil, false, nil
	}
	var texts []string
	for _, pin := range req.Policy.PinnedKeys {
		if pin.Domain != "" && !strings.EqualFold(pin.Domain, req.Domain) {
			continue
		}
		has = true
		if strings.EqualFold(pin.Selector, req.Selector) {
			texts = append(texts, pin.Record)
		}
	}
	if len(texts) == 0 {
		return nil, has, nil
	}
	e := l.parsedPins(texts)
	switch {
	case e.revoked:
		return nil, true, fmt.Errorf("pinned: %w", ErrRevoked)
	case len(e.records) == 0:
		return nil, true, fmt.Errorf("pinned record cannot be read: %w", ErrNotFound)
	}
	return &Found{Records: e.records, Method: dkim.MethodPrivate}, true, nil
}

// parsedPins reads pinned records once, not with every message.
func (l *Lookup) parsedPins(texts []string) *entry {
	text := strings.Join(texts, "\x00")
	if e, ok := l.pins.GetIfPresent(text); ok {
		return e
	}
	e := newEntry(texts)
	l.pins.Set(text, e)
	return e
}

// permitted returns the methods to ask, in the order of q=. IS-DKIM-9.
func permitted(req Request, hasPins bool) ([]string, error) {
	allowed := []string{dkim.MethodDNS, dkim.MethodWellKnown}
	switch {
	case req.Policy != nil && len(req.Policy.KeyLookup) > 0:
		allowed = req.Policy.KeyLookup
	case hasPins:
		return nil, fmt.Errorf("no key is pinned under this selector: %w", ErrNotFound)
	}
	query := req.Query
	if len(query) == 0 {
		query = []string{dkim.MethodDNS}
	}
	var methods []string
	for _, m := range query {
		m = strings.ToLower(m)
		asks := m == dkim.MethodDNS || m == dkim.MethodWellKnown // private-exchange has nobody to ask
		if asks && slices.Contains(allowed, m) && !slices.Contains(methods, m) {
			methods = append(methods, m)
		}
	}
	if len(methods) == 0 {
		return nil, ErrMethod
	}
	return methods, nil
}

// checked returns the request in lower case; the names go into DNS names and a URL path as they are. IS-RECV-1.
func checked(req Request) (Request, error) {
	req.Domain, req.Selector = strings.ToLower(req.Domain), strings.ToLower(req.Selector)
	if !dkim.IsDomain(req.Domain) || !dkim.IsDomain(req.Selector) {
		return req, fmt.Errorf("d= or s= is no domain name: %w", ErrNotFound)
	}
	return req, nil
}
