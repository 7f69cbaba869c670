package controllers

import (
	"reflect"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/publish"
)

// sight is what the last look at a domain found.
type sight struct {
	uid   types.UID
	key   string // of the plan that was looked by
	proof proofSight

	failure *publish.Error // of the last time something was published; nil = none
	foreign []publish.Foreign
	repair  bool // what was written had been changed by somebody else

	checked bool // records were looked for
	records []v1alpha1.RecordStatus
	bad     *badRecord // the first that is not as expected, nil = none

	discoverable *metav1.Condition // nil = not looked at
	backend      *metav1.Condition

	oldPlace int // how often what lies at a former place could not be taken back
}

// awaits says whether there is more to see once every pod serves the domain.
func (s *sight) awaits() bool { return s.checked && s.bad == nil && s.discoverable == nil }

// proofSight is what was seen of the TXT record that proves ownership.
type proofSight struct {
	value   string // that was looked for, "" = none was
	seen    bool
	problem string // why not, or why it could not be looked for
	blind   bool   // it could not be looked for: that says nothing
	missing int    // looks in a row that did not find it
	since   time.Time
}

// A proof counts as lost when that many looks, over that time, all saw that it is gone.
const (
	lostLooks = 4
	lostTime  = time.Hour
)

func (p *proofSight) lost(now time.Time) bool {
	return p.missing >= lostLooks && now.Sub(p.since) >= lostTime
}

// sights are those of all domains. The zero value is ready. Safe for concurrent use.
type sights struct {
	mu    sync.Mutex
	all   map[types.NamespacedName]sight
	needs map[types.NamespacedName]string
	tell  func(types.NamespacedName)
}

// need says whether a look was not asked for yet for that reason.
func (s *sights) need(name types.NamespacedName, reason string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.needs[name] == reason {
		return false
	}
	if s.needs == nil {
		s.needs = map[types.NamespacedName]string{}
	}
	s.needs[name] = reason
	return true
}

func (s *sights) onChange(tell func(types.NamespacedName)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tell = tell
}

func (s *sights) get(name types.NamespacedName) (sight, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.all[name]
	return one, ok
}

func (s *sights) set(name types.NamespacedName, one sight) {
	s.mu.Lock()
	before, ok := s.all[name]
	if s.all == nil {
		s.all = map[types.NamespacedName]sight{}
	}
	s.all[name] = one
	tell := s.tell
	s.mu.Unlock()
	if tell != nil && (!ok || !reflect.DeepEqual(before, one)) {
		tell(name)
	}
}

func (s *sights) forget(name types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, name)
	delete(s.needs, name)
}
