package controllers

import (
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/calfed/calfed/controllers/keylife"
)

// sightings are what the last looks at the records of all keys found. The zero value is ready. Safe for concurrent use.
type sightings struct {
	mu   sync.Mutex
	all  map[types.NamespacedName]*seenKey
	tell func(types.NamespacedName)
}

type seenKey struct {
	uid        types.UID
	bySelector map[string]keylife.Sighting
}

func (s *sightings) onChange(tell func(types.NamespacedName)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tell = tell
}

// of forgets what was seen of another DKIMKey that had the name.
func (s *sightings) of(name types.NamespacedName, uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[types.NamespacedName]*seenKey{}
	}
	if k := s.all[name]; k == nil || k.uid != uid {
		s.all[name] = &seenKey{uid: uid, bySelector: map[string]keylife.Sighting{}}
	}
}

func (s *sightings) get(name types.NamespacedName) map[string]keylife.Sighting {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.all[name]; k != nil {
		return maps.Clone(k.bySelector)
	}
	return nil
}

// set notes looks, and has the key reconciled.
func (s *sightings) set(name types.NamespacedName, uid types.UID, looks map[string]keylife.Sighting) {
	s.mu.Lock()
	k := s.all[name]
	if k == nil || k.uid != uid {
		s.mu.Unlock()
		return
	}
	maps.Copy(k.bySelector, looks)
	tell := s.tell
	s.mu.Unlock()
	if tell != nil {
		tell(name)
	}
}

// drop forgets what was seen under a selector that another key has now.
func (s *sightings) drop(name types.NamespacedName, selector string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.all[name]; k != nil {
		delete(k.bySelector, selector)
	}
}

// expire makes looks due that found a problem.
func (s *sightings) expire(name types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.all[name]; k != nil {
		for selector, seen := range k.bySelector {
			if seen.Problem != "" {
				seen.At = time.Time{}
				k.bySelector[selector] = seen
			}
		}
	}
}

func (s *sightings) forget(name types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, name)
}
