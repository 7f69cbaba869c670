package discovery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/calfed/calfed/gateway/freshness"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/resolver"
)

// document is a capabilities document as it was found, or, where a host was only guessed, that there is none. Save for
// reload it is immutable.
type document struct {
	url          *url.URL // where it was, without the query
	capabilities *ischedule.Capabilities
	missing      error // there is none (IS-DISC-7)
	etag         string
	serial       uint64 // 0 = the receiver names none
	size         int
	named        bool     // the server proved the source domain, not the host
	names        []string // the source domain then
	fetched      time.Time
	expires      time.Time
	steps        []string
	reload       atomic.Bool // a response named another serial
}

const (
	reloadEvery = time.Minute // IS-CAP-5
	missFor     = time.Hour   // a guessed host that has no iSchedule service
	silentFor   = 5 * time.Minute
)

// fresh says whether doc may be used at now without asking.
func (doc *document) fresh(now time.Time) bool {
	if doc.reload.Load() && now.Sub(doc.fetched) >= reloadEvery {
		return false
	}
	return now.Before(doc.expires)
}

// covers says whether the identity that the server of doc proved is one that t asks for.
func (doc *document) covers(t *target) bool {
	return !doc.named || strings.Join(doc.names, " ") == strings.Join(t.names, " ")
}

// capabilities returns the document of a target, cached by HTTP freshness, and how it was come by. IS-CAP-5.
func (d *Discoverer) capabilities(ctx context.Context, s *settings, t *target) (*document, []string, error) {
	key := t.id
	if s.onlySource() {
		key += " " + strings.Join(t.names, " ") // what proves one domain proves no other
	}
	cached := func() (*document, bool) {
		doc, ok := d.documents.GetIfPresent(key)
		if ok && !doc.covers(t) {
			doc, ok = nil, false
		}
		return doc, ok && doc.fresh(d.cfg.Now())
	}
	if doc, ok := cached(); ok {
		if doc.missing != nil {
			return nil, nil, doc.missing
		}
		return doc, []string{fmt.Sprintf("capabilities of %s: cached, serial %d", doc.url, doc.serial)}, nil
	}
	doc, err := d.flights.do(ctx, key+" "+strings.Join(t.names, " "), func() (*document, error) {
		last, ok := cached()
		if ok {
			return last, nil // fetched by someone else meanwhile
		}
		doc, err := d.fetch(ctx, s, t, last)
		if err != nil {
			if t.source != fromWellKnown {
				return nil, err
			}
			if doc = d.miss(ctx, t, err); doc == nil {
				return nil, err
			}
		}
		d.documents.Set(key, doc)
		return doc, nil
	})
	if err != nil {
		return nil, nil, err
	}
	if doc.missing != nil {
		return nil, nil, doc.missing
	}
	return doc, doc.steps, nil
}

// miss remembers that a guessed host has no iSchedule service, nil when that is not sure. Nobody said that there is
// one, so a host that does not answer, or only as somebody else, is none. IS-DISC-7.
func (d *Discoverer) miss(ctx context.Context, t *target, err error) *document {
	now := d.cfg.Now()
	doc := &document{url: t.url, missing: err, fetched: now, expires: now.Add(missFor)}
	if errors.Is(err, errAbsent) {
		return doc
	}
	var status *statusError
	if ctx.Err() != nil || errors.Is(err, resolver.ErrTemporary) || errors.As(err, &status) {
		return nil
	}
	doc.missing = fmt.Errorf("%w: %s", errAbsent, err.Error())
	doc.expires = now.Add(silentFor)
	return doc
}

// fetch asks the target for its document. Last is what was known of it, or nil.
func (d *Discoverer) fetch(ctx context.Context, s *settings, t *target, last *document) (*document, error) {
	if last != nil && last.missing != nil {
		last = nil
	}
	f := &fetching{d: d, s: s, t: t, last: last}
	r, err := f.follow(ctx)
	if err != nil {
		return nil, err
	}
	now := d.cfg.Now()
	doc := &document{
		url: plain(r.url), etag: r.header.Get("ETag"), size: len(r.body),
		fetched: now, expires: now.Add(freshness.Of(r.header, now)), steps: f.steps,
	}
	if doc.named = f.named; f.named {
		doc.names = t.names
	}
	switch r.status {
	case http.StatusOK:
		if doc.capabilities, err = ischedule.ReadCapabilities(r.body); err != nil {
			return nil, fmt.Errorf("%w: capabilities of %s: %w", errAbsent, doc.url, err)
		}
	case http.StatusNotModified: // asked for only with last
		doc.capabilities, doc.size, doc.serial = last.capabilities, last.size, last.serial
		if doc.etag == "" {
			doc.etag = last.etag
		}
	}
	if n, ok := serialOf(r.header); ok {
		doc.serial = n
	} else if doc.serial == 0 {
		doc.serial = doc.capabilities.Serial
	}
	return doc, nil
}

// serialOf reads iSchedule-Capabilities (D05 §8.1).
func serialOf(h http.Header) (uint64, bool) {
	n, err := strconv.ParseUint(strings.TrimSpace(h.Get(ischedule.HeaderCapabilities)), 10, 64)
	return n, err == nil && n != 0
}
