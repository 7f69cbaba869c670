// Package board is where the reconciler that compiles and writes snapshots posts what became of each object, and where the
// other reconcilers read it for their status. It lives in memory and is filled anew after a restart.
//
// It decides nothing and asks nobody.
package board

import (
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Gateway is what became of a FederationGateway.
type Gateway struct {
	Generation int64             // of the object that was compiled
	Settings   *snapshot.Gateway // nil: it cannot be compiled
	Findings   []compile.Finding // of the gateway alone
	IndexUID   string
	Serial     uint64 // of the index that was written last
	Hash       string // of everything
	Domains    int
	Held       []string // domains that a removal on hold would drop, sorted; nil = none
	HeldToken  string   // what the annotation calfed.dev/confirm-removal must say to let them go
	Confirmed  string   // what it said when a removal was let go last; "" = none was since the start
	Problem    string   // why the newest state could not be written, "" = it was
	Pods       []Pod    // sorted by name
}

// Pod is what a gateway pod said last.
type Pod struct {
	Name       string
	Programmed bool   // it serves the newest index and every shard of it
	Problem    string // why not: "unreachable: …", "rejects …"; "" when Programmed or merely on the way
}

// Domain is what became of a FederatedDomain.
type Domain struct {
	UID        types.UID // of the object that was compiled: one that was made again under its name is another
	Generation int64
	Gateway    types.NamespacedName
	Settings   *snapshot.Gateway // of its gateway; nil: that cannot be compiled
	Compiled   *snapshot.Domain  // nil: it is left out, and Findings say why
	// Candidate is the domain as it would be compiled if nothing but the proof of ownership were missing; nil otherwise. Of
	// it only the challenge may be shown: nothing of it is published.
	Candidate *snapshot.Domain
	Hash      string            // of Compiled, "" when that is nil
	Findings  []compile.Finding // of the FederatedDomain alone
	// Written says that the snapshot with Hash is in the cluster; Programmed, that every pod serves it. Blocking names the pods
	// that do not, terminating and unreachable ones included, with the reason.
	Written    bool
	Programmed bool
	Blocking   []string
}

// Policy is what became of a PeerPolicy.
type Policy struct {
	UID        types.UID // of the object that was compiled, as in Domain
	Generation int64
	Findings   []compile.Finding
	Domains    []string // covered and compiled, sorted
	ShadowedBy []string // namespace/name of policies that decide first, sorted
	Programmed bool     // every pod serves it for all of Domains; true where there are none
}

// Key is what compiling said of a DKIMKey.
type Key struct {
	UID        types.UID // of the object that was compiled, as in Domain
	Generation int64
	Findings   []compile.Finding
	Domains    []types.NamespacedName // the FederatedDomains that use it, sorted
}

// table is the posts of one kind and who wants to know of changes.
type table[T any] struct {
	mu    sync.RWMutex
	posts map[types.NamespacedName]T
	tell  []func(types.NamespacedName)
}

// Get returns the post of an object; false when it was not looked at yet.
func (t *table[T]) Get(name types.NamespacedName) (T, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	post, ok := t.posts[name]
	return post, ok
}

// Post replaces the post of an object, and tells those who asked to be. Call it only when something changed.
func (t *table[T]) Post(name types.NamespacedName, post T) {
	t.mu.Lock()
	if t.posts == nil {
		t.posts = map[types.NamespacedName]T{}
	}
	t.posts[name] = post
	tell := t.tell
	t.mu.Unlock()
	for _, f := range tell {
		f(name)
	}
}

// Remove forgets an object that is gone, and tells nobody.
func (t *table[T]) Remove(name types.NamespacedName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.posts, name)
}

// Names returns the names of all posts, in no order.
func (t *table[T]) Names() []types.NamespacedName {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Collect(maps.Keys(t.posts))
}

// OnChange has f called with the name of every post from now on: soon, from any goroutine. f must not block.
func (t *table[T]) OnChange(f func(types.NamespacedName)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tell = append(slices.Clip(t.tell), f)
}

// Board has one table a kind. The zero value is ready. Safe for concurrent use; what was posted must not be changed.
type Board struct {
	Gateways table[Gateway]
	Domains  table[Domain]
	Policies table[Policy]
	Keys     table[Key]
}
