package controllers

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/infra"
)

// lookForKinds is how often the API server is asked which kinds it has. Asking takes no right; watching definitions would take
// one for the whole cluster.
const lookForKinds = 30 * time.Second

// optionalKinds knows which kinds of neighbours the cluster has, and has them watched as long as it does. Safe for
// concurrent use.
type optionalKinds struct {
	gateways   *gateways
	discovery  discovery.ServerResourcesInterfaceWithContext
	controller controller.Controller
	came       chan cache.Informer // those of kinds that are watched from now on
	queue      workqueue.TypedRateLimitingInterface[reconcile.Request]

	mu        sync.Mutex
	have      map[schema.GroupVersionKind]bool // nil: not asked yet
	informers map[schema.GroupVersionKind]cache.Informer
}

// objectMapper knows the kinds of objects of gateways, whether the cluster has them or not: a cache asks it even to stop
// watching a kind that is gone.
func objectMapper() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper(nil)
	always, optional := infra.Kinds()
	for _, kind := range slices.Concat(always, optional) {
		m.Add(kind, meta.RESTScopeNamespace)
	}
	return m
}

func newOptionalKinds(mgr manager.Manager, r *gateways) (*optionalKinds, error) {
	d, err := discovery.NewDiscoveryClientForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, err
	}
	_, optional := infra.Kinds()
	k := &optionalKinds{gateways: r, discovery: d, came: make(chan cache.Informer, len(optional)), informers: map[schema.GroupVersionKind]cache.Informer{}}
	return k, mgr.Add(k)
}

// watchWith has the controller watch what is there.
func (k *optionalKinds) watchWith(c controller.Controller) error {
	k.controller = c
	return c.Watch(source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		k.queue = q
		return nil
	}))
}

// Start looks for kinds until ctx ends.
func (k *optionalKinds) Start(ctx context.Context) error {
	ticker := k.gateways.Clock.NewTicker(lookForKinds)
	defer ticker.Stop()
	var waiting sync.WaitGroup
	defer waiting.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case informer := <-k.came:
			waiting.Go(func() { k.lookOnceSynced(ctx, informer) })
		case <-ticker.C():
			if err := k.look(ctx); err != nil {
				k.gateways.Log.Warn("the API server does not say which kinds it has", "error", err)
			}
		}
	}
}

// present returns the kinds that there are. They must not be changed.
func (k *optionalKinds) present(ctx context.Context) (map[schema.GroupVersionKind]bool, error) {
	k.mu.Lock()
	have := k.have
	k.mu.Unlock()
	if have != nil {
		return have, nil
	}
	if err := k.look(ctx); err != nil {
		return nil, err
	}
	return k.present(ctx)
}

// cached says whether the cache can be asked for a kind without waiting: it cannot when there is no right to watch it, or the
// kind went a moment ago.
func (k *optionalKinds) cached(kind schema.GroupVersionKind) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	informer := k.informers[kind]
	return informer != nil && informer.HasSynced()
}

// look asks, and on a change watches what came, drops what went and has all gateways looked at.
func (k *optionalKinds) look(ctx context.Context) error {
	now, err := k.ask(ctx)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.have != nil && maps.Equal(k.have, now) {
		return nil
	}
	for kind := range now {
		if k.informers[kind] == nil {
			if err := k.watch(ctx, kind); err != nil {
				return err
			}
		}
	}
	for kind := range k.informers {
		if !now[kind] {
			if err := k.gateways.objects.RemoveInformer(ctx, cached(kind)); err != nil {
				return err
			}
			delete(k.informers, kind)
		}
	}
	first := k.have == nil
	k.have = now
	if first {
		return nil // all gateways are looked at anyway
	}
	return k.lookAtAll(ctx)
}

// lookAtAll has all gateways looked at.
func (k *optionalKinds) lookAtAll(ctx context.Context) error {
	var all v1alpha1.FederationGatewayList
	if err := k.gateways.client.List(ctx, &all); err != nil {
		return err
	}
	for i := range all.Items {
		k.queue.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&all.Items[i])})
	}
	return nil
}

// lookOnceSynced has all gateways looked at when the objects of a kind are known: of one that went before, nobody tells.
func (k *optionalKinds) lookOnceSynced(ctx context.Context, informer cache.Informer) {
	err := wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(context.Context) (bool, error) {
		return informer.HasSynced() || informer.IsStopped(), nil
	})
	if err == nil {
		err = k.lookAtAll(ctx)
	}
	if err != nil && ctx.Err() == nil {
		k.gateways.Log.Warn("gateways are not looked at again after a kind has come", "error", err)
	}
}

func (k *optionalKinds) watch(ctx context.Context, kind schema.GroupVersionKind) error {
	informer, err := k.gateways.objects.GetInformer(ctx, cached(kind), cache.BlockUntilSynced(false))
	if err != nil {
		return err
	}
	k.informers[kind] = informer
	select {
	case k.came <- informer:
	default: // as many as there are kinds are waited for: each has all looked at
	}
	return k.controller.Watch(source.Kind(k.gateways.objects, cached(kind), k.gateways.ofOwner()))
}

func (k *optionalKinds) ask(ctx context.Context) (map[schema.GroupVersionKind]bool, error) {
	_, optional := infra.Kinds()
	served := map[schema.GroupVersion]*metav1.APIResourceList{}
	out := map[schema.GroupVersionKind]bool{}
	for _, kind := range optional {
		gv := kind.GroupVersion()
		if _, asked := served[gv]; !asked {
			list, err := k.discovery.ServerResourcesForGroupVersionWithContext(ctx, gv.String())
			if err != nil && !apierrors.IsNotFound(err) {
				return nil, err
			}
			served[gv] = list
		}
		if served[gv] == nil {
			continue
		}
		for _, r := range served[gv].APIResources {
			if r.Kind == kind.Kind && slices.Contains(r.Verbs, "create") { // not while its definition is being deleted
				out[kind] = true
			}
		}
	}
	return out, nil
}
