package controllers

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/infra"
)

// appliedObjects remembers how objects were left, so that nothing is written that is there already. It lives in memory: after
// a restart everything is applied once, which changes nothing. Safe for concurrent use.
type appliedObjects struct {
	mu  sync.Mutex
	all map[types.NamespacedName]map[string]appliedObject // by gateway, then by kind and name

	heeded map[types.NamespacedName]string // by gateway, the request to try again that was heeded last
}

type appliedObject struct {
	said    uint64        // what was applied
	state   string        // of the object after it
	putBack time.Time     // when it last was
	wait    time.Duration // before it is again
}

// How long changes of somebody who does not give up stand, each time twice as long.
const (
	putBackSoon = time.Second
	putBackLate = 5 * time.Minute
)

func newAppliedObjects() *appliedObjects {
	return &appliedObjects{all: map[types.NamespacedName]map[string]appliedObject{}, heeded: map[types.NamespacedName]string{}}
}

func (a *appliedObjects) forget(gateway types.NamespacedName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.all, gateway)
	delete(a.heeded, gateway)
}

// heed ends all patience with those who changed objects of a gateway, once a request. Caches are behind: the echo in the status
// does not tell whether that was done.
func (a *appliedObjects) heed(gateway types.NamespacedName, request string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.heeded[gateway] == request {
		return
	}
	a.heeded[gateway] = request
	for name, o := range a.all[gateway] {
		o.putBack, o.wait = time.Time{}, 0
		a.all[gateway][name] = o
	}
}

func (a *appliedObjects) get(gw *v1alpha1.FederationGateway, o infra.Object) (appliedObject, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	last, known := a.all[client.ObjectKeyFromObject(gw)][o.Kind.Kind+"/"+o.Name]
	return last, known
}

// is says whether an object is as it was left when that was said of it.
func (a *appliedObjects) is(gw *v1alpha1.FederationGateway, o infra.Object, said uint64, live client.Object) bool {
	last, known := a.get(gw, o)
	return known && last.said == said && last.state == stateOf(live)
}

// patience is how long somebody's change of what was said stands yet. It does not keep us from saying something else.
func (a *appliedObjects) patience(gw *v1alpha1.FederationGateway, o infra.Object, said uint64, now time.Time) time.Duration {
	last, known := a.get(gw, o)
	if !known || last.said != said {
		return 0
	}
	return max(0, last.putBack.Add(last.wait).Sub(now))
}

// done remembers an object that was applied, as the API server returned it, and says whether somebody else had changed it.
// before is what it was then, nil when it was not there.
func (a *appliedObjects) done(gw *v1alpha1.FederationGateway, o infra.Object, said uint64, before, result client.Object, now time.Time) bool {
	last, known := a.get(gw, o)
	next := appliedObject{said: said, state: stateOf(result), putBack: last.putBack, wait: last.wait}
	// the same was said before, and saying it again changed something
	putBack := known && last.said == said && (before == nil || stateOf(before) != next.state)
	if putBack {
		next.putBack, next.wait = now, putBackSoon
		if now.Sub(last.putBack) < last.wait+putBackLate {
			next.wait = min(2*last.wait, putBackLate)
		}
	}
	gateway := client.ObjectKeyFromObject(gw)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all[gateway] == nil {
		a.all[gateway] = map[string]appliedObject{}
	}
	a.all[gateway][o.Kind.Kind+"/"+o.Name] = next
	return putBack
}

// stateOf tells states of an object apart between which others may have changed what was applied. Where the API server counts
// generations, a change of the status alone makes no other state.
func stateOf(o metav1.Object) string {
	if o.GetGeneration() == 0 {
		return string(o.GetUID()) + "/" + o.GetResourceVersion()
	}
	annotations := maps.Clone(o.GetAnnotations())
	delete(annotations, corev1.LastAppliedConfigAnnotation) // caches drop it
	meta, err := fingerprint(map[string]any{"labels": o.GetLabels(), "annotations": annotations, "owners": o.GetOwnerReferences()})
	if err != nil {
		return "" // strings can always be written: never
	}
	return fmt.Sprintf("%s/%d/%x", o.GetUID(), o.GetGeneration(), meta)
}

// fingerprint is equal for equal objects.
func fingerprint(o map[string]any) (uint64, error) {
	text, err := json.Marshal(o) // sorts keys
	if err != nil {
		return 0, err
	}
	h := fnv.New64a()
	_, _ = h.Write(text)
	return h.Sum64(), nil
}
