package keys

// Lines splits a key document.
var Lines = lines

// Read reports what newEntry makes of the lines of a document.
func Read(texts []string) (records int, revoked bool) {
	e := newEntry(texts)
	return len(e.records), e.revoked
}

// Flights is how many look-ups are under way.
func (l *Lookup) Flights() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.flights)
}

// CacheSize is how many answers are kept.
func (l *Lookup) CacheSize() int { return l.cache.EstimatedSize() }
