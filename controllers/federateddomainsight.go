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

// purpose is why a look is made: for the plan of that key and, where served, to see more than while pods take the domain over.
type purpose struct {
	key    string
	served bool
}

func (p purpose) serves(other purpose) bool { return p.key == other.key && (p.served || !other.served) }

// sights are those of all domains. The zero value is ready. Safe for concurrent use.
type sights struct {
	mu     sync.Mutex
	all    map[types.NamespacedName]sight
	asked  map[types.NamespacedName]purpose // what looks were asked for last
	making map[types.NamespacedName]purpose // looks under way
	tell   func(types.NamespacedName)
}

// need says whether a look has to be asked for: none was for that purpose yet, and none is under way.
func (s *sights) need(name types.NamespacedName, why purpose) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked[name].serves(why) || s.making[name].serves(why) {
		return false
	}
	if s.asked == nil {
		s.asked = map[types.NamespacedName]purpose{}
	}
	s.asked[name] = why
	return true
}

// begin notes that a look is under way; it ends with set or end.
func (s *sights) begin(name types.NamespacedName, why purpose) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.making == nil {
		s.making = map[types.NamespacedName]purpose{}
	}
	s.making[name] = why
}

func (s *sights) end(name types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.making, name)
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
	delete(s.making, name)
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
	delete(s.asked, name)
}
