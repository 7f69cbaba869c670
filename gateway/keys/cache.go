package keys

import (
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/calfed/calfed/gateway/dkim"
)

// How long an answer is believed at most, whatever its TTL or freshness says. IS-DKIM-12.
const (
	maxPositive = time.Hour
	maxNegative = 5 * time.Minute
)

// keyID is what answers are cached by: one method's view of one key. IS-DKIM-12.
type keyID struct{ method, domain, selector string }

// entry is one method's answer. It is immutable but for tried.
type entry struct {
	records []*dkim.Record // none is a negative answer
	revoked bool           // one of them had an empty p=
	why     string         // there is none, for whoever has to find out; "" when nothing is known
	size    int            // bytes of text it was made from
	fetched time.Time
	expires time.Time
	tried   time.Time // of the last Refresh; guarded by Lookup.mu
}

// newCache bounds memory, not only the count: a stranger chooses how large key records are.
func newCache[K comparable](maxEntries int) *otter.Cache[K, *entry] {
	return otter.Must(&otter.Options[K, *entry]{
		MaximumWeight: uint64(maxEntries),
		Weigher:       func(_ K, e *entry) uint32 { return uint32(1 + e.size/1024) },
		Executor:      func(fn func()) { fn() }, // no goroutine
	})
}

// cached returns the answer that still holds.
func (l *Lookup) cached(id keyID) (*entry, bool) {
	e, ok := l.cache.GetIfPresent(id)
	if !ok {
		return nil, false
	}
	if !l.cfg.Now().Before(e.expires) {
		l.cache.Invalidate(id)
		return nil, false
	}
	return e, true
}

// maxTexts bounds how many records of one answer are looked at: names may carry TXT records of all kinds.
const maxTexts = 16

// newEntry reads the records of one answer, the first maxRecords that parse. IS-DKIM-10.
func newEntry(texts []string) *entry {
	e := &entry{}
	if len(texts) > 0 {
		e.why = "no key record can be read"
	}
	for _, text := range texts[:min(len(texts), maxTexts)] {
		rec, err := dkim.ParseRecord(text)
		if err != nil {
			continue
		}
		if rec.Revoked {
			return &entry{revoked: true}
		}
		if len(e.records) < maxRecords {
			e.records, e.why = append(e.records, rec), ""
			e.size += len(text)
		}
	}
	return e
}

// noKey is an answer without a key. Strangers have a say in why: it is cut.
func noKey(why string) *entry { return &entry{why: why[:min(len(why), 256)]} }

// lasting sets how long the answer holds from now.
func (e *entry) lasting(d time.Duration, now time.Time) *entry {
	limit := maxPositive
	if len(e.records) == 0 {
		limit = maxNegative
	}
	e.fetched, e.expires = now, now.Add(min(d, limit))
	return e
}
